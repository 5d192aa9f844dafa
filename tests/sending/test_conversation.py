"""A whole conversation over real servers: Postfix takes the mail of both sides, Dovecot has their mailboxes."""

import smtplib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime

import pytest
from fastapi.testclient import TestClient
from imapclient import IMAPClient

from local.dovecot import PASSWORD
from local.smtp_server import SmtpServer
from shared.adapters.senders import open_sender
from shared.adapters.services import SourceServices
from shared.adapters.sources import open_source
from shared.application.own_ids import KEY_SECRET, OwnIds
from shared.domain.fields import Tls
from shared.domain.mailbox import Intake
from shared.domain.sign_in import PasswordSignIn
from shared.domain.sources import ImapSource
from shared.entrypoints.http.app import build
from tests.sending.conftest import Office, make_office
from tests.sources.contract import Secrets
from tests.sources.dovecot_mailbox import Tokens, settings

SECRET = "mail-password"


@dataclass
class Customer:
    """Somebody with a mail client."""

    address: str
    smtp_port: int
    imap_port: int
    arrived: Callable[[], None]

    def write(self, to: str, subject: str, text: str, answering: EmailMessage | None = None) -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = f"Ann Smith <{self.address}>", to, subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = f"<{uuid.uuid4().hex}@customer.example>"
        if answering:
            message["In-Reply-To"] = answering["Message-ID"]
            message["References"] = f"{answering['References'] or ''} {answering['Message-ID']}".strip()
        message.set_content(text)
        with smtplib.SMTP("localhost", self.smtp_port) as server:
            server.send_message(message)
        self.arrived()

    def read(self) -> list[EmailMessage]:
        self.arrived()
        with IMAPClient("localhost", self.imap_port, ssl=False) as client:
            client.login(self.address, PASSWORD)
            client.select_folder("INBOX")
            found = client.fetch(client.search(), ["BODY.PEEK[]"])
        return [message_from_bytes(data[b"BODY[]"], policy=policy.default) for _, data in sorted(found.items())]

    @staticmethod
    def reply(message: EmailMessage, text: str) -> tuple[str, str]:
        """To whom and what, as mail clients do: the new text above what is quoted."""
        quoted = "\n".join(f"> {line}" for line in plain(message).splitlines())
        to = (message["Reply-To"] or message["From"]).addresses[0].addr_spec
        return to, f"{text}\n\nOn Sat, Nov 21, 2026 at 10:00 Support wrote:\n\n{quoted}\n"


def plain(message: EmailMessage) -> str:
    return message.get_body(("plain",)).get_content()


@pytest.fixture
def office(storage_services, postfix, dovecot) -> Office:
    """The mailbox is in Dovecot, and the sender at Postfix."""
    address = f"help-{uuid.uuid4().hex[:8]}@desk.example"
    made = make_office(storage_services, SmtpServer(), address)
    made.clock.now = datetime.now(UTC)
    secrets = Secrets({SECRET: PASSWORD, KEY_SECRET: uuid.uuid4().hex})
    secrets.expires_at = {}.get
    reading = SourceServices(settings(dovecot.ca_file), secrets, Tokens(), made.clock)
    sending = SourceServices(settings(postfix.ca_file), secrets, Tokens(), made.clock)
    made.services = replace(
        made.services,
        secrets=secrets,
        own_ids=OwnIds(secrets),
        open_source=lambda mailbox, secrets=None: open_source(mailbox, reading),  # noqa: ARG005 - as it is called
        open_sender=lambda sender, secrets=None: open_sender(sender, sending),  # noqa: ARG005 - as it is called
    )
    sign_in = PasswordSignIn(account=address, password_secret=SECRET)
    trusting = Tls(ca_certificate=dovecot.ca_file.read_text())
    source = ImapSource(host="localhost", port=dovecot.imaps_port, sign_in=sign_in, tls=trusting)
    current = made.services.mailboxes.get(made.mailbox.id)
    changes = {"source": source, "intake": Intake(start_from="beginning")}
    made.services.mailboxes.replace(current.value.model_copy(update=changes), current.etag)
    transport = {"kind": "smtp", "host": "localhost", "port": postfix.tls_port, "sign_in": sign_in.model_dump()}
    made.sender(from_address=address, transport=transport)
    return made


@pytest.fixture
def customer(postfix, dovecot) -> Customer:
    address = f"ann-{uuid.uuid4().hex[:8]}@customer.example"
    return Customer(address, postfix.starttls_port, dovecot.imap_port, postfix.wait_until_delivered)


def test_a_conversation_from_the_first_message_to_the_reopened_ticket(office, customer):
    api, technician = TestClient(build(office.services)), f"bob-{uuid.uuid4().hex[:8]}@staff.example"
    api.put(f"/api/contacts/{technician}", json={"name": "Bob Miller", "role": "technician"})

    def change(method: str, path: str, body: dict) -> None:
        version = api.get("/api/tickets/SUP-1").headers["ETag"]
        answer = api.request(method, f"/api/tickets/SUP-1{path}", json=body, headers={"If-Match": version})
        assert answer.status_code < 300, answer.text
        office.deliver()
        office.clock.advance(minutes=1)

    # A ticket and an acknowledgement
    customer.write(office.mailbox.address, "The printer is on fire", "Hello,\n\ncould you please help me with it?\n")
    office.receive()
    (acknowledgement,) = customer.read()
    assert acknowledgement["Subject"] == "Re: [SUP-1] The printer is on fire"
    assert acknowledgement["Auto-Submitted"] == "auto-replied"

    # The technician answers, and the customer sees it in the same thread
    comment = {"kind": "public", "html": "<p>Have you tried <b>sand</b>?</p>", "author": technician}
    change("POST", "/comments", comment)
    answer = customer.read()[-1]
    assert plain(answer).strip() == "Have you tried sand?"
    assert "<b>sand</b>" in answer.get_body(("html",)).get_content()
    first = acknowledgement["In-Reply-To"]
    assert (answer["In-Reply-To"], answer["References"], answer["Auto-Submitted"]) == (first, first, None)

    # The customer answers above the quote; the ticket shows what is new
    to, text = customer.reply(answer, "Yes. It burns still.")
    customer.write(to, f"Re: {answer['Subject']}", text, answering=answer)
    office.receive()
    comments = api.get("/api/tickets/SUP-1").json()["comments"]
    assert [each["text"].strip() for each in comments][-1] == "Yes. It burns still."

    # It is closed, and a late answer opens it again
    change("PATCH", "", {"status": "closed"})
    closed = customer.read()[-1]
    assert "closed your ticket SUP-1" in plain(closed)
    office.clock.advance(days=2)
    to, text = customer.reply(closed, "It burns again.")
    customer.write(to, f"Re: {closed['Subject']}", text, answering=closed)
    office.receive()
    ticket = api.get("/api/tickets/SUP-1").json()
    assert (ticket["status"], len(ticket["comments"])) == ("open", 4)
    assert "reopened your ticket SUP-1" in plain(customer.read()[-1])
    assert office.outbox() == []
    assert office.clock.now - datetime.now(UTC) > timedelta(days=1)
