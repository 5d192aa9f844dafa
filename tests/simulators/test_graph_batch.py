from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import pytest

from local.simulators import Simulators
from tests.simulators.conftest import MAILBOX, Client


def part(number: int, url: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    if "body" in more:
        more["headers"] = {"Content-Type": "application/json"}
    return {"id": str(number), "method": method, "url": f"/users/{MAILBOX}{url}", **more}


def run(graph: Client, *parts: dict[str, Any]) -> dict[str, Any]:
    answer = graph.request("POST", "/v1.0/$batch", json={"requests": parts})
    assert answer.status_code == 200
    return {response["id"]: response for response in answer.json()["responses"]}


def test_each_request_has_its_own_answer(simulators: Simulators, graph: Client) -> None:
    message = quote(simulators.graph.deliver(MAILBOX, b"Hello\r\n").immutable_id)

    answers = run(
        graph,
        part(1, f"/messages/{message}", "PATCH", body={"isRead": True}),
        part(2, "/messages/AAkAgone="),
        part(3, f"/messages/{message}/$value"),
    )

    assert {key: answer["status"] for key, answer in answers.items()} == {"1": 200, "2": 404, "3": 200}
    assert answers["3"]["body"] == "SGVsbG8NCg=="


def test_what_depends_on_a_failure_is_not_tried(simulators: Simulators, graph: Client) -> None:
    message = quote(simulators.graph.deliver(MAILBOX, b"\r\n").immutable_id)

    answers = run(
        graph,
        part(1, "/messages/AAkAgone=", "DELETE"),
        part(2, f"/messages/{message}", "DELETE", dependsOn=["1"]),
        part(3, f"/messages/{message}", dependsOn=["2"]),
    )

    assert {key: answer["status"] for key, answer in answers.items()} == {"1": 404, "2": 424, "3": 424}
    assert graph.mail("GET", "/mailFolders/inbox").json()["totalItemCount"] == 1


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [part(number, "/mailFolders/inbox") for number in range(21)],
        [part(1, "/mailFolders/inbox"), part(1, "/mailFolders/inbox")],
        [part(1, "/mailFolders/inbox", dependsOn=["2"]), part(2, "/mailFolders/inbox")],
        [{"id": "1", "method": "GET", "url": f"https://localhost/v1.0/users/{MAILBOX}/mailFolders/inbox"}],
        [{"id": "1", "method": "GET", "url": f"/v1.0/users/{MAILBOX}/mailFolders/inbox"}],
        [{"id": "1", "method": "PATCH", "url": f"/users/{MAILBOX}/messages/x", "body": {"isRead": True}}],
    ],
)
def test_a_malformed_batch_is_refused_as_a_whole(graph: Client, parts: list[dict[str, Any]]) -> None:
    answer = graph.request("POST", "/v1.0/$batch", json={"requests": parts})

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BadRequest"


def test_independent_requests_need_all_four_places_of_the_mailbox_and_a_chain_needs_one(
    simulators: Simulators, graph: Client
) -> None:
    big = simulators.graph.deliver(MAILBOX, b"\r\n" + b"x" * 20_000_000).immutable_id
    url = "/mailFolders/inbox"
    chain = [part(1, url), *(part(number, url, dependsOn=[str(number - 1)]) for number in range(2, 6))]

    with ExitStack() as held:
        held.enter_context(graph.mail("GET", f"/messages/{quote(big)}/$value", stream=True))
        parallel = run(graph, *(part(number, url) for number in range(1, 6)))
        sequential = run(graph, *chain)

    assert {answer["status"] for answer in parallel.values()} == {429}
    assert {answer["status"] for answer in sequential.values()} == {200}


def test_requests_in_a_batch_are_counted_apart(simulators: Simulators, graph: Client) -> None:
    run(graph, part(1, "/mailFolders/inbox"), part(2, "/mailFolders/inbox"))

    assert simulators.requests("graph") == 1
    assert simulators.counts["batched:graph.folder"] == 2
