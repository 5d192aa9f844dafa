"""What the composition root hands to the entry points."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shared.application.own_ids import OwnIds
from shared.application.ports.connections import SenderConnection, SignInService, Source, Watcher, WebhookPoster
from shared.application.ports.platform import Clock, DeliveryRequest, PollRequest, Queue, SecretStore
from shared.application.ports.stores import (
    AuditStore,
    ContactStore,
    DocumentStore,
    ScheduleStore,
    SenderStates,
    SignInStore,
    WatchStore,
)
from shared.application.ports.tickets import RawStore, RetentionStore, TicketStore
from shared.domain.announcements import Announcement
from shared.domain.erasures import Erasure
from shared.domain.imports import Import
from shared.domain.installation import Installation
from shared.domain.mailbox import Mailbox
from shared.domain.outgoing_rules import OutgoingRule
from shared.domain.senders import Sender
from shared.domain.templates import Template
from shared.domain.ticket_types import TicketType
from shared.domain.webhooks import Subscription
from shared.settings import Settings


class OpenSource(Protocol):
    """Opens the source of a mailbox. Its secrets can come from elsewhere, for a mailbox that is not saved."""

    def __call__(self, mailbox: Mailbox, secrets: SecretStore | None = None) -> Source:
        """`secrets` takes the place of the vault; nothing that it hands out may outlive the source in a cache."""


class OpenSender(Protocol):
    """Opens the connection of a sender, in the same way."""

    def __call__(self, sender: Sender, secrets: SecretStore | None = None) -> SenderConnection: ...


@dataclass(frozen=True, slots=True)
class Services:
    """`caller` is who asks for what is done with them; nobody but the app itself, unless it is told."""

    installation: DocumentStore[Installation]
    mailboxes: DocumentStore[Mailbox]
    ticket_types: DocumentStore[TicketType]
    senders: DocumentStore[Sender]
    outgoing_rules: DocumentStore[OutgoingRule]
    templates: DocumentStore[Template]
    announcements: DocumentStore[Announcement]
    sender_states: SenderStates
    subscriptions: DocumentStore[Subscription]
    imports: DocumentStore[Import]
    erasures: DocumentStore[Erasure]
    tickets: TicketStore
    raws: RawStore
    retention: RetentionStore
    contacts: ContactStore
    audit: AuditStore
    schedule: ScheduleStore
    watches: WatchStore
    polls: Queue[PollRequest]
    deliveries: Queue[DeliveryRequest]
    secrets: SecretStore
    own_ids: OwnIds
    open_source: OpenSource
    open_sender: OpenSender
    open_watcher: Callable[[Mailbox], Watcher]
    webhooks: WebhookPoster
    sign_ins: SignInStore
    sign_in_service: SignInService
    clock: Clock
    settings: Settings
    caller: str = "mailroom"
