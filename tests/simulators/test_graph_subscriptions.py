"""The simulated Graph takes subscriptions as strictly as the real one (facts that production code relies on)."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from local.simulators import Simulators
from tests.clock import MovableClock
from tests.simulators.conftest import APP, MAILBOX, SECRET, Client

URL = "https://app.example/hook"
SUBSCRIPTIONS = "/v1.0/subscriptions"


class _Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = parse_qs(urlsplit(self.path).query).get("validationToken", [""])[0]
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if "html" in self.path else "text/plain")
        self.end_headers()
        self.wfile.write(token.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def graph(simulators: Simulators, client: Client) -> Iterator[Client]:
    simulators.entra.add_app(APP, SECRET, roles=["Mail.Read"])
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        simulators.graph.subscriptions.fronts["https://app.example"] = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield client.sign_in()
        server.shutdown()


def asked(clock: MovableClock, minutes: int = 4200, **changes: Any) -> dict[str, Any]:
    resource = f"/users/{MAILBOX}/mailFolders('inbox')/messages"
    expiry = (clock() + timedelta(minutes=minutes)).isoformat()
    return {
        "changeType": "created", "notificationUrl": URL, "resource": resource, "expirationDateTime": expiry, **changes
    }  # fmt: skip


def test_a_subscription_is_made_shown_renewed_and_deleted(graph: Client, clock: MovableClock) -> None:
    made = graph.request("POST", SUBSCRIPTIONS, json=asked(clock))
    one = f"{SUBSCRIPTIONS}/{made.json()['id']}"

    clock.advance(minutes=10)
    renewed = graph.request("PATCH", one, json={"expirationDateTime": asked(clock)["expirationDateTime"]})

    assert (made.status_code, renewed.status_code) == (201, 200)
    assert renewed.json()["expirationDateTime"] > made.json()["expirationDateTime"]
    assert [each["id"] for each in graph.request("GET", SUBSCRIPTIONS).json()["value"]] == [made.json()["id"]]
    assert graph.request("DELETE", one).status_code == 204
    assert graph.request("PATCH", one, json={"expirationDateTime": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"minutes": 10_081}, 400),
        ({"minutes": -1}, 400),
        ({"notificationUrl": "http://app.example/hook"}, 400),
        ({"notificationUrl": f"{URL}?html"}, 400),
        ({"lifecycleNotificationUrl": "https://localhost:1/nobody"}, 400),
        ({"clientState": "x" * 129}, 400),
        ({"changeType": "everything"}, 400),
        ({"surprise": 1}, 400),
        ({"resource": "/me/events"}, 400),
        ({"resource": f"/users/{MAILBOX}/mailFolders('nowhere')/messages"}, 404),
    ],
)
def test_what_graph_does_not_take_is_refused(
    graph: Client, clock: MovableClock, changes: dict[str, Any], status: int
) -> None:
    assert graph.request("POST", SUBSCRIPTIONS, json=asked(clock, **changes)).status_code == status


def test_the_same_twice_is_a_conflict_until_the_first_has_expired(graph: Client, clock: MovableClock) -> None:
    graph.request("POST", SUBSCRIPTIONS, json=asked(clock, minutes=50))
    assert graph.request("POST", SUBSCRIPTIONS, json=asked(clock)).status_code == 409

    clock.advance(minutes=51)

    assert graph.request("POST", SUBSCRIPTIONS, json=asked(clock)).status_code == 201


def test_whoever_may_not_read_the_mailbox_is_told_nothing_of_it(
    simulators: Simulators, graph: Client, clock: MovableClock
) -> None:
    simulators.entra.add_app(APP, SECRET, roles=["Mail.Send"])
    graph.sign_in()

    assert graph.request("POST", SUBSCRIPTIONS, json=asked(clock)).status_code == 403
