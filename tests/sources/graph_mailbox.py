"""A mailbox on the test's simulated Graph, as the contract of sources handles it."""

from datetime import datetime
from typing import Any

from local.simulators import HOME_TENANT, Simulators
from local.simulators.graph_store import ROOT
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
APP = "aaaaaaaa-0000-4000-8000-000000000001"
SECRET = "graph-secret"


class GraphMailbox:
    """Implements `tests.sources.contract.Provider`."""

    inbox = "Inbox"
    stages = ("name", "port", "tls", "token", "sign_in", "mailbox", "folder", "settlement", "waiting")
    secret_stage = "token"

    def __init__(self, simulators: Simulators, clock: Clock) -> None:
        self.simulators = simulators
        self.secrets = Secrets({SECRET: "the-app-secret"})
        self._clock = clock
        self._tokens: dict[str, Tokens] = {}
        simulators.entra.add_app(APP, "the-app-secret")
        self.store = simulators.graph.mailboxes.add(ADDRESS)

    def mailbox(self, source: dict[str, Any] | None = None, **changes: Any) -> Mailbox:
        credential = {"kind": "secret", "secret": SECRET}
        sign_in = {"kind": "microsoft_app", "tenant": HOME_TENANT, "client_id": APP, "credential": credential}
        graph = {"kind": "graph", "sign_in": sign_in}
        mailbox = imap_mailbox({}, **changes)
        return Mailbox.model_validate(mailbox.model_dump() | {"address": ADDRESS, "source": graph | (source or {})})

    def services(self, *, is_trusted: bool = True, is_up: bool = True) -> SourceServices:
        environment = {
            "DATA_STORAGE": "UseDevelopmentStorage=true",
            "KEY_VAULT_URI": "https://vault.example",
            "POLL_SCHEDULE": "0 * * * * *",
            "LOGIN_ENDPOINT": self.simulators.url,
            "GRAPH_ENDPOINT": self.simulators.url if is_up else f"https://localhost:{unused_port()}",
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
        self.simulators.graph.deliver(ADDRESS, content, folder=folder or "inbox", received_at=arrived_at, read=is_read)

    def stored(self, folder: str | None = None) -> list[Stored]:
        found = self.simulators.graph.find(self.store, folder or "inbox")
        messages = self.store.within(found) if found else []
        return [Stored(self.store.raw(message), message.is_read) for message in messages]

    def remove_oldest(self) -> None:
        inbox = self.simulators.graph.find(self.store, "inbox")
        assert inbox is not None
        self.store.take_away(self.store.within(inbox)[0])

    def create_folder(self, path: str) -> None:
        parent, _, name = path.rpartition("/")
        place = self.simulators.graph.find(self.store, parent or ROOT)
        assert place is not None
        assert self.store.add_folder(place, name) is not None
