"""One session with a POP3 server: opened, secured, signed in, and bounded in time."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from shared.adapters.mail_server import MailServer
from shared.adapters.net import BoundedSocket, Timeouts
from shared.adapters.sasl import MECHANISMS, best_method, by_password, by_token, refuse_control_characters
from shared.adapters.sources.credentials import credentials
from shared.adapters.sources.pop3_wire import CommandRefused, Pop3Wire, protocol_errors
from shared.adapters.sources.services import SourceServices
from shared.domain.errors import AppError, SourceMisconfigured
from shared.domain.mailbox import Mailbox
from shared.domain.sign_in import PasswordSignIn
from shared.domain.sources import Pop3Source

_GOODBYE_SECONDS = 5


class Pop3Connection(MailServer):
    """Connects on the first command, and again after the session ended. A session sees the mailbox as it was when it
    began, and numbers its messages anew.
    """

    def __init__(self, mailbox: Mailbox, services: SourceServices, timeouts: Timeouts) -> None:
        assert isinstance(mailbox.source, Pop3Source)
        super().__init__(mailbox.source, services, timeouts)
        self._settings = mailbox.source
        self._credentials = credentials(mailbox.address, mailbox.source.sign_in, None, "pop", services)
        self._wire: Pop3Wire | None = None
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

    def secure(self) -> BoundedSocket:
        """Start TLS as the mode wants it, and hear the greeting; the socket is what is used from then on."""
        self._sock = self._dialled()
        with protocol_errors():
            self._wire = Pop3Wire(self._sock)
            if self._uses("STLS", is_offered="STLS" in self._wire.capabilities):
                self._sock = self._wire.secure(self._secured)
        return self._sock

    def sign_in(self) -> Pop3Wire:
        assert self._wire is not None
        self._credentials.prove(partial(self._attempt, self._wire), CommandRefused)
        return self._wire

    def _attempt(self, wire: Pop3Wire, secret: str) -> None:
        self._deadline.restart(self._timeouts.command)
        with protocol_errors():
            self._prove(wire, secret)

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
        method = best_method(settings.sign_in.method, offered, is_encrypted=self.is_encrypted)
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
