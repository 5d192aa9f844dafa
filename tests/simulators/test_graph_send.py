"""Sending by `sendMail` with MIME (facts of the service: its documentation and recorded answers)."""

from base64 import b64encode

import pytest
import requests

from local.simulators import Simulators
from tests.simulators.conftest import APP, MAILBOX, SECRET, Client

RAW = (
    f"From: {MAILBOX}\r\nTo: Ann <ann@x.example>\r\nBcc: bob@x.example,\r\n cid@x.example\r\nSubject: Hi\r\n\r\nHi\r\n"
)


@pytest.fixture
def graph(simulators: Simulators, client: Client) -> Client:
    simulators.entra.add_app(APP, SECRET, roles=["Mail.Read", "Mail.Send"])
    return client.sign_in()


def sent(graph: Client, body: bytes, kind: str = "text/plain", mailbox: str = MAILBOX) -> requests.Response:
    return graph.request("POST", f"/v1.0/users/{mailbox}/sendMail", data=body, headers={"Content-Type": kind})


def error_of(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_message_is_kept_and_leaves_without_its_hidden_recipients(simulators: Simulators, graph: Client) -> None:
    answer = sent(graph, b64encode(RAW.encode()))

    assert (answer.status_code, answer.content) == (202, b"")
    [message] = simulators.post.sent
    assert message.recipients == ("ann@x.example", "bob@x.example", "cid@x.example")
    assert message.raw.decode() == RAW.replace("Bcc: bob@x.example,\r\n cid@x.example\r\n", "")
    [kept] = graph.mail("GET", "/mailFolders/sentitems/messages?$select=subject,isRead").json()["value"]
    assert (kept["subject"], kept["isRead"]) == ("Hi", True)


def test_what_is_no_base64_is_refused(graph: Client) -> None:
    assert error_of(sent(graph, b"From: help")) == (400, "ErrorMimeContentInvalidBase64String")


def test_a_message_without_recipients_is_refused(graph: Client) -> None:
    raw = f"From: {MAILBOX}\r\n\r\n".encode()

    assert error_of(sent(graph, b64encode(raw))) == (400, "ErrorInvalidRecipients")


def test_another_s_address_takes_the_right_to_send_as_it(simulators: Simulators, graph: Client) -> None:
    raw = b64encode(RAW.replace(MAILBOX, "desk@example.com").encode())
    assert error_of(sent(graph, raw)) == (403, "ErrorSendAsDenied")

    simulators.graph.mailboxes.get(MAILBOX).send_as.append("desk@example.com")

    assert sent(graph, raw).status_code == 202


def test_a_request_has_its_limit(simulators: Simulators, graph: Client) -> None:
    simulators.graph.max_request_bytes = 100

    assert sent(graph, b64encode(RAW.encode())).status_code == 413


def test_reading_is_no_right_to_send(simulators: Simulators, client: Client) -> None:
    simulators.entra.add_app(APP, SECRET, roles=["Mail.ReadWrite"])

    assert error_of(sent(client.sign_in(), b"?")) == (403, "ErrorAccessDenied")
