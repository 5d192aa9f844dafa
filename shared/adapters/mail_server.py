"""A connection to a mail server, whatever it speaks: dialled, secured, signed in, and bounded in time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Generic, Protocol, TypeVar

from shared.adapters.connection import Connection
from shared.adapters.credentials import Credentials
from shared.adapters.net import BoundedSocket, Timeouts
from shared.adapters.refusals import CommandRefused
from shared.adapters.sasl import MECHANISMS, Mechanism, best_method, by_password, by_token, refuse_control_characters
from shared.adapters.services import SourceServices
from shared.adapters.tls import BoundedTlsSocket
from shared.domain.errors import AppError, SourceMisconfigured, SourceUnavailable
from shared.domain.senders import SmtpTransport
from shared.domain.sign_in import PasswordSignIn
from shared.domain.sources import ImapSource, Pop3Source

_GOODBYE_SECONDS = 5


class Wire(Protocol):
    """What speaks a protocol: with its greeting heard, and with what the server is capable of."""

    @property
    def mechanisms(self) -> Collection[str]:
        """Those of SASL that the server offers."""

    def start(self, purpose: str) -> None: ...
    def errors(self) -> AbstractContextManager[None]:
        """The seam for what its library raises."""

    def takes(self, command: str) -> bool: ...
    def takes_login(self, user: str, secret: str) -> bool: ...
    def secure(self, start: Callable[[BoundedSocket], BoundedSocket]) -> BoundedSocket: ...
    def sign_in(self, user: str, password: str) -> None: ...
    def prove(self, mechanism: Mechanism) -> None: ...
    def leave(self) -> object: ...
    def close(self) -> None: ...


W = TypeVar("W", bound=Wire)


class MailServer(Connection, ABC, Generic[W]):
    """Connects on the first command, and again after the session ended. Without credentials nobody signs in."""

    starttls = "STARTTLS"

    def __init__(
        self,
        server: ImapSource | Pop3Source | SmtpTransport,
        services: SourceServices,
        credentials: Credentials | None,
        timeouts: Timeouts,
    ) -> None:
        super().__init__(server.host, server.effective_port, server.tls, services, timeouts)
        self.credentials = credentials
        self._server = server
        self._wire: W | None = None

    @property
    def is_open(self) -> bool:
        return self._wire is not None

    @contextmanager
    def command(self, purpose: str, extra_seconds: float = 0) -> Iterator[W]:
        """Run one command, or a few short ones, within the time limit.

        :raises CommandRefused: the session goes on; after any other error a new one is begun.
        """
        wire = self._wire or self._open()
        self._deadline.restart(self._timeouts.command + extra_seconds)
        wire.start(purpose)
        try:
            with wire.errors():
                yield wire
        except CommandRefused:
            raise
        except AppError:
            self.drop()
            raise

    def _open(self) -> W:
        try:
            self.dial(self.resolve())
            self.secure()
            return self.sign_in()
        except AppError:
            self.drop()
            raise

    def _welcomed(self, sock: BoundedSocket) -> W:
        try:
            return self._greeted(sock)
        except SourceUnavailable as error:
            if not isinstance(error.__cause__, TimeoutError) or isinstance(sock, BoundedTlsSocket):
                raise
            advice = (
                "Check the port and the TLS mode: ports such as 993, 995 and 465 keep silent until TLS, and need `tls`."
            )
            raise SourceUnavailable("The server says nothing on this port.", advice=advice) from error

    @abstractmethod
    def _greeted(self, sock: BoundedSocket) -> W: ...

    def secure(self) -> BoundedSocket:
        """Start TLS as the mode wants it, and hear the greeting; the socket is what is used from then on. An offer is
        always taken: a handshake that fails must not end in plain text.
        """
        assert self._sock is not None
        self._deadline.restart(self._timeouts.command)
        mode, command = self._server.tls.mode, self.starttls
        if mode == "tls":
            self._sock = self._secured(self._sock)
        wire = self._wire = self._welcomed(self._sock)
        if wire.takes(command) and mode.startswith("starttls"):
            with wire.errors():
                self._sock = wire.secure(self._secured)
        elif mode == "starttls":
            advice = f"Use the mode `tls` with its own port, or have {command} turned on at the server."
            raise SourceMisconfigured(f"The server does not offer {command} on this port.", advice=advice)
        return self._sock

    def sign_in(self) -> W:
        assert self._wire is not None
        if self.credentials:
            self.credentials.prove(partial(self._prove, self._wire, self.credentials))
        return self._wire

    def _prove(self, wire: W, who: Credentials, secret: str) -> None:
        self._deadline.restart(self._timeouts.command)
        wire.start("sign in")
        refuse_control_characters(who.user, secret)
        with wire.errors():
            if not isinstance(who.sign_in, PasswordSignIn):
                wire.prove(by_token(wire.mechanisms, who.user, secret, self._server.host, self._server.effective_port))
                return
            offered = {method for method, name in MECHANISMS.items() if name in wire.mechanisms}
            if wire.takes_login(who.user, secret):
                offered.add("login")
            if who.is_for_another:
                offered.discard("ntlm")  # it knows nobody but the account
            is_encrypted = isinstance(self._sock, BoundedTlsSocket)
            method = best_method(who.sign_in.method, offered, is_encrypted=is_encrypted)
            if method == "login":
                wire.sign_in(who.user, secret)
            else:
                wire.prove(by_password(method, who.user, secret, self._sock))

    def close(self) -> None:
        if self._wire is not None:
            self._deadline.restart(_GOODBYE_SECONDS)
            with suppress(AppError), self._wire.errors():
                self._wire.leave()
        self.drop()

    def drop(self) -> None:
        """What was not ended by the protocol's own words is left undone by the server."""
        if self._wire is not None:
            with suppress(OSError):
                self._wire.close()
        self._wire = None
        super().drop()
