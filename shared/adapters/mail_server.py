"""A connection to a mail server, whatever it speaks: dialled, secured, signed in, and bounded in time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Generic, Protocol, TypeVar

from shared.adapters.connection import Connection
from shared.adapters.net import BoundedSocket, Timeouts
from shared.adapters.sasl import MECHANISMS, Mechanism, best_method, by_password, by_token, refuse_control_characters
from shared.adapters.sources.credentials import Credentials
from shared.adapters.sources.errors import CommandRefused
from shared.adapters.sources.services import SourceServices
from shared.adapters.tls import BoundedTlsSocket
from shared.domain.errors import AppError, SourceMisconfigured
from shared.domain.fields import Tls
from shared.domain.sign_in import PasswordSignIn

_GOODBYE_SECONDS = 5


class ServerSettings(Protocol):
    @property
    def host(self) -> str: ...
    @property
    def effective_port(self) -> int: ...
    @property
    def tls(self) -> Tls: ...


class MailServer(Connection):
    def __init__(self, server: ServerSettings, services: SourceServices, timeouts: Timeouts) -> None:
        super().__init__(server.host, server.effective_port, server.tls, services, timeouts)
        self._server = server

    @property
    def is_encrypted(self) -> bool:
        return isinstance(self._sock, BoundedTlsSocket)

    def _dialled(self) -> BoundedSocket:
        """The connection, in TLS where its mode begins with that."""
        assert self._sock is not None
        self._deadline.restart(self._timeouts.command)
        if self._server.tls.mode == "tls":
            self._sock = self._secured(self._sock)
        return self._sock

    def _uses(self, command: str, *, is_offered: bool) -> bool:
        """Whether to start TLS now by that command. An offer is always taken: a handshake that fails must not end in
        plain text.
        """
        mode = self._server.tls.mode
        if mode == "starttls" and not is_offered:
            advice = f"Use the mode `tls` with its own port, or have {command} turned on at the server."
            raise SourceMisconfigured(f"The server does not offer {command} on this port.", advice=advice)
        return is_offered and mode.startswith("starttls")


class Wire(Protocol):
    """What speaks a protocol: with its greeting heard, and with what the server is capable of."""

    @property
    def mechanisms(self) -> Collection[str]:
        """Those of SASL that the server offers."""

    def begin(self, purpose: str) -> None: ...
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


class MailSession(MailServer, ABC, Generic[W]):
    """Connects on the first command, and again after the session ended."""

    starttls = "STARTTLS"

    def __init__(self, server: ServerSettings, credentials: Credentials, timeouts: Timeouts) -> None:
        super().__init__(server, credentials.services, timeouts)
        self._credentials = credentials
        self._wire: W | None = None

    @contextmanager
    def command(self, purpose: str, extra_seconds: float = 0) -> Iterator[W]:
        """Run one command, or a few short ones, within the time limit.

        :raises CommandRefused: the session goes on; after any other error a new one is begun.
        """
        wire = self._wire or self._open()
        self._deadline.restart(self._timeouts.command + extra_seconds)
        wire.begin(purpose)
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

    @abstractmethod
    def _greeted(self, sock: BoundedSocket) -> W: ...

    def secure(self) -> BoundedSocket:
        """Start TLS as the mode wants it, and hear the greeting; the socket is what is used from then on."""
        wire = self._wire = self._greeted(self._dialled())
        if self._uses(self.starttls, is_offered=wire.takes(self.starttls)):
            with wire.errors():
                self._sock = wire.secure(self._secured)
        assert self._sock is not None
        return self._sock

    def sign_in(self) -> W:
        assert self._wire is not None
        self._credentials.prove(self._prove, CommandRefused)
        return self._wire

    def _prove(self, secret: str) -> None:
        assert self._wire is not None
        wire, sign_in, user = self._wire, self._credentials.sign_in, self._credentials.user
        self._deadline.restart(self._timeouts.command)
        wire.begin("sign in")
        refuse_control_characters(user, secret)
        with wire.errors():
            if not isinstance(sign_in, PasswordSignIn):
                wire.prove(by_token(wire.mechanisms, user, secret, self._server.host, self._server.effective_port))
                return
            offered = {method for method, name in MECHANISMS.items() if name in wire.mechanisms}
            if wire.takes_login(user, secret):
                offered.add("login")
            if self._credentials.is_for_another:
                offered.discard("ntlm")  # it knows nobody but the account
            method = best_method(sign_in.method, offered, is_encrypted=self.is_encrypted)
            if method == "login":
                wire.sign_in(user, secret)
            else:
                wire.prove(by_password(method, user, secret, self._sock))

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
