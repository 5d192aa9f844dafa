import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from local.azurite import Azurite
from shared.application.poll import poll
from shared.application.ports.platform import PollRequest
from shared.application.ports.tickets import ChangedTicket, Commit
from shared.application.services import Services
from shared.bootstrap import compose
from shared.domain.contact import Contact, Role
from shared.domain.mailbox import Mailbox
from shared.domain.sign_in import PasswordSignIn
from shared.domain.sources import ImapSource
from shared.domain.ticket import Status
from shared.settings import Settings, StorageSettings
from tests.intake.memory_source import MemoryMailbox


class ManualClock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Desk:
    """A mailbox in memory, polled into real storage."""

    services: Services
    mailbox: Mailbox
    provider: MemoryMailbox
    clock: ManualClock

    def configure(self, **changes) -> None:
        etag = self.services.mailboxes.get(self.mailbox.id).etag
        self.services.mailboxes.replace(self.mailbox.model_copy(update=changes), etag)

    def saved(self) -> Mailbox:
        return self.services.mailboxes.get(self.mailbox.id).value

    def poll(self, **request) -> None:
        poll(self.services, PollRequest(self.mailbox.id, "schedule", "test", **request))
        self.clock.advance(minutes=5)

    def contact(self, address: str, role: Role = Role.TECHNICIAN, **known) -> None:
        self.services.contacts.put_many([Contact(address=address, role=role, **known)])

    def change(self, number: int, **changes) -> None:
        """Change a ticket as people do, between polls."""
        before = self.services.tickets.ticket(self.mailbox.id, number)
        state, etag = self.services.tickets.state(self.mailbox.id)
        after = replace(before.value, updated_at=self.clock.now, **changes)
        self.services.tickets.commit(
            self.mailbox.id, Commit(state, etag, changed_tickets=[ChangedTicket(before, after)])
        )

    def close(self, number: int) -> None:
        self.change(number, status=Status.CLOSED, closed_at=self.clock.now)

    def tickets(self):
        found = self.services.tickets.tickets(self.mailbox.id, open_only=False, limit=1000, before=None)
        return sorted(found, key=lambda ticket: ticket.number)

    def comments(self, number: int):
        return self.services.tickets.comments(self.mailbox.id, number)

    def runs(self):
        return self.services.tickets.runs(self.mailbox.id, 100)

    def quarantine(self):
        return self.services.tickets.quarantine(self.mailbox.id)

    def state(self):
        return self.services.tickets.state(self.mailbox.id)[0]

    def health(self):
        return self.services.schedule.get(self.mailbox.id)


@pytest.fixture(scope="session")
def storage_services(azurite: Azurite) -> Iterator[Services]:
    settings = Settings(
        storage=StorageSettings(azurite.connection_string, "", "", ""),
        key_vault_uri="https://vault.invalid",
        login_endpoint="https://login.invalid",
        graph_endpoint="https://graph.invalid",
        google_login_endpoint="https://google.invalid",
        google_token_endpoint="https://google.invalid",
        gmail_endpoint="https://google.invalid",
        public_url="",
        allow_secret_writes=False,
        extra_ca_file=None,
        allow_loopback_targets=True,
    )
    return compose(settings)


@pytest.fixture
def desk(storage_services: Services) -> Iterator[Desk]:
    yield from _desk(storage_services, "support@example.com")


@pytest.fixture
def billing(storage_services: Services) -> Iterator[Desk]:
    """Another mailbox of the same organisation."""
    yield from _desk(storage_services, "billing@example.com")


def _desk(storage_services: Services, address: str) -> Iterator[Desk]:
    name = uuid.uuid4().hex
    mailbox = Mailbox(
        id=f"desk-{name[:12]}",
        created_at=datetime(2026, 11, 21, tzinfo=UTC),
        name=name,
        address=address,
        ticket_prefix="SUP" if address.startswith("support") else "BIL",
        source=ImapSource(
            host="mail.example.com", sign_in=PasswordSignIn(account="support", password_secret="support-password")
        ),
    )
    provider, clock = MemoryMailbox(), ManualClock()
    services = replace(storage_services, open_source=provider.open, clock=clock)
    services.mailboxes.add(mailbox)
    yield Desk(services, mailbox, provider, clock)
    services.mailboxes.delete(mailbox.id, services.mailboxes.get(mailbox.id).etag)
