import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import trustme

from local.azurite import Azurite
from shared.adapters.net import Timeouts
from shared.adapters.webhooks import HttpsWebhooks
from shared.application.ports.stores import Versioned
from shared.application.ports.tickets import Commit
from shared.application.services import Services
from shared.bootstrap import compose
from shared.domain.mailbox import Mailbox
from shared.domain.message import Address
from shared.domain.outbox import EventType, OutboxEntry, event
from shared.domain.sign_in import PasswordSignIn
from shared.domain.sources import ImapSource
from shared.domain.ticket import Comment, CommentKind, Status, Ticket
from shared.domain.webhooks import Subscription
from shared.settings import Settings, read_settings
from tests.clock import MovableClock
from tests.sources.contract import Secrets
from tests.webhooks.receiver import Receiver, run_receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATIENT = Timeouts(connect=60, idle=60, command=60)
"""Answers come however slow the machine is."""


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def receiver(authority: trustme.CA, ca_file: str) -> Iterator[Receiver]:
    with run_receiver(authority, ca_file) as running:
        yield running


@pytest.fixture
def settings(ca_file: str) -> Settings:
    return settings_with(EXTRA_CA_FILE=ca_file)


def settings_with(**changes: str) -> Settings:
    environment = {
        "DATA_STORAGE": "UseDevelopmentStorage=true",
        "KEY_VAULT_URI": "https://vault.example",
        "POLL_SCHEDULE": "0 * * * * *",
        "ALLOW_LOOPBACK_TARGETS": "true",
    }
    return read_settings(environment | changes)


@pytest.fixture
def webhooks(settings: Settings) -> HttpsWebhooks:
    return HttpsWebhooks(settings, PATIENT)


@pytest.fixture
def impatient(settings: Settings) -> HttpsWebhooks:
    """For those who never answer."""
    return HttpsWebhooks(settings, Timeouts(connect=2, idle=0.5, command=1))


@dataclass
class Desk:
    """A mailbox with a ticket, in real storage, and who is told of it."""

    services: Services
    clock: MovableClock
    secrets: Secrets
    mailbox: Mailbox
    url: str

    def subscribe(self, **changes: Any) -> Subscription:
        given = {"url": self.url, "signing_secret": "hook", "mailboxes": (self.mailbox.id,), **changes}
        name = f"hook-{uuid.uuid4().hex[:12]}"
        subscription = Subscription(**given, id=name, name=name, created_at=self.clock())
        self.services.subscriptions.add(subscription)
        return subscription

    def stored(self, subscription: Subscription) -> Versioned[Subscription] | None:
        return self.services.subscriptions.get(subscription.id)

    def change(self, subscription: Subscription, **changes: Any) -> None:
        found = self.stored(subscription)
        self.services.subscriptions.replace(found.value.model_copy(update=changes), found.etag)

    def remove(self, subscription: Subscription) -> None:
        self.services.subscriptions.delete(subscription.id, self.stored(subscription).etag)

    def ticket(self, **changes: Any) -> Ticket:
        """Number 1, with one comment."""
        anna = Address("anna@example.com", "Anna")
        at = self.clock()
        made = Ticket(
            anna,
            "Printer is on fire",
            mailbox_id=self.mailbox.id,
            number=1,
            prefix="SUP",
            status=Status.NEW,
            created_at=at,
            updated_at=at,
            comment_count=1,
        )
        comment = Comment(1, 1, CommentKind.PUBLIC, anna, at, "It burns since noon.")
        ticket = replace(made, **changes)
        self.services.tickets.commit(self.mailbox.id, Commit(new_tickets=[ticket], comments=[comment]))
        return ticket

    def event(self, type_: EventType = EventType.TICKET_CREATED, **details: Any) -> OutboxEntry:
        return event(type_, "1", self.clock(), **({"ticket": 1, "seq": 1} | details))


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(scope="session")
def composed(azurite: Azurite, ca_file: str) -> Services:
    return compose(settings_with(DATA_STORAGE=azurite.connection_string, EXTRA_CA_FILE=ca_file))


@pytest.fixture
def desk(composed: Services, webhooks: HttpsWebhooks, receiver: Receiver, clock: MovableClock) -> Iterator[Desk]:
    secrets = Secrets({"hook": SECRET})
    services = replace(composed, webhooks=webhooks, clock=clock, secrets=secrets)
    name = f"desk-{uuid.uuid4().hex[:12]}"
    source = ImapSource(host="mail.example.com", sign_in=PasswordSignIn(account="x", password_secret="x"))
    mailbox = Mailbox(
        id=name, name=name, address="desk@example.com", ticket_prefix="SUP", source=source, created_at=clock()
    )
    services.mailboxes.add(mailbox)
    yield Desk(services, clock, secrets, mailbox, receiver.url)
    for each in services.subscriptions.all():
        services.subscriptions.delete(each.value.id, each.etag)
    services.mailboxes.delete(name, services.mailboxes.get(name).etag)
