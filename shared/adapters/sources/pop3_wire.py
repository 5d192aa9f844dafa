"""A session with a POP3 server: poplib over a socket that is given, and one seam for what it reports."""

import poplib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from shared.adapters.credentials import credentials
from shared.adapters.mail_server import MailServer
from shared.adapters.net import BoundedSocket, Timeouts, network_errors
from shared.adapters.refusals import CommandRefused, meanings
from shared.adapters.sasl import Mechanism
from shared.adapters.services import SourceServices
from shared.domain.errors import SourceMisbehaved, SourceMisconfigured, SourceUnavailable
from shared.domain.mailbox import Mailbox
from shared.domain.sources import Pop3Source

_ADVICE_ON_PROTOCOL = "Check that host and port are those of a POP3 server."
_PIECE_BYTES = 65_536
_MAX_LISTING_BYTES = 32_000_000


class Pop3Wire(poplib.POP3):
    """Reads messages of any line length byte for byte, which poplib does not."""

    def __init__(self, sock: BoundedSocket) -> None:
        self.purpose = "begin"
        self._given = sock
        try:
            super().__init__("")
            self.capabilities = self._capabilities()
        except Exception:
            self.close()
            raise

    def _create_socket(self, timeout: float) -> BoundedSocket:  # noqa: ARG002 - poplib's
        return self._given

    def _getline(self) -> tuple[bytes, int]:
        line = self._piece()
        return line.rstrip(b"\r\n"), len(line)

    def _piece(self) -> bytes:
        with network_errors():
            piece: bytes = self.file.readline(_PIECE_BYTES)
        if not piece:
            raise SourceUnavailable("The server closed the connection.")
        return piece

    def _putline(self, line: bytes) -> None:
        with network_errors():
            super()._putline(line)  # type: ignore[misc]  # typeshed does not know this method

    def _getresp(self) -> bytes:
        line, _ = self._getline()
        if line.startswith(b"+"):
            return line
        if not line.startswith(b"-ERR"):
            raise SourceMisbehaved("The server does not answer as a POP3 server does.", advice=_ADVICE_ON_PROTOCOL)
        code = line[4:].strip().decode("utf-8", "replace").partition("]")[0].removeprefix("[").upper()
        if meaning := meanings("pop3").get(code):
            raise meaning.error(f"The server refused to {self.purpose} with the code {code}.")
        raise CommandRefused(f"The server refused to {self.purpose}.")

    def request(self, command: str) -> bytes:
        """The line of the answer, which begins with `+OK`, or with `+ ` where the server wants to hear more."""
        answer: bytes = self._shortcmd(command)  # type: ignore[attr-defined]  # nor this one
        return answer

    @property
    def mechanisms(self) -> list[str]:
        return self.capabilities.get("SASL", [])

    def start(self, purpose: str) -> None:
        self.purpose = purpose

    @staticmethod
    @contextmanager
    def errors() -> Iterator[None]:
        """The seam for what poplib raises, on answers that it cannot read among others."""
        try:
            yield
        except (poplib.error_proto, ValueError, LookupError, TypeError) as exc:
            text = "The server does not answer as a POP3 server does."
            raise SourceMisbehaved(text, advice=_ADVICE_ON_PROTOCOL) from exc

    def takes(self, command: str) -> bool:
        return command in self.capabilities

    def takes_login(self, *_: str) -> bool:
        return self.takes("USER") or not self.mechanisms

    def sign_in(self, user: str, password: str) -> None:
        self.request(f"USER {user}")
        self.request(f"PASS {password}")

    def prove(self, mechanism: Mechanism) -> None:
        """AUTH with what is said first in a line of its own: Exchange takes no other form, and a command has 255 bytes
        at most (RFC 5034 section 4).
        """
        first = [] if mechanism.initial is None else [mechanism.initial]
        answer = self.request(f"AUTH {mechanism.name}")
        while not answer.startswith(b"+OK"):
            said = first.pop() if first else mechanism.respond(b64decode(answer[1:]))
            answer = self.request(b64encode(said).decode())

    def leave(self) -> None:
        self.request("QUIT")

    def download(self, command: str, max_bytes: int) -> tuple[bytes, bool]:
        """The lines that follow the answer, as they were stored, and whether these are all: after one that is cut
        the connection is of no use.
        """
        self.request(command)
        content, begins_line = bytearray(), True
        while len(content) <= max_bytes:
            piece = self._piece()
            if begins_line and piece in (b".\r\n", b".\n"):
                return bytes(content), True
            content += piece[1:] if begins_line and piece.startswith(b".") else piece
            begins_line = piece.endswith(b"\n")
        return bytes(content[:max_bytes]), False

    def table(self, command: str) -> list[tuple[int, str]]:
        """The numbers of messages with what LIST or UIDL tells of each."""
        content, is_whole = self.download(command, _MAX_LISTING_BYTES)
        if not is_whole:
            raise SourceMisbehaved("The server's list of messages has no end.")
        rows = (line.split() for line in content.decode("ascii").splitlines())
        return [(int(number), value) for number, value, *_ in rows]

    def _capabilities(self) -> dict[str, list[str]]:
        """By their names (RFC 2449); none where the server does not know the question."""
        try:
            return {name.upper(): words for name, words in self.capa().items()}
        except (CommandRefused, poplib.error_proto):
            return {}

    def secure(self, start: Callable[[BoundedSocket], BoundedSocket]) -> BoundedSocket:
        """STLS. What was said before may be somebody else's and is forgotten (RFC 2595 section 4)."""
        self.request("STLS")
        self.file.close()
        self._given = secured = start(self._given)
        self.sock: Any = secured
        self.file = secured.makefile("rb")
        self.capabilities = self._capabilities()
        return secured


class Pop3Connection(MailServer[Pop3Wire]):
    """A session sees the mailbox as it was when it began, and numbers its messages anew."""

    starttls = "STLS"

    def __init__(self, mailbox: Mailbox, services: SourceServices, timeouts: Timeouts) -> None:
        assert isinstance(mailbox.source, Pop3Source)
        who = credentials(mailbox.address, mailbox.source.sign_in, None, "pop", services)
        super().__init__(mailbox.source, services, who, timeouts)
        self._numbers: dict[str, int] | None = None

    def _greeted(self, sock: BoundedSocket) -> Pop3Wire:
        with Pop3Wire.errors():
            return Pop3Wire(sock)

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

    def quit(self) -> None:
        """End the session: only now are messages deleted. :raises CommandRefused: they may still be there."""
        try:
            with self.command("delete messages") as wire:
                wire.leave()
        finally:
            self.drop()

    def drop(self) -> None:
        super().drop()
        self._numbers = None
