from contextlib import ExitStack

import pytest

from local.simulators import Simulators
from tests.clock import MovableClock
from tests.simulators.conftest import APP, MAILBOX, SECRET, Client

INBOX = "/mailFolders/inbox"


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer junk"}, {"Authorization": "Basic eDp5"}])
def test_without_a_token_nobody_comes_in(client: Client, header: dict[str, str]) -> None:
    answer = client.mail("GET", INBOX, headers=header)

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_stops_working_when_it_expires(graph: Client, clock: MovableClock) -> None:
    assert graph.mail("GET", INBOX).status_code == 200

    clock.advance(seconds=3599)

    assert graph.mail("GET", INBOX).status_code == 401


def test_a_token_for_another_audience_is_refused(client: Client) -> None:
    client.sign_in(scope="https://vault.azure.net/.default")

    assert "Invalid audience" in client.mail("GET", INBOX).json()["error"]["message"]


@pytest.mark.parametrize(
    ("roles", "read", "write"), [([], 403, 403), (["Mail.Read"], 200, 403), (["Mail.ReadWrite"], 200, 201)]
)
def test_the_roles_of_the_app_decide_what_it_may_do(
    simulators: Simulators, client: Client, roles: list[str], read: int, write: int
) -> None:
    simulators.entra.add_app(APP, SECRET, roles=roles)
    client.sign_in()

    assert client.mail("GET", INBOX).status_code == read
    assert client.mail("POST", f"{INBOX}/childFolders", json={"displayName": "Done"}).status_code == write


def test_an_app_may_be_limited_to_listed_mailboxes(simulators: Simulators, client: Client) -> None:
    simulators.graph.mailboxes.add("boss@example.com")
    simulators.entra.add_app(APP, SECRET, mailboxes=[MAILBOX])
    client.sign_in()

    assert client.mail("GET", INBOX).status_code == 200
    denied = client.request("GET", "/v1.0/users/boss@example.com/mailFolders/inbox")
    assert denied.status_code == 403
    assert denied.json()["error"]["code"] == "ErrorAccessDenied"


def test_an_unknown_mailbox_is_not_found(graph: Client) -> None:
    answer = graph.request("GET", "/v1.0/users/nobody@example.com/mailFolders/inbox")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "ErrorInvalidUser"


def test_a_mailbox_of_another_tenant_is_not_found(simulators: Simulators, graph: Client) -> None:
    simulators.graph.mailboxes.add("other@example.net", tenant="22222222-2222-3333-4444-555555555555")

    assert graph.request("GET", "/v1.0/users/other@example.net/mailFolders/inbox").status_code == 404


def test_a_mailbox_without_a_licence_is_not_enabled(simulators: Simulators, graph: Client) -> None:
    simulators.graph.mailboxes.add(MAILBOX).enabled = False

    assert graph.mail("GET", INBOX).json()["error"]["code"] == "MailboxNotEnabledForRESTAPI"


def test_a_mailbox_serves_four_requests_at_a_time(simulators: Simulators, graph: Client) -> None:
    message = simulators.graph.deliver(MAILBOX, b"\r\n" + b"x" * 20_000_000)
    path = f"/messages/{message.immutable_id}/$value"

    with ExitStack() as held:
        for _ in range(4):
            assert held.enter_context(graph.mail("GET", path, stream=True)).status_code == 200
        fifth = graph.mail("GET", INBOX)

    assert fifth.status_code == 429
    assert fifth.json()["error"]["code"] == "ApplicationThrottled"
    assert fifth.headers["Retry-After"] == "1"


def test_what_graph_does_not_have_is_not_found(graph: Client) -> None:
    assert graph.request("GET", "/v1.0/me/unheard-of").status_code == 404


def test_a_post_needs_to_say_how_long_it_is(graph: Client) -> None:
    answer = graph.mail("POST", "/mailFolders", data=iter([b"{}"]))

    assert answer.status_code == 411
