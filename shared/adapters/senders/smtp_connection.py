"""One session with an SMTP server: opened, secured, signed in, and bounded in time."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from shared.adapters.mail_server import MailServer
from shared.adapters.net import BoundedSocket, Timeouts
from shared.adapters.sasl import MECHANISMS, Mechanism, best_method, by_password, by_token, refuse_control_characters
from shared.adapters.senders.smtp_wire import SmtpWire, protocol_errors
from shared.adapters.sources.credentials import credentials
from shared.adapters.sources.services import SourceServices
from shared.domain.errors import AppError
from shared.domain.senders import Sender
from shared.domain.sign_in import PasswordSignIn

_GOODBYE_SECONDS = 5


class SmtpConnection(MailServer):
    """Connects on the first command, and again after the session ended."""

    def __init__(self, sender: Sender, services: SourceServices, timeouts: Timeouts) -> None:
        super().__init__(sender.transport, services, timeouts)
        sign_in = sender.transport.sign_in
        self.credentials = credentials(sender.from_address, sign_in, None, "smtp", services) if sign_in else None
        self._wire: SmtpWire | None = None

    @property
    def is_open(self) -> bool:
        return self._wire is not None

    @contextmanager
    def session(self) -> Iterator[SmtpWire]:
        """After an error a new session is begun: the server may be anywhere in the old one."""
        try:
            wire = self._wire or self._open()
            with protocol_errors():
                yield wire
        except AppError:
            self._drop()
            raise

    def _open(self) -> SmtpWire:
        self.dial(self.resolve())
        self.secure()
        return self.sign_in()

    def secure(self) -> BoundedSocket:
        """Start TLS as the mode wants it; the socket is what is used from then on."""
        sock = self._dialled()
        self._wire = SmtpWire(sock, self._timeouts)
        try:
            with protocol_errors():
                self._wire.begin()
                if self._uses("STARTTLS", is_offered=self._wire.has_extn("starttls")):
                    self._sock = sock = self._wire.secure(self._secured)
        except AppError:
            self._drop()
            raise
        return sock

    def sign_in(self) -> SmtpWire:
        assert self._wire is not None
        if self.credentials:
            self.credentials.prove(self._prove)
        return self._wire

    def _prove(self, secret: str) -> None:
        assert self._wire is not None
        with protocol_errors():
            self._wire.prove(self._mechanism(self._wire.esmtp_features.get("auth", "").upper().split(), secret))

    def _mechanism(self, offered: list[str], secret: str) -> Mechanism:
        assert self.credentials is not None
        sign_in, user = self.credentials.sign_in, self.credentials.user
        refuse_control_characters(user, secret)
        if not isinstance(sign_in, PasswordSignIn):
            return by_token(offered, user, secret, self._server.host, self._server.effective_port)
        known = {**MECHANISMS, "login": "LOGIN"}
        methods = {method for method, name in known.items() if name in offered}
        method = best_method(sign_in.method, methods, is_encrypted=self.is_encrypted)
        if method == "login":
            answers = iter((user.encode(), secret.encode()))
            return Mechanism("LOGIN", None, lambda _: next(answers, b""))
        return by_password(method, user, secret, self._sock)

    def close(self) -> None:
        if self._wire is not None:
            self._deadline.restart(_GOODBYE_SECONDS)
            with suppress(AppError), protocol_errors():
                self._wire.putcmd("QUIT")
                self._wire.getreply()
        self._drop()

    def _drop(self) -> None:
        if self._sock is not None:
            self._sock.close()
        if self._wire is not None:
            self._wire.file.close()
        self._wire = self._sock = None
