"""A server of lines that answers what a test tells it to, right or wrong."""

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

CLOSE = "\0close\0"
"""As an answer: the connection ends here."""

STALL = "\0stall\0"
"""As an answer: nothing more is said until the client goes away."""


@dataclass
class ScriptedServer:
    """`answers` are by the beginning of the command, the longest first; after one in a list come the ones behind it.
    `commands` is what was said.
    """

    usual: ClassVar[Mapping[str, str]]
    start_tls: ClassVar[tuple[str, str]]
    """The command, and what it is answered."""

    answers: Mapping[str, str | list[str]] = field(default_factory=dict)
    greeting: str = ""
    tls: ssl.SSLContext | None = None
    injected: str = ""
    commands: list[str] = field(default_factory=list)
    sessions: int = 0
    port: int = 0

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Listen on a free port of loopback."""
        every = {**self.usual, **self.answers}
        self._answers = {key: list(answer) if isinstance(answer, list) else [answer] for key, answer in every.items()}
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            thread = threading.Thread(target=self._accept, args=[listener])
            thread.start()
            try:
                yield self
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.sessions += 1
                with connection, suppress(OSError):
                    self._send(connection, self.greeting)
                    self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        begin, said = self.start_tls
        with connection.makefile("rb") as lines:
            for line in lines:
                command = line.decode().rstrip("\r\n")
                self.commands.append(command)
                if command == begin and self.tls:
                    connection.sendall(f"{said}\r\n{self.injected}".encode())
                    break
                answer = self._answer(command)
                self._send(connection, answer)
                self._hear(connection, lines, command, answer)
            else:
                return
        with self.tls.wrap_socket(connection, server_side=True) as secured:
            self._converse(secured)

    def _hear(self, connection: socket.socket, lines: Any, command: str, answer: str) -> None:
        """What follows a command that was answered like this."""

    def _answer(self, command: str) -> str:
        answers = self._answers[max((key for key in self._answers if command.startswith(key)), key=len)]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def _send(self, connection: socket.socket, text: str) -> None:
        said, _, _ = text.partition("\0")
        connection.sendall(said.encode("latin-1"))
        if text.endswith(STALL):
            connection.recv(1)
        if text.endswith((STALL, CLOSE)):
            raise ConnectionAbortedError
