from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from local.simulators import Simulators
from tests.simulators.conftest import MAILBOX, Client

RAW = (
    b"From: Ann <ann@example.org>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@example.org>\r\n\r\nHi\r\n"
)
LIST = "/mailFolders/inbox/messages"
START = datetime(2026, 11, 1, tzinfo=UTC)


def deliver(simulators: Simulators, number: int, **options: object) -> list[str]:
    return [
        simulators.graph.deliver(MAILBOX, RAW, received_at=START + timedelta(hours=hour), **options).immutable_id
        for hour in range(number)
    ]


def test_a_list_shows_ten_messages_newest_first(simulators: Simulators, graph: Client) -> None:
    ids = deliver(simulators, 12)

    first = graph.mail("GET", LIST).json()
    second = graph.mail("GET", first["@odata.nextLink"]).json()

    assert [item["id"] for item in first["value"] + second["value"]] == ids[::-1]
    assert len(first["value"]) == 10
    assert first["value"][0]["subject"] == "Grüße"
    assert first["value"][0]["from"] == {"emailAddress": {"name": "Ann", "address": "ann@example.org"}}


def test_a_page_is_as_long_as_top_says(simulators: Simulators, graph: Client) -> None:
    deliver(simulators, 3)

    page = graph.mail("GET", f"{LIST}?$top=2").json()

    assert len(page["value"]) == 2
    assert len(graph.mail("GET", page["@odata.nextLink"]).json()["value"]) == 1
    assert graph.mail("GET", f"{LIST}?$top=1001").status_code == 400


def test_only_selected_properties_are_shown(simulators: Simulators, graph: Client) -> None:
    deliver(simulators, 1)

    item = graph.mail("GET", f"{LIST}?$select=isRead").json()["value"][0]

    assert set(item) == {"@odata.etag", "id", "isRead"}


def test_an_unknown_property_cannot_be_selected(graph: Client, simulators: Simulators) -> None:
    deliver(simulators, 1)

    answer = graph.mail("GET", f"{LIST}?$select=colour")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BadRequest"
    assert answer.json()["error"]["message"].startswith("Parsing OData Select and Expand failed")


def test_messages_are_filtered_and_ordered(simulators: Simulators, graph: Client) -> None:
    ids = deliver(simulators, 3)
    graph.mail("PATCH", f"/messages/{quote(ids[1])}", json={"isRead": True})

    answer = graph.mail(
        "GET",
        f"{LIST}?$filter=receivedDateTime ge 2026-11-01T00:00:00Z and isRead eq false&$orderby=receivedDateTime asc",
    )

    assert [item["id"] for item in answer.json()["value"]] == [ids[0], ids[2]]


@pytest.mark.parametrize(
    "query",
    [
        "$filter=isRead eq false&$orderby=receivedDateTime",
        "$filter=isRead eq false and receivedDateTime ge 1900-01-01T00:00:00Z&$orderby=receivedDateTime",
    ],
)
def test_what_is_ordered_by_must_come_first_in_the_filter(graph: Client, query: str) -> None:
    answer = graph.mail("GET", f"{LIST}?{query}")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "InefficientFilter"


@pytest.mark.parametrize("query", ["isRead", "isRead eq 'yes'", "colour eq 'red'", "isRead eq false or isRead eq true"])
def test_a_malformed_filter_is_refused(simulators: Simulators, graph: Client, query: str) -> None:
    deliver(simulators, 1)

    assert graph.mail("GET", f"{LIST}?$filter={query}").json()["error"]["code"] == "RequestBroker--ParseUri"


def test_a_message_is_looked_up_by_its_message_id(simulators: Simulators, graph: Client) -> None:
    deliver(simulators, 1)

    answer = graph.mail("GET", "/messages", params={"$filter": "internetMessageId eq '<1@example.org>'"})

    assert len(answer.json()["value"]) == 1


def test_the_size_is_an_extended_property(simulators: Simulators, graph: Client) -> None:
    deliver(simulators, 1)

    answer = graph.mail("GET", f"{LIST}?$select=id&$expand=singleValueExtendedProperties($filter=id eq 'LONG 0x0E08')")

    [size] = answer.json()["value"][0]["singleValueExtendedProperties"]
    assert int(size["value"]) == len(RAW)


