import socket
from dataclasses import dataclass
from typing import Any

from tests.scripted import ScriptedServer


@dataclass
class ScriptedSmtp(ScriptedServer):
    """`.` is the end of a message, `data` the lines between DATA and that."""

    usual = {  # noqa: RUF012 - nobody changes it
        "": "250 2.0.0 OK\r\n",
        "EHLO": "250-here\r\n250-8BITMIME\r\n250 SIZE\r\n",
        "DATA": "354 Go on\r\n",
        ".": "250 2.0.0 Taken\r\n",
        "QUIT": "221 Bye\r\n",
    }
    start_tls = ("STARTTLS", "220 begin")

    greeting: str = "220 here ESMTP\r\n"
    data: bytes = b""

    def _hear(self, connection: socket.socket, lines: Any, command: str, answer: str) -> None:
        if command == "DATA" and answer.startswith("354"):
            while (data := lines.readline()) not in (b".\r\n", b""):
                self.data += data
            self._send(connection, self._answer("."))
