import time
from urllib.parse import quote

import pytest
import requests

from local.simulators import Simulators, graph_error, token_error
from tests.simulators.conftest import MAILBOX, Client

INBOX = "/mailFolders/inbox"
DELTA = f"{INBOX}/messages/delta?$select=id"


def test_a_fault_hits_as_often_as_ordered_after_those_it_lets_pass(simulators: Simulators, graph: Client) -> None:
    simulators.faults.add("graph.folder", status=503, headers={"Retry-After": "2"}, skip=1, times=2)

    statuses = [graph.mail("GET", INBOX).status_code for _ in range(4)]

    assert statuses == [200, 503, 503, 200]


def test_a_fault_hits_only_what_it_matches(simulators: Simulators, graph: Client) -> None:
    simulators.faults.add("graph.*", path="*/archive", status=504, times=None)

    assert graph.mail("GET", INBOX).status_code == 200
    assert graph.mail("GET", "/mailFolders/archive").status_code == 504
    simulators.faults.clear()
    assert graph.mail("GET", "/mailFolders/archive").status_code == 200


def test_entra_id_can_be_out_of_order(simulators: Simulators, client: Client) -> None:
    simulators.faults.add("entra.token", **token_error(90033))

    answer = client.form()

    assert answer.status_code == 503
    assert answer.json()["error"] == "temporarily_unavailable"


def test_an_answer_can_be_slow(simulators: Simulators, graph: Client) -> None:
    simulators.faults.add("graph.folder", delay_seconds=0.2)
    started = time.monotonic()

    graph.mail("GET", INBOX)

    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize(("moment", "left_in_inbox"), [("before", 1), ("after", 0)])
def test_a_connection_can_drop_before_or_after_the_effect(
    simulators: Simulators, graph: Client, moment: str, left_in_inbox: int
) -> None:
    message = simulators.graph.deliver(MAILBOX, b"\r\n").immutable_id
    simulators.faults.add("graph.move", drop=moment)

    with pytest.raises(requests.ConnectionError):
        graph.mail("POST", f"/messages/{quote(message)}/move", json={"destinationId": "archive"})

    assert graph.mail("GET", INBOX).json()["totalItemCount"] == left_in_inbox


def test_a_connection_can_drop_midway_through_the_answer(simulators: Simulators, graph: Client) -> None:
    message = simulators.graph.deliver(MAILBOX, b"\r\n" + b"x" * 200_000).immutable_id
    simulators.faults.add("graph.mime", drop="midway")

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        graph.mail("GET", f"/messages/{quote(message)}/$value")


def test_a_fault_can_hit_one_request_of_a_batch(simulators: Simulators, graph: Client) -> None:
    simulators.faults.add("graph.folder", skip=1, status=429, body=graph_error("ApplicationThrottled"))
    parts = [{"id": str(number), "method": "GET", "url": f"/users/{MAILBOX}{INBOX}"} for number in range(3)]

    answer = graph.request("POST", "/v1.0/$batch", json={"requests": parts}).json()

    assert sorted((part["id"], part["status"]) for part in answer["responses"]) == [("0", 200), ("1", 429), ("2", 200)]


def test_a_listing_can_be_edited(simulators: Simulators, graph: Client) -> None:
    first, second = (simulators.graph.deliver(MAILBOX, b"\r\n").immutable_id for _ in range(2))

    def seen(edit: str | None) -> list[str]:
        simulators.faults.clear()
        simulators.faults.add("graph.delta", edit=edit)
        page = graph.mail("GET", DELTA).json()
        if "@odata.nextLink" in page:
            page = graph.mail("GET", page["@odata.nextLink"]).json()
        return [item["id"] for item in page["value"]]

    assert seen("empty_page") == [first, second]
    assert seen("repeated_item") == [first, first, second, second]
    assert seen("out_of_order") == [second, first]
    assert seen("removed_item")[1:] == [first, second]


def test_an_unknown_edit_is_refused(simulators: Simulators) -> None:
    with pytest.raises(ValueError, match="no such edit"):
        simulators.faults.add("graph.delta", edit="upside_down")
