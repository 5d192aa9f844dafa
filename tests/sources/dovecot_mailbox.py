"""A mailbox on the test's Dovecot, as the contract of sources handles it; and what IMAP sources are opened with."""

import socket
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from imapclient import SEEN, IMAPClient

from local.dovecot import HOST, PASSWORD, Dovecot
from shared.adapters.proxy import ProxyAccess
from shared.adapters.services import SourceServices
from shared.adapters.sources import open_source
from shared.application.ports.connections import Source
from shared.domain.mailbox import Mailbox
from shared.domain.sign_in import TokenSignIn
from shared.settings import Settings, read_settings
from tests.sources.contract import Secrets, Stored

SECRET = "imap-password"


def settings(ca_file: object = "", *, allow_loopback: bool = True) -> Settings:
    environment = {
        "DATA_STORAGE": "UseDevelopmentStorage=true",
        "KEY_VAULT_URI": "https://vault.example",
        "POLL_SCHEDULE": "0 * * * * *",
        "EXTRA_CA_FILE": str(ca_file),
        "ALLOW_LOOPBACK_TARGETS": str(allow_loopback).lower(),
    }
    return read_settings(environment)


@dataclass
class Tokens:
    """`Tokens` that the test gives: the next one when one is forgotten, the last one for ever."""

    values: list[str] = field(default_factory=lambda: ["the-token"])
    forgotten: list[str] = field(default_factory=list)
    purpose: str = ""

    def token(self, sign_in: TokenSignIn, purpose: str) -> str:
        self.purpose = purpose
        return self.values[0]

    def through(self, proxy: ProxyAccess | None) -> Self:
        return self

    def forget(self, sign_in: TokenSignIn) -> None:
        self.forgotten.append(self.purpose)
        self.values = self.values[1:] or self.values


def services(secrets: Secrets, settings: Settings, tokens: Tokens | None = None) -> SourceServices:
    return SourceServices(settings, secrets, tokens or Tokens(), clock=lambda: datetime.now(UTC))


def imap_mailbox(source: dict[str, Any], **changes: Any) -> Mailbox:
    defaults = {
        "id": "help",
        "name": "Help",
        "address": "help@desk.example",
        "ticket_prefix": "SUP",
        "created_at": datetime.now(UTC),
        "intake": {"start_from": "beginning"},
    }
    sign_in = {"kind": "password", "account": "help@desk.example", "password_secret": SECRET}
    source = {"kind": "imap", "sign_in": sign_in, "host": HOST} | source
    return Mailbox.model_validate(defaults | changes | {"source": source})


class DovecotMailbox:
    """Implements `tests.sources.contract.Provider`."""

    inbox = "INBOX"
    stages = ("name", "port", "tls", "sign_in", "mailbox", "folder", "settlement", "waiting")
    secret_stage = "sign_in"

    def __init__(self, server: Dovecot) -> None:
        self.server = server
        self.user = f"{uuid.uuid4().hex}@desk.example"
        self.secrets = Secrets({SECRET: PASSWORD})
        self.hands = IMAPClient(HOST, server.imap_port, ssl=False)
        self.hands.login(self.user, PASSWORD)

    def close(self) -> None:
        self.hands.logout()

    def mailbox(self, source: dict[str, Any] | None = None, **changes: Any) -> Mailbox:
        sign_in = {"kind": "password", "account": self.user, "password_secret": SECRET}
        here = {"sign_in": sign_in, "port": self.server.imaps_port}
        return imap_mailbox(here | (source or {}), **changes)

    def open(self, mailbox: Mailbox, *, is_trusted: bool = True, is_up: bool = True) -> Source:
        if not is_up:
            nowhere = mailbox.source.model_copy(update={"port": unused_port()})
            mailbox = mailbox.model_copy(update={"source": nowhere})
        trusted = self.server.ca_file if is_trusted else ""
        return open_source(mailbox, services(self.secrets, settings(trusted)))

    def deliver(
        self, content: bytes, *, arrived_at: datetime | None = None, is_read: bool = False, folder: str | None = None
    ) -> None:
        moment = arrived_at or datetime.now(UTC)
        self.hands.append(folder or self.inbox, content, [SEEN] if is_read else (), moment)

    def stored(self, folder: str | None = None) -> list[Stored]:
        if not self.hands.folder_exists(folder or self.inbox):
            return []
        self.hands.select_folder(folder or self.inbox, readonly=True)
        found = self.hands.fetch(self.hands.search(), ["BODY.PEEK[]", "FLAGS"])
        return [Stored(data[b"BODY[]"], SEEN in data[b"FLAGS"]) for _, data in sorted(found.items())]

    def remove_oldest(self) -> None:
        self.hands.select_folder(self.inbox)
        oldest = min(self.hands.search())
        self.hands.delete_messages([oldest])
        self.hands.uid_expunge([oldest])

    def create_folder(self, path: str) -> None:
        self.hands.create_folder(path)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
