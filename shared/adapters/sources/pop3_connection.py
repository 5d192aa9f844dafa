"""One session with a POP3 server: opened, secured, signed in, and bounded in time."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from shared.adapters.net import BoundedSocket, Deadline, Endpoint, Timeouts, connect, resolve
from shared.adapters.sasl import MECHANISMS, best_method, by_password, by_token, refuse_control_characters
from shared.adapters.sources.credentials import credentials
from shared.adapters.sources.pop3_wire import CommandRefused, Pop3Wire, protocol_errors
from shared.adapters.sources.services import SourceServices
from shared.adapters.tls import BoundedTlsSocket, start_tls
from shared.domain.errors import AppError, CredentialsRejected, SourceMisconfigured
from shared.domain.mailbox import Mailbox
from shared.domain.sign_in import PasswordSignIn
from shared.domain.sources import Pop3Source

_GOODBYE_SECONDS = 5


class Pop3Connection:
    """Connects on the first command, and again after the session ended. A session sees the mailbox as it was when it
    began, and numbers its messages anew.
    """

    def __init__(self, mailbox: Mailbox, services: SourceServices, timeouts: Timeouts) -> None:
        assert isinstance(mailbox.source, Pop3Source)
        self._settings = mailbox.source
        self._credentials = credentials(mailbox, mailbox.source.sign_in, None, "pop", services)
        self._services = services
        self._timeouts = timeouts
        self._deadline = Deadline(timeouts)
        self._wire: Pop3Wire | None = None
        self._sock: BoundedSocket | None = None
        self._numbers: dict[str, int] | None = None

    @contextmanager
    def command(self, purpose: str, extra_seconds: float = 0) -> Iterator[Pop3Wire]:
        """Run one command, or a few short ones, within the time limit.

        :raises CommandRefused: the session goes on; after any other error a new one is begun.
        """
        wire = self._wire or self._open()
        self._deadline.restart(self._timeouts.command + extra_seconds)
        wire.purpose = purpose
        try:
            with protocol_errors():
                yield wire
        except CommandRefused:
            raise
        except AppError:
            self.drop()
            raise

    def numbers(self) -> dict[str, int]:
        """The number in this session of each message by its unique id, in the server's order."""
        if self._numbers is None:
            try:
                with self.command("list messages") as wire:
                    self._numbers = {uidl: number for number, uidl in wire.table("UIDL")}
            except CommandRefused as exc:
                advice = "Read the mailbox by IMAP, or have UIDL turned on at the server."
                raise SourceMisconfigured("The server has no unique ids for messages (UIDL).", advice=advice) from exc
        return self._numbers

    def _open(self) -> Pop3Wire:
        try:
            self.dial(self.resolve())
            self.secure()
            return self.sign_in()
        except AppError:
            self.drop()
            raise

    def resolve(self) -> Endpoint:
        settings = self._settings
        return resolve(settings.host, settings.effective_port, self._services.settings, self._services.proxy)

    def dial(self, endpoint: Endpoint) -> None:
        self._deadline.restart(self._timeouts.connect)
        self._sock = connect(endpoint, self._deadline)

    def secure(self) -> BoundedSocket:
        """Start TLS as the mode wants it, and hear the greeting; the socket is what is used from then on."""
        assert self._sock is not None
        self._deadline.restart(self._timeouts.command)
        if self._settings.tls.mode == "tls":
            self._sock = self._secured(self._sock)
        with protocol_errors():
            self._wire = Pop3Wire(self._sock)
            if self._uses_stls(self._wire):
                self._sock = self._wire.secure(self._secured)
        return self._sock

    def _secured(self, sock: BoundedSocket) -> BoundedTlsSocket:
        return start_tls(sock, self._settings.host, self._settings.tls, self._services.settings)

    def _uses_stls(self, wire: Pop3Wire) -> bool:
        """Whether to start TLS now. An offer is always taken: a handshake that fails must not end in plain text."""
        if not self._settings.tls.mode.startswith("starttls"):
            return False
        if "STLS" not in wire.capabilities and self._settings.tls.mode == "starttls":
            advice = "Use the mode `tls` with its own port, or have STLS turned on at the server."
            raise SourceMisconfigured("The server does not offer STLS on this port.", advice=advice)
        return "STLS" in wire.capabilities

    def sign_in(self) -> Pop3Wire:
        """Tried once more where the secret that is refused is not the newest."""
        assert self._wire is not None
        for is_last in (False, True):
            secret = self._credentials.secret()
            self._deadline.restart(self._timeouts.command)
            try:
                with protocol_errors():
                    self._prove(self._wire, secret)
            except (CommandRefused, CredentialsRejected) as refusal:
                if is_last or not self._credentials.has_newer(secret):
                    raise self._credentials.rejected(refusal) from refusal
            else:
                break
        return self._wire

    def _prove(self, wire: Pop3Wire, secret: str) -> None:
        settings, user = self._settings, self._credentials.user
        wire.purpose = "sign in"
        refuse_control_characters(user, secret)
        mechanisms = wire.capabilities.get("SASL", [])
        if not isinstance(settings.sign_in, PasswordSignIn):
            wire.prove(by_token(mechanisms, user, secret, settings.host, settings.effective_port))
            return
        offered = {method for method, name in MECHANISMS.items() if name in mechanisms}
        if "USER" in wire.capabilities or not mechanisms:
            offered.add("login")
        is_encrypted = isinstance(self._sock, BoundedTlsSocket)
        method = best_method(settings.sign_in.method, offered, is_encrypted=is_encrypted)
        wire.sign_in(user, secret) if method == "login" else wire.prove(by_password(method, user, secret, self._sock))

    def quit(self) -> None:
        """End the session: only now are messages deleted. :raises CommandRefused: they may still be there."""
        try:
            with self.command("delete messages") as wire:
                wire.request("QUIT")
        finally:
            self.drop()

    def close(self) -> None:
        if self._wire is not None:
            self._deadline.restart(_GOODBYE_SECONDS)
            with suppress(AppError), protocol_errors():
                self._wire.request("QUIT")
        self.drop()

    def drop(self) -> None:
        """Leave without a word: messages that were marked as deleted stay."""
        if self._wire is not None:
            with suppress(OSError):
                self._wire.close()
        if self._sock is not None:
            self._sock.close()
        self._wire = self._sock = self._numbers = None
