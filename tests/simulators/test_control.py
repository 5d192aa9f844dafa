import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local.simulators import Simulators
from tests.simulators.conftest import APP, MAILBOX, SECRET, Client


def arrange(client: Client) -> None:
    for what, body in {
        "apps": {"client_id": APP, "secret": SECRET, "vault": "user"},
        "mailboxes": {"address": MAILBOX},
        "secrets": {"name": "mail-password", "value": "x"},
    }.items():
        assert client.request("POST", f"/_control/{what}", json=body).status_code == 204
    delivery = f"/_control/messages?mailbox={MAILBOX}&received_at=2026-11-01T00:00:00Z"
    assert client.request("POST", delivery, data=b"Subject: Hi\r\n\r\n").status_code == 204


def test_other_processes_can_arrange_and_look(client: Client) -> None:
    arrange(client)

    [message] = client.request("GET", "/_control/state").json()[MAILBOX]["Inbox"]

    assert (message["subject"], message["receivedDateTime"]) == ("Hi", "2026-11-01T00:00:00Z")


def test_other_processes_can_order_faults_and_read_the_counters(client: Client) -> None:
    assert client.request("POST", "/_control/faults", json={"match": "entra.token", "status": 503}).status_code == 204

    assert client.form().status_code == 503
    assert client.request("GET", "/_control/counts").json()["entra.token"] == 1
    client.request("DELETE", "/_control/counts")
    assert "entra.token" not in client.request("GET", "/_control/counts").json()


@pytest.mark.parametrize(
    ("what", "body"), [("mailboxes", {}), ("apps", {"colour": 1}), ("messages?mailbox=nobody@example.com", {})]
)
def test_a_wrong_order_is_refused(client: Client, what: str, body: dict) -> None:
    assert client.request("POST", f"/_control/{what}", json=body).status_code == 400


def test_a_second_start_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    with Simulators(tmp_path / "ca.pem", tmp_path / "state") as first:
        client = Client(first)
        with client.session:
            arrange(client)
            client.sign_in()
            message = client.mail("GET", "/mailFolders/inbox/messages").json()["value"][0]["id"]
            link = client.mail("GET", "/mailFolders/inbox/messages/delta").json()["@odata.deltaLink"]
            client.mail("PATCH", f"/messages/{message}", json={"isRead": True})
            client.mail("POST", f"/messages/{message}/move", json={"destinationId": "archive"})

    with Simulators(tmp_path / "ca.pem", tmp_path / "state") as second:
        client = Client(second)
        with client.session:
            client.sign_in()
            moved = client.mail("GET", "/mailFolders/archive/messages").json()["value"][0]
            changes = client.mail("GET", link.replace(first.url, second.url)).json()["value"]
            secret = client.sign_in(scope="https://vault.azure.net/.default").request(
                "GET", "/secrets/mail-password?api-version=7.6"
            )

    assert (moved["id"], moved["isRead"], moved["subject"]) == (message, True, "Hi")
    assert [change["@removed"]["reason"] for change in changes] == ["deleted"]
    assert secret.json()["value"] == "x"


def test_the_simulators_run_as_a_process_of_their_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local.simulators", "--ca", str(tmp_path / "ca.pem")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)

    assert "https://localhost:" in said
    assert process.returncode == 0
