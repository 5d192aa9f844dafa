"""A mailbox on the test's simulated Gmail, as the contract of sources handles it."""

import json
from datetime import datetime
from typing import Any

from local.simulators import Simulators
from local.simulators.google import MODIFY, new_key_file
from shared.adapters.services import SourceServices
from shared.adapters.sources import open_source
from shared.adapters.tokens import Tokens
from shared.application.ports.connections import Source
from shared.application.ports.platform import Clock
from shared.domain.mailbox import Mailbox
from shared.settings import read_settings
from tests.sources.contract import Secrets, Stored
from tests.sources.dovecot_mailbox import imap_mailbox, unused_port

ADDRESS = "help@desk.example"
SECRET = "gmail-key"
SERVICE_ACCOUNT = "mailroom@project.iam.gserviceaccount.com"


class GmailMailbox:
    """Implements `tests.sources.contract.Provider`."""

    inbox = "INBOX"
    stages = ("name", "port", "tls", "token", "sign_in", "mailbox", "folder", "settlement", "waiting")
    secret_stage = "token"

    def __init__(self, simulators: Simulators, clock: Clock) -> None:
        self.simulators = simulators
        self.key = new_key_file(SERVICE_ACCOUNT, f"{simulators.url}/token")
        self.secrets = Secrets({SECRET: json.dumps(self.key)})
        self._clock = clock
        simulators.google.add_service_account(self.key, [MODIFY])
        self.store = simulators.gmail.mailboxes.add(ADDRESS, units_per_minute=100_000)

    def mailbox(self, source: dict[str, Any] | None = None, **changes: Any) -> Mailbox:
        gmail = {"kind": "gmail", "sign_in": {"kind": "google_service", "key_secret": SECRET}}
        mailbox = imap_mailbox({}, **changes)
        return Mailbox.model_validate(mailbox.model_dump() | {"address": ADDRESS, "source": gmail | (source or {})})

    def services(self, *, is_trusted: bool = True, is_up: bool = True) -> SourceServices:
        environment = {
            "DATA_STORAGE": "UseDevelopmentStorage=true",
            "KEY_VAULT_URI": "https://vault.example",
            "POLL_SCHEDULE": "0 * * * * *",
            "GOOGLE_TOKEN_ENDPOINT": f"{self.simulators.url}/token",
            "GMAIL_ENDPOINT": self.simulators.url if is_up else f"https://localhost:{unused_port()}",
            "EXTRA_CA_FILE": str(self.simulators.ca_file) if is_trusted else "",
            "ALLOW_LOOPBACK_TARGETS": "true",
        }
        settings = read_settings(environment)
        return SourceServices(settings, self.secrets, Tokens(settings, self.secrets, self._clock), self._clock)

    def open(self, mailbox: Mailbox, *, is_trusted: bool = True, is_up: bool = True) -> Source:
        return open_source(mailbox, self.services(is_trusted=is_trusted, is_up=is_up))

    def deliver(
        self, content: bytes, *, arrived_at: datetime | None = None, is_read: bool = False, folder: str | None = None
    ) -> None:
        labels = [self._label(folder or self.inbox) or ""]
        self.simulators.gmail.deliver(ADDRESS, content, labels=labels, received_at=arrived_at, read=is_read)

    def stored(self, folder: str | None = None) -> list[Stored]:
        label = self._label(folder or self.inbox)
        found = [message for message in self.store.newest_first()[::-1] if label in message.labels]
        return [Stored(self.store.raw(message), "UNREAD" not in message.labels) for message in found]

    def remove_oldest(self) -> None:
        self.store.delete(self.store.newest_first()[-1])

    def create_folder(self, path: str) -> None:
        assert self.store.add_label(path) is not None

    def _label(self, path: str) -> str | None:
        return next(
            (label for label, name in self.store.labels.items() if name == path), path if path.isupper() else None
        )
