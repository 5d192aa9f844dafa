"""One connection to an IMAP server: opened, secured, signed in, and bounded in time."""

import imaplib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from shared.adapters.mail_server import MailServer
from shared.adapters.net import BoundedSocket, Timeouts
from shared.adapters.sasl import MECHANISMS, best_method, by_password, by_token, refuse_control_characters
from shared.adapters.sources.credentials import credentials
from shared.adapters.sources.imap_wire import Client, CommandRefused, protocol_errors
from shared.adapters.sources.services import SourceServices
from shared.domain.errors import AppError
from shared.domain.mailbox import Mailbox
from shared.domain.sign_in import PasswordSignIn
from shared.domain.sources import ImapSource

_GOODBYE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class OpenFolder:
    """The selected folder. `path` is as the configuration has it; None as `settable_flags` means any."""

    path: str
    uidvalidity: int
    uidnext: int
    message_count: int
    settable_flags: frozenset[bytes] | None
    is_writable: bool


class ImapConnection(MailServer):
    """Connects on the first command, and again after the connection broke."""

    def __init__(self, mailbox: Mailbox, services: SourceServices, max_literal_bytes: int, timeouts: Timeouts) -> None:
        assert isinstance(mailbox.source, ImapSource)
        super().__init__(mailbox.source, services, timeouts)
        self._settings = source = mailbox.source
        self._credentials = credentials(mailbox.address, source.sign_in, source.mailbox, "imap", services)
        self._max_literal_bytes = max_literal_bytes
        self._client: Client | None = None
        self.folder: OpenFolder | None = None

    @contextmanager
    def command(self, purpose: str, extra_seconds: float = 0) -> Iterator[Client]:
        """Run one command, or a few short ones, within the time limit.

        :raises CommandRefused: the connection can be used further; after any other error a new one is made.
        """
        client = self._client or self._open()
        self._deadline.restart(self._timeouts.command + extra_seconds)
        client.wire.purpose = purpose
        client.wire.untagged_responses.clear()  # the library keeps for ever what nobody asks for
        try:
            with protocol_errors():
                yield client
        except CommandRefused:
            raise
        except AppError:
            self._drop()
            raise

    def _open(self) -> Client:
        try:
            self.dial(self.resolve())
            self.secure()
            return self.sign_in()
        except AppError:
            self._drop()
            raise

    def secure(self) -> BoundedSocket:
        """Start TLS as the mode wants it, and hear the greeting; the socket is what is used from then on."""
        self._sock = self._dialled()
        with protocol_errors():
            self._client = Client(self._sock, self._max_literal_bytes)
            if self._uses("STARTTLS", is_offered="STARTTLS" in self._client.wire.capabilities):
                self._sock = self._client.wire.secure(self._secured)
        return self._sock

    def sign_in(self) -> Client:
        assert self._client is not None
        self._credentials.prove(partial(self._attempt, self._client), CommandRefused)
        return self._client

    def _attempt(self, client: Client, secret: str) -> None:
        self._deadline.restart(self._timeouts.command)
        with protocol_errors():
            self._prove(client, secret)

    def _prove(self, client: Client, secret: str) -> None:
        wire, settings, user = client.wire, self._settings, self._credentials.user
        wire.purpose = "sign in"
        refuse_control_characters(user, secret)
        mechanisms = [offer[5:] for offer in wire.capabilities if offer.startswith("AUTH=")]
        if not isinstance(settings.sign_in, PasswordSignIn):
            wire.prove(by_token(mechanisms, user, secret, settings.host, settings.effective_port))
        else:
            offered = {method for method, name in MECHANISMS.items() if name in mechanisms}
            if "LOGINDISABLED" not in wire.capabilities and (user + secret).isascii():
                offered.add("login")
            if settings.mailbox:
                offered.discard("ntlm")  # it knows nobody but the account
            method = best_method(settings.sign_in.method, offered, is_encrypted=self.is_encrypted)
            wire.sign_in(user, secret) if method == "login" else wire.prove(
                by_password(method, user, secret, self._sock)
            )
        if "CAPABILITY" in wire.untagged_responses:
            client.capabilities()  # came for free; without this the library would ask for them later

    def close(self) -> None:
        if self._client is not None:
            self._deadline.restart(_GOODBYE_SECONDS)
            with suppress(AppError, imaplib.IMAP4.error):
                self._client.logout()
        self._drop()

    def _drop(self) -> None:
        if self._client is not None:
            with suppress(OSError):
                self._client.wire.shutdown()
        if self._sock is not None:
            self._sock.close()
        self._client = self._sock = self.folder = None