def test_the_mime_content_is_text_without_a_length(simulators: Simulators, graph: Client) -> None:
    [message] = deliver(simulators, 1)

    answer = graph.mail("GET", f"/messages/{quote(message)}/$value")

    assert answer.content == RAW
    assert answer.headers["Content-Type"] == "text/plain"
    assert "Content-Length" not in answer.headers


def test_immutable_ids_survive_a_move_and_others_do_not(simulators: Simulators, graph: Client) -> None:
    [immutable] = deliver(simulators, 1)
    [mutable] = (item["id"] for item in graph.mail("GET", LIST, immutable=False).json()["value"])

    moved = graph.mail("POST", f"/messages/{quote(immutable)}/move", json={"destinationId": "archive"})

    assert moved.status_code == 201
    assert moved.json()["id"] == immutable
    assert graph.mail("GET", f"/messages/{quote(immutable)}").status_code == 200
    again = graph.mail("POST", f"/messages/{quote(mutable)}/move", json={"destinationId": "archive"}, immutable=False)
    assert again.status_code == 404
    assert again.json()["error"]["code"] == "ErrorItemNotFound"


def test_a_message_cannot_be_moved_to_a_folder_that_is_not_there(simulators: Simulators, graph: Client) -> None:
    [message] = deliver(simulators, 1)

    answer = graph.mail("POST", f"/messages/{quote(message)}/move", json={"destinationId": "AAMkFgone="})

    assert answer.status_code == 404
    assert graph.mail("GET", "/mailFolders/inbox").json()["totalItemCount"] == 1


def test_flags_and_categories_can_be_changed_but_not_the_subject(simulators: Simulators, graph: Client) -> None:
    [message] = deliver(simulators, 1)
    path = f"/messages/{quote(message)}"

    changed = graph.mail("PATCH", path, json={"isRead": True, "categories": ["Ticketed"]}).json()

    assert (changed["isRead"], changed["categories"]) == (True, ["Ticketed"])
    assert graph.mail("PATCH", path, json={"subject": "New"}).status_code == 403


def test_a_change_against_another_version_is_refused(simulators: Simulators, graph: Client) -> None:
    [message] = deliver(simulators, 1)
    path = f"/messages/{quote(message)}"
    etag = graph.mail("PATCH", path, json={"isRead": True}).json()["@odata.etag"]
    graph.mail("PATCH", path, json={"isRead": False})

    answer = graph.mail("PATCH", path, json={"isRead": True}, headers={"If-Match": etag})

    assert answer.status_code == 412


def test_deleting_moves_to_the_deleted_items_first(simulators: Simulators, graph: Client) -> None:
    [message] = deliver(simulators, 1)
    path = f"/messages/{quote(message)}"

    assert graph.mail("DELETE", path).status_code == 204
    assert graph.mail("GET", "/mailFolders/deleteditems").json()["totalItemCount"] == 1
    assert graph.mail("DELETE", path).status_code == 204
    assert graph.mail("GET", path).status_code == 404


def test_a_permanently_deleted_message_is_gone_at_once(simulators: Simulators, graph: Client) -> None:
    [message] = deliver(simulators, 1)

    assert graph.mail("POST", f"/messages/{quote(message)}/permanentDelete", data=b"").status_code == 204
    assert graph.mail("GET", "/mailFolders/deleteditems").json()["totalItemCount"] == 0


def test_a_malformed_id_is_told_from_one_that_is_gone(graph: Client) -> None:
    assert graph.mail("GET", "/messages/AAkAnothing").json()["error"]["code"] == "ErrorItemNotFound"
    assert graph.mail("GET", "/messages/nonsense").json()["error"]["code"] == "ErrorInvalidIdMalformed"


def test_honoured_preferences_are_named(simulators: Simulators, graph: Client) -> None:
    [message] = deliver(simulators, 1)

    assert graph.mail("GET", f"/messages/{quote(message)}").headers["Preference-Applied"] == 'IdType="ImmutableId"'
