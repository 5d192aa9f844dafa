"""An IMAP server that answers what a test tells it to, right or wrong."""

import base64
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.scripted import CLOSE, STALL

Answer = str | list[str] | Callable[[str], str]
"""What is sent for a command: text with `{tag}` in it; one text after the other, the last one for ever; or what a
function makes of the command.
"""

MESSAGE = "Subject: Scripted\r\n\r\nHello\r\n"
DONE = "{tag} OK done\r\n"


def opened(exists: int = 1, uidnext: int = 2, uidvalidity: int = 7, more: str = "") -> str:
    return (
        f"* {exists} EXISTS\r\n* OK [UIDVALIDITY {uidvalidity}] ok\r\n* OK [UIDNEXT {uidnext}] ok\r\n{more}"
        "{tag} OK [READ-WRITE] opened\r\n"
    )


def fetched(uid: int, content: str = MESSAGE, size: int | None = None) -> str:
    """One response that holds whatever is asked about a message."""
    return (
        f'* 1 FETCH (UID {uid} RFC822.SIZE {size or len(content)} INTERNALDATE "21-Nov-2026 10:00:00 +0000"'
        f" BODY[] {{{len(content)}}}\r\n{content})\r\n"
    )


_USUAL: Mapping[str, Answer] = {
    "": DONE,
    "SELECT": opened(),
    "EXAMINE": opened().replace("READ-WRITE", "READ-ONLY"),
    "LIST": '* LIST () "/" INBOX\r\n' + DONE,
    "UID SEARCH": "* SEARCH 1\r\n" + DONE,
    "UID FETCH": fetched(1) + DONE,
    "LOGOUT": "* BYE bye\r\n" + DONE,
}


@dataclass
class ScriptedImap:
    """`challenges` are what AUTHENTICATE is answered with, given or made of what was said last. `answers` are by the
    beginning of the command, the longest first. `commands` is what was said, without tags.
    """

    answers: Mapping[str, Answer] = field(default_factory=dict)
    challenges: Sequence[bytes | Callable[[bytes], bytes]] = (b"",)
    capabilities: str = "IMAP4rev1 UIDPLUS MOVE"
    plain_capabilities: str | None = None
    greeting: str = "* OK ready\r\n"
    tls: ssl.SSLContext | None = None
    injected: str = ""
    packet_bytes: int = 1_000_000
    pause_seconds: float = 0
    commands: list[str] = field(default_factory=list)
    port: int = 0

    @contextmanager
    def running(self) -> Iterator["ScriptedImap"]:
        """Listen on a free port of loopback."""
        every = _USUAL | dict(self.answers)
        self._answers = {key: list(answer) if isinstance(answer, list) else answer for key, answer in every.items()}
        self._is_over = threading.Event()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            thread = threading.Thread(target=self._accept, args=[listener])
            thread.start()
            try:
                yield self
            finally:
                self._is_over.set()
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while not self._is_over.is_set():
                connection, _ = listener.accept()
                with suppress(OSError):
                    self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        """Answer one client until it leaves."""
        capabilities = self.capabilities if self.plain_capabilities is None else self.plain_capabilities
        with connection:
            self._send(connection, self.greeting)
            with connection.makefile("rb") as lines:
                is_securing = self._answer_each(connection, lines, capabilities)
            if is_securing:
                with self.tls.wrap_socket(connection, server_side=True) as secured, secured.makefile("rb") as lines:
                    self._answer_each(secured, lines, self.capabilities)

    def _answer_each(self, connection: socket.socket, lines, capabilities: str) -> bool:
        """True where the client is to start TLS now."""
        for line in lines:
            tag, _, command = line.decode().rstrip("\r\n").partition(" ")
            if command.startswith("AUTHENTICATE"):
                command = self._authenticated(connection, lines, command)
            self.commands.append(command)
            if command == "STARTTLS" and self.tls:
                connection.sendall(f"{tag} OK begin\r\n{self.injected}".encode())
                return True
            usual = f"* CAPABILITY {capabilities}\r\n{DONE}" if command == "CAPABILITY" else self._answer(command)
            self._send(connection, usual.replace("{tag}", tag))
        return False

    def _authenticated(self, connection: socket.socket, lines, command: str) -> str:
        """The command with all that the client said, decoded."""
        command, mechanism, *initial = command.split(" ")
        said = [base64.b64decode(each) for each in initial]
        for challenge in self.challenges:
            text = challenge if isinstance(challenge, bytes) else challenge(said[-1])
            connection.sendall(b"+ " + base64.b64encode(text) + b"\r\n")
            line = next(lines, None)
            if line is None:
                raise ConnectionAbortedError
            said.append(base64.b64decode(line))
        return " ".join([command, mechanism, *(each.decode("utf-8", "replace") for each in said)])

    def _answer(self, command: str) -> str:
        key = max((key for key in self._answers if command.startswith(key)), key=len)
        answer = self._answers[key]
        if isinstance(answer, list):
            return answer.pop(0) if len(answer) > 1 else answer[0]
        return answer if isinstance(answer, str) else answer(command)

    def _send(self, connection: socket.socket, text: str) -> None:
        for part in re.split(f"({CLOSE}|{STALL})", text):
            if part == STALL:
                connection.recv(1)
            if part in (STALL, CLOSE):
                raise ConnectionAbortedError
            data = part.encode("latin-1")
            for start in range(0, len(data), self.packet_bytes):
                connection.sendall(data[start : start + self.packet_bytes])
                self._is_over.wait(self.pause_seconds)


def said(server: ScriptedImap, *beginnings: str) -> list[str]:
    """The commands of the kinds that matter here."""
    return [command for command in server.commands if command.startswith(beginnings)]
