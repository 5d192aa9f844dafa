"""One session with a POP3 server: opened, secured, signed in, and bounded in time."""

import base64
import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from shared.adapters.net import BoundedSocket, Deadline, Endpoint, Timeouts, connect, resolve
from shared.adapters.sources.pop3_wire import ADVICE_ON_SIGN_IN, CommandRefused, Pop3Wire, protocol_errors
from shared.adapters.sources.services import SourceServices
from shared.adapters.tls import BoundedTlsSocket, start_tls
from shared.domain.errors import AppError, CredentialsRejected, SourceMisconfigured
from shared.domain.mailbox import Mailbox
from shared.domain.sign_in import PasswordSignIn, TokenSignIn
from shared.domain.sources import Pop3Source

_GOODBYE_SECONDS = 5
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Pop3Connection:
    """Connects on the first command, and again after the session ended. A session sees the mailbox as it was when it
    began, and numbers its messages anew.
    """

    def __init__(self, mailbox: Mailbox, services: SourceServices, timeouts: Timeouts) -> None:
        assert isinstance(mailbox.source, Pop3Source)
        self._settings = mailbox.source
        self._address = mailbox.address
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
        assert self._wire is not None
        sign_in = self._settings.sign_in
        if isinstance(sign_in, PasswordSignIn):
            secret = self._services.secrets.get(sign_in.password_secret)
        else:
            secret = self._services.tokens.token(sign_in, "pop")
        self._deadline.restart(self._timeouts.command)
        self._wire.purpose = "sign in"
        try:
            with protocol_errors():
                self._authenticate(self._wire, sign_in, secret)
        except (CommandRefused, CredentialsRejected) as exc:
            if isinstance(sign_in, PasswordSignIn):
                self._services.secrets.forget(sign_in.password_secret)
            else:
                self._services.tokens.forget(sign_in, "pop")
            raise CredentialsRejected(
                "The server rejects the sign-in.", advice=exc.advice or ADVICE_ON_SIGN_IN
            ) from exc
        return self._wire

    def _authenticate(self, wire: Pop3Wire, sign_in: PasswordSignIn | TokenSignIn, secret: str) -> None:
        user = getattr(sign_in, "account", None) or self._address
        if _CONTROL.search(user + secret):
            advice = "Store the secret anew, without a line break at its end."
            raise CredentialsRejected("The user name or the secret holds a control character.", advice=advice)
        method = sign_in.method if isinstance(sign_in, PasswordSignIn) else "xoauth2"
        if method == "auto":
            method = "plain" if "PLAIN" in wire.capabilities.get("SASL", []) else "login"
        match method:
            case "login":
                wire.user(user)
                wire.pass_(secret)
            case "plain":
                _exchange(wire, "PLAIN", f"\0{user}\0{secret}")
            case "xoauth2":
                _exchange(wire, "XOAUTH2", f"user={user}\x01auth=Bearer {secret}\x01\x01")
            case "cram_md5":
                _answer_challenge(wire, user, secret)
            case _:
                advice = "Choose `auto`, or another method that the server offers."
                raise SourceMisconfigured(f"There is no way to sign in to POP3 by {method}.", advice=advice)

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


def _exchange(wire: Pop3Wire, mechanism: str, response: str) -> None:
    """In two lines: Exchange takes no other form, and a command has 255 bytes at most (RFC 5034 section 4)."""
    wire.request(f"AUTH {mechanism}")
    if not wire.request(_base64(response)).startswith(b"+OK"):
        wire.request("")  # what is wrong was told as a challenge: once that is answered, -ERR follows


def _answer_challenge(wire: Pop3Wire, user: str, password: str) -> None:
    """CRAM-MD5 (RFC 2195)."""
    challenge = base64.b64decode(wire.request("AUTH CRAM-MD5").removeprefix(b"+ "))
    digest = hmac.new(password.encode(), challenge, "md5").hexdigest()
    wire.request(_base64(f"{user} {digest}"))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
