"""The composition root: settings in, services out. The only place that knows every adapter."""

import os
from datetime import UTC, datetime
from functools import cache

from shared import telemetry
from shared.adapters.identity import AppIdentity
from shared.adapters.senders import open_sender
from shared.adapters.services import SourceServices
from shared.adapters.sources import open_source, open_watcher
from shared.adapters.storage.audit import TableAuditStore
from shared.adapters.storage.clients import DELIVERIES_QUEUE, POLLS_QUEUE, StorageClients
from shared.adapters.storage.contacts import TableContactStore
from shared.adapters.storage.documents import TableDocuments
from shared.adapters.storage.queues import StorageQueue
from shared.adapters.storage.raws import TableAndBlobRawStore
from shared.adapters.storage.retention import TableRetentionStore
from shared.adapters.storage.schedule import TableScheduleStore
from shared.adapters.storage.sender_states import TableSenderStates
from shared.adapters.storage.sign_ins import TableSignInStore
from shared.adapters.storage.tickets import TableTicketStore
from shared.adapters.storage.watches import TableWatchStore
from shared.adapters.tokens import Tokens
from shared.adapters.tokens.browser import BrowserSignIns
from shared.adapters.vault import KeyVaultSecrets
from shared.adapters.webhooks import HttpsWebhooks
from shared.application.own_ids import KEY_SECRET, MAKING, OwnIds
from shared.application.ports.platform import Clock, SecretStore
from shared.application.services import Services
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
from shared.settings import Settings, read_settings


def utc_now() -> datetime:
    return datetime.now(UTC)


@cache
def services() -> Services:
    """The services of this process. :raises SettingsError: with every problem of the app settings."""
    telemetry.start()
    return compose(read_settings(os.environ))


def compose(settings: Settings, clock: Clock = utc_now) -> Services:
    """Everything is connected on first use: composing opens nothing."""
    credential = AppIdentity(settings)
    clients = StorageClients(settings.storage, credential)
    vault = KeyVaultSecrets(settings, credential, clock)
    watches = TableWatchStore(clients)
    vault_tokens = Tokens(settings, vault, clock)

    def with_secrets(secrets: SecretStore | None) -> SourceServices:
        tokens = Tokens(settings, secrets, clock) if secrets else vault_tokens
        return SourceServices(settings, secrets or vault, tokens, clock)

    def may_make_key() -> bool:
        now = clock()
        return settings.allow_secret_writes and watches.ask(f"secret|{KEY_SECRET}", now, now + MAKING)

    return Services(
        installation=TableDocuments(clients, "mailboxes", "installation", Installation),
        mailboxes=TableDocuments(clients, "mailboxes", "mailbox", Mailbox),
        ticket_types=TableDocuments(clients, "mailboxes", "ticket type", TicketType),
        senders=TableDocuments(clients, "senders", "sender", Sender),
        outgoing_rules=TableDocuments(clients, "senders", "outgoing rule", OutgoingRule),
        templates=TableDocuments(clients, "mailboxes", "template", Template),
        announcements=TableDocuments(clients, "mailboxes", "announcement", Announcement),
        sender_states=TableSenderStates(clients),
        erasures=TableDocuments(clients, "mailboxes", "erasure", Erasure),
        imports=TableDocuments(clients, "mailboxes", "import", Import),
        subscriptions=TableDocuments(clients, "mailboxes", "subscription", Subscription),
        tickets=TableTicketStore(clients),
        raws=TableAndBlobRawStore(clients),
        retention=TableRetentionStore(clients),
        contacts=TableContactStore(clients),
        audit=TableAuditStore(clients),
        schedule=TableScheduleStore(clients),
        watches=watches,
        polls=StorageQueue(clients, POLLS_QUEUE),
        deliveries=StorageQueue(clients, DELIVERIES_QUEUE),
        secrets=vault,
        own_ids=OwnIds(vault, may_make_key),
        open_source=lambda mailbox, secrets=None: open_source(mailbox, with_secrets(secrets)),
        open_sender=lambda sender, secrets=None: open_sender(sender, with_secrets(secrets)),
        open_watcher=lambda mailbox: open_watcher(mailbox, with_secrets(None)),
        webhooks=HttpsWebhooks(settings),
        sign_ins=TableSignInStore(clients),
        sign_in_service=BrowserSignIns(vault_tokens),
        clock=clock,
        settings=settings,
    )
