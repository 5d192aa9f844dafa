import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from local.smtp_server import HOST, SmtpServer, run_smtp_server
from shared.adapters.senders import open_sender
from shared.adapters.services import SourceServices
from shared.adapters.storage.clients import StorageClients
from shared.adapters.storage.documents import TableDocuments
from shared.application.deliver import deliver
from shared.application.outbox import sweep
from shared.application.own_ids import KEY_SECRET, OwnIds
from shared.application.poll import poll
from shared.application.ports.platform import DeliveryRequest, PollRequest
from shared.application.ports.tickets import Commit
from shared.application.services import Services
from shared.domain.contact import Contact, Role
from shared.domain.mailbox import Mailbox
from shared.domain.outgoing_rules import OutgoingRule
from shared.domain.senders import Sender
from shared.domain.sign_in import PasswordSignIn
from shared.domain.sources import ImapSource
from shared.domain.templates import Template
from shared.domain.webhooks import Subscription
from tests.intake.conftest import ManualClock, storage_services
from tests.intake.memory_source import MemoryMailbox
from tests.sources.contract import Secrets
from tests.sources.dovecot_mailbox import Tokens

__all__ = ["storage_services"]
SUPPORT = "support@example.com"


@dataclass
class Requests:
    """The queue `deliveries`, by the test's own clock."""

    clock: ManualClock
    waiting: list[tuple[datetime, DeliveryRequest]] = field(default_factory=list)

    def put(self, request: DeliveryRequest, delay: timedelta = timedelta()) -> None:
        self.waiting.append((self.clock.now + delay, request))

    def due(self) -> list[DeliveryRequest]:
        due = [request for at, request in self.waiting if at <= self.clock.now]
        self.waiting = [each for each in self.waiting if each[0] > self.clock.now]
        return due


@dataclass
class Office:
    """A mailbox in memory, real storage, and a real SMTP server that takes what it sends."""

    services: Services
    mailbox: Mailbox
    provider: MemoryMailbox
    clock: ManualClock
    smtp: SmtpServer
    requests: Requests

    def receive(self, *contents: bytes) -> None:
        """Take the messages in, and deliver what they cause."""
        self.provider.deliver(*contents)
        poll(self.services, PollRequest(self.mailbox.id, "schedule", "test"))
        self.deliver()
        self.clock.advance(minutes=1)

    def deliver(self) -> None:
        while due := self.requests.due():
            for request in due:
                deliver(self.services, request)

    def wait(self, **by: float) -> None:
        """Let time pass, minute by minute, as the queue and the sweep see it."""
        until = self.clock.now + timedelta(**by)
        while self.clock.now < until:
            self.clock.advance(minutes=1)
            if self.clock.now.minute % 5 == 0:
                sweep(self.services)
            self.deliver()

    def configure(self, **notices) -> None:
        current = self.services.mailboxes.get(self.mailbox.id)
        changed = current.value.notices.model_copy(update=notices)
        self.services.mailboxes.replace(current.value.model_copy(update={"notices": changed}), current.etag)

    def sender(self, id_: str = "out", server: SmtpServer | None = None, **changes) -> Sender:
        """Another sender, or the first, which is the primary one; unique in storage whatever it is called."""
        age = timedelta(seconds=len(self.services.senders.all()))
        transport = {"kind": "smtp", "host": HOST, "port": (server or self.smtp).port, "tls": {"mode": "none"}}
        sender = Sender.model_validate(
            {
                "id": f"{id_}-{self.mailbox.id}",
                "name": id_,
                "from_address": SUPPORT,
                "created_at": self.clock.now + age,
                "transport": transport,
                "limits": {"messages_per_minute": 1000},
            }
            | changes
        )
        self.services.senders.add(sender)
        self.services.senders.all()
        return sender

    def owes(self, *events) -> None:
        """Store events as somebody does who changes a ticket, and have them delivered."""
        self.services.tickets.commit(self.mailbox.id, Commit(outbox=events))
        self.requests.put(DeliveryRequest(self.mailbox.id))
        self.deliver()

    def contact(self, address: str, role: Role = Role.TECHNICIAN, **details) -> None:
        self.services.contacts.put_many([Contact(address=address, name="Tess", role=role, **details)])
        self.services.contacts.technicians()

    def sent(self) -> list[EmailMessage]:
        return [message_from_bytes(each.content, policy=policy.default) for each in self.smtp.received]

    def told(self) -> list[tuple[str, str]]:
        """To whom something was sent, and its subject."""
        return [(each["To"].addresses[0].addr_spec, each["Subject"]) for each in self.sent()]

    def ticket(self, number: int = 1):
        return self.services.tickets.ticket(self.mailbox.id, number).value

    def comments(self, number: int = 1):
        return self.services.tickets.comments(self.mailbox.id, number)

    def outbox(self):
        return self.services.tickets.outbox(self.mailbox.id)


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with run_smtp_server("none") as server:
        yield server


@pytest.fixture
def office(storage_services: Services, smtp: SmtpServer) -> Office:
    """With one sender."""
    made = make_office(storage_services, smtp)
    made.sender()
    return made


@pytest.fixture
def silent_office(storage_services: Services, smtp: SmtpServer) -> Office:
    """Without a sender."""
    return make_office(storage_services, smtp)


def make_office(storage_services: Services, smtp: SmtpServer, address: str = SUPPORT, prefix: str = "SUP") -> Office:
    """An organisation of its own: its configuration is in partitions that nobody else has."""
    name, clock, provider = f"o-{uuid.uuid4().hex[:12]}", ManualClock(), MemoryMailbox()
    clients = StorageClients(storage_services.settings.storage, None)
    secrets, requests = Secrets({KEY_SECRET: uuid.uuid4().hex}), Requests(clock)
    opening = SourceServices(storage_services.settings, secrets, Tokens(), clock)
    services = replace(
        storage_services,
        mailboxes=TableDocuments(clients, "mailboxes", f"{name}-mailbox", Mailbox),
        senders=TableDocuments(clients, "senders", f"{name}-sender", Sender),
        outgoing_rules=TableDocuments(clients, "senders", f"{name}-rule", OutgoingRule),
        templates=TableDocuments(clients, "mailboxes", f"{name}-template", Template),
        subscriptions=TableDocuments(clients, "mailboxes", f"{name}-subscription", Subscription),
        open_source=provider.open,
        open_sender=lambda sender, secrets=None: open_sender(sender, opening),  # noqa: ARG005 - as it is called
        own_ids=OwnIds(secrets),
        deliveries=requests,
        clock=clock,
    )
    mailbox = Mailbox(
        id=name,
        created_at=datetime(2026, 11, 21, tzinfo=UTC),
        name="Support",
        address=address,
        ticket_prefix=prefix,
        source=ImapSource(host="mail.example.com", sign_in=PasswordSignIn(account="x", password_secret="x")),
    )
    services.mailboxes.add(mailbox)
    return Office(services, mailbox, provider, clock, smtp, requests)
