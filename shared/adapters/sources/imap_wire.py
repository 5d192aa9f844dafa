"""imaplib and imapclient over a socket that is given; what they report becomes our errors at one seam."""

import imaplib
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from imapclient import IMAPClient

from shared.adapters.net import BoundedSocket, network_errors
from shared.adapters.refusals import CommandRefused, meanings
from shared.adapters.sasl import Mechanism
from shared.domain.errors import AccessDenied, AppError, SourceMisbehaved, SourceUnavailable, Throttled

_NOT_CONNECTED = re.compile(r"authenticated but not connected", re.IGNORECASE)
_BUSY = re.compile(r"request is throttled|too many (?:simultaneous|concurrent) connections", re.IGNORECASE)
_BACKOFF = re.compile(r"Backoff Time: (\d+) milliseconds", re.IGNORECASE)


def _refusal(purpose: str, answer: str) -> AppError:
    """What NO or BAD means. Exchange and Gmail give no code for the texts that are looked for here."""
    code = re.match(r"\[([A-Z]+)", answer)
    if code and (meaning := meanings("imap").get(code[1])):
        return meaning.error(f"The server refused to {purpose} with the code {code[1]}.")
    if _NOT_CONNECTED.search(answer):
        advice = "Turn on IMAP for this mailbox and allow the account to open it; if it is, the server may be busy."
        return AccessDenied("The account is signed in, but the server does not open its mailbox.", advice=advice)
    if _BUSY.search(answer):
        wait = _BACKOFF.search(answer)
        retry_after = timedelta(milliseconds=int(wait[1])) if wait else None
        return Throttled("The server asks for fewer requests.", retry_after=retry_after)
    return CommandRefused(f"The server refused to {purpose}.")


class Wire(imaplib.IMAP4):
    """imaplib over a socket that is given. What it knows as data becomes an error before it turns into text."""

    def __init__(self, sock: BoundedSocket, max_literal_bytes: int) -> None:
        self.purpose = "begin"
        self._given = sock
        self._max_literal_bytes = max_literal_bytes
        self._is_leaving = False
        super().__init__()

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:  # noqa: ARG002 - imaplib's
        self._use(self._given)

    def _use(self, sock: BoundedSocket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")

    def read(self, size: int) -> bytes:
        if size > self._max_literal_bytes:
            raise SourceMisbehaved("The server sends far more than it announced.")
        with network_errors():
            return super().read(size)

    def readline(self) -> bytes:
        with network_errors():
            line = super().readline()
        if not line.endswith(b"\n"):
            raise SourceUnavailable("The server closed the connection.")
        return line

    def send(self, data: Any) -> None:
        with network_errors():
            super().send(data)

    def _append_untagged(self, kind: str, data: Any) -> None:
        if kind == "BYE" and not self._is_leaving:
            raise SourceUnavailable("The server ended the session.")
        super()._append_untagged(kind, data)  # type: ignore[misc]  # typeshed does not know this method

    def _get_tagged_response(self, tag: bytes, expect_bye: bool = False) -> tuple[str, list[bytes]]:
        status, data = super()._get_tagged_response(tag, expect_bye)  # type: ignore[misc]  # nor this one
        if status in ("NO", "BAD"):
            raise _refusal(self.purpose, data[-1].decode("utf-8", "replace"))
        return status, data

    def secure(self, start: Callable[[BoundedSocket], BoundedSocket]) -> BoundedSocket:
        """STARTTLS. What was said before may be somebody else's and is forgotten (RFC 3501 section 6.2.1)."""
        self._simple_command("STARTTLS")
        self._given = secured = start(self._given)
        self._use(secured)
        self.untagged_responses.clear()
        self._get_capabilities()
        return secured

    def sign_in(self, user: str, password: str) -> None:
        self._simple_command("LOGIN", self._quote(user), self._quote(password))
        self.state = "AUTH"

    def prove(self, mechanism: Mechanism) -> None:
        """AUTHENTICATE; what the client says first goes along where the server takes that (RFC 4959)."""
        first = [] if mechanism.initial is None else [mechanism.initial]
        along = [b64encode(first.pop()).decode()] if first and "SASL-IR" in self.capabilities else []

        def answer(challenge: bytes) -> bytes:
            return first.pop() if first else mechanism.respond(challenge)

        self.literal = imaplib._Authenticator(answer).process  # type: ignore[assignment]  # noqa: SLF001 - its only way in
        self._simple_command("AUTHENTICATE", mechanism.name, *along)
        self.state = "AUTH"

    def logout(self) -> tuple[str, list[Any]]:
        self._is_leaving = True
        return super().logout()


class Client(IMAPClient):  # type: ignore[misc]  # the library is not typed
    def __init__(self, sock: BoundedSocket, max_literal_bytes: int) -> None:
        self._given = (sock, max_literal_bytes)
        super().__init__("", ssl=False)
        self.normalise_times = False  # keep the time zones
        self.wire.debug = 0  # it would format each line and each message for a log that nobody reads

    def _create_IMAP4(self) -> Wire:  # noqa: N802 - the library's name
        self.wire = Wire(*self._given)
        return self.wire

    @property
    def mechanisms(self) -> list[str]:
        return [offer[5:] for offer in self.wire.capabilities if offer.startswith("AUTH=")]

    def start(self, purpose: str) -> None:
        self.wire.purpose = purpose
        self.wire.untagged_responses.clear()  # the library keeps for ever what nobody asks for

    @staticmethod
    @contextmanager
    def errors() -> Iterator[None]:
        """The seam for what the two libraries raise, on answers that they cannot read among others."""
        try:
            yield
        except imaplib.IMAP4.readonly as exc:
            advice = "Grant the account the right to change the folder, or choose the settlement `keep`."
            raise AccessDenied("The folder can only be read.", advice=advice) from exc
        except (imaplib.IMAP4.error, ValueError, LookupError, TypeError, RecursionError) as exc:
            advice = "Check that host and port are those of an IMAP server."
            raise SourceMisbehaved("The server does not answer as an IMAP server does.", advice=advice) from exc

    def takes(self, command: str) -> bool:
        return command in self.wire.capabilities

    def takes_login(self, user: str, secret: str) -> bool:
        return not self.takes("LOGINDISABLED") and (user + secret).isascii()

    def secure(self, start: Callable[[BoundedSocket], BoundedSocket]) -> BoundedSocket:
        return self.wire.secure(start)

    def sign_in(self, user: str, password: str) -> None:
        self.wire.sign_in(user, password)
        self._note_capabilities()

    def prove(self, mechanism: Mechanism) -> None:
        self.wire.prove(mechanism)
        self._note_capabilities()

    def _note_capabilities(self) -> None:
        """They may have come for free; without this the library would ask for them later."""
        if "CAPABILITY" in self.wire.untagged_responses:
            self.capabilities()

    def leave(self) -> None:
        self.logout()

    def close(self) -> None:
        self.wire.shutdown()
