from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from local.simulators import Simulators
from local.simulators.graph_delta import FILTERED_ROUND_LIMIT
from tests.simulators.conftest import MAILBOX, Client

DELTA = "/mailFolders/inbox/messages/delta?$select=id"
START = datetime(2026, 11, 1, tzinfo=UTC)


def deliver(simulators: Simulators, number: int = 1) -> list[str]:
    return [
        simulators.graph.deliver(MAILBOX, b"\r\n", received_at=START + timedelta(minutes=minute)).immutable_id
        for minute in range(number)
    ]


def follow(graph: Client, link: str, page_size: int = 1000) -> tuple[list[dict[str, Any]], str]:
    """All items of a round, and the link to the next one."""
    items: list[dict[str, Any]] = []
    while True:
        headers = {"Prefer": f'IdType="ImmutableId", odata.maxpagesize={page_size}'}
        page = graph.mail("GET", link, headers=headers).json()
        items += page["value"]
        assert len(page["value"]) <= page_size
        if "@odata.deltaLink" in page:
            return items, page["@odata.deltaLink"]
        link = page["@odata.nextLink"]


def test_the_first_round_lists_what_there_is_page_by_page(simulators: Simulators, graph: Client) -> None:
    ids = deliver(simulators, 5)

    items, _ = follow(graph, DELTA, page_size=2)

    assert [item["id"] for item in items] == ids


def test_the_next_round_lists_what_has_changed(simulators: Simulators, graph: Client) -> None:
    kept, moved, deleted = deliver(simulators, 3)
    _, link = follow(graph, DELTA)
    [new] = deliver(simulators)
    graph.mail("PATCH", f"/messages/{quote(kept)}", json={"isRead": True})
    graph.mail("POST", f"/messages/{quote(moved)}/move", json={"destinationId": "archive"})
    graph.mail("DELETE", f"/messages/{quote(deleted)}")

    items, link = follow(graph, link)

    removed = {item["id"]: item["@removed"] for item in items if "@removed" in item}
    assert [item["id"] for item in items if "@removed" not in item] == [new, kept]
    assert removed == {moved: {"reason": "deleted"}, deleted: {"reason": "deleted"}}
    assert follow(graph, link)[0] == []


def test_only_created_messages_come_where_only_they_are_asked_for(simulators: Simulators, graph: Client) -> None:
    old, gone = deliver(simulators, 2)
    elsewhere = simulators.graph.deliver(MAILBOX, b"\r\n", folder="archive").immutable_id
    items, link = follow(graph, f"{DELTA}&changeType=created")
    assert len(items) == 2
    graph.mail("PATCH", f"/messages/{quote(old)}", json={"isRead": True})
    graph.mail("DELETE", f"/messages/{quote(gone)}")
    graph.mail("POST", f"/messages/{quote(elsewhere)}/move", json={"destinationId": "inbox"})

    items, _ = follow(graph, link)

    assert [item["id"] for item in items] == [elsewhere]


def test_a_page_that_is_emptied_meanwhile_loses_nothing(simulators: Simulators, graph: Client) -> None:
    ids = deliver(simulators, 4)
    first = graph.mail("GET", f"{DELTA}&changeType=created&$top=2").json()
    for item in first["value"]:
        graph.mail("POST", f"/messages/{quote(item['id'])}/move", json={"destinationId": "archive"})

    rest, _ = follow(graph, first["@odata.nextLink"])

    assert [item["id"] for item in rest] == ids[2:]


def test_a_round_can_begin_at_a_time_of_arrival(simulators: Simulators, graph: Client) -> None:
    ids = deliver(simulators, 3)

    items, _ = follow(graph, f"{DELTA}&$filter=receivedDateTime ge 2026-11-01T00:01:00Z")

    assert [item["id"] for item in items] == ids[1:]


def test_a_filtered_round_lists_five_thousand_messages_at_most(simulators: Simulators, graph: Client) -> None:
    deliver(simulators, FILTERED_ROUND_LIMIT + 1)

    filtered, link = follow(graph, f"{DELTA}&$filter=receivedDateTime ge 2026-11-01T00:00:00Z")

    assert len(filtered) == FILTERED_ROUND_LIMIT
    assert follow(graph, link)[0] == []
    assert len(follow(graph, DELTA)[0]) == FILTERED_ROUND_LIMIT + 1


@pytest.mark.parametrize(
    "query", ["$filter=isRead eq false", "$filter=receivedDateTime lt 2026-11-01T00:00:00Z", "$search=x", "$skip=1"]
)
def test_a_delta_query_takes_few_options(graph: Client, query: str) -> None:
    assert graph.mail("GET", f"{DELTA}&{query}").status_code == 400


def test_an_expired_token_asks_to_start_over(simulators: Simulators, graph: Client) -> None:
    _, link = follow(graph, DELTA)
    simulators.graph.expire_deltas(MAILBOX)

    answer = graph.mail("GET", link)

    assert answer.status_code == 410
    assert answer.json()["error"]["code"] == "SyncStateNotFound"
    assert "$deltatoken=" in answer.headers["Location"]


def test_a_malformed_token_is_refused(graph: Client) -> None:
    assert graph.mail("GET", "/mailFolders/inbox/messages/delta?$deltatoken=nonsense").status_code == 400


def test_one_token_serves_both_kinds_of_ids(simulators: Simulators, graph: Client) -> None:
    _, link = follow(graph, DELTA)
    deliver(simulators)

    [immutable] = graph.mail("GET", link).json()["value"]
    [mutable] = graph.mail("GET", link, immutable=False).json()["value"]

    assert immutable["id"].startswith("AAkALg")
    assert mutable["id"].startswith("AAMkAG")
