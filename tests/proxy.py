"""A proxy on loopback that speaks HTTP CONNECT and SOCKS5, and can be told to refuse."""

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address


@dataclass
class ProxyServer:
    """`targets` is whom it was asked for, by the names that were said. With `answer` it says just that and hangs up;
    `user` and `password` are wanted where they are given.
    """

    user: str = ""
    password: str = ""
    answer: bytes = b""
    targets: list[tuple[str, int]] = field(default_factory=list)
    port: int = 0

    @contextmanager
    def running(self) -> Iterator["ProxyServer"]:
        """Listen on a free port of loopback."""
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
                client, _ = listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), client.makefile("rb", buffering=0) as said:
            if self.answer:
                client.recv(1000)
                client.sendall(self.answer)
                return
            first = said.read(1)
            target = self._socks5(client, said) if first == b"\x05" else self._http(client, said)
            if target is None:
                return
            self.targets.append(target)
            with socket.create_connection(target) as server:
                back = threading.Thread(target=_copy, args=[server, client], daemon=True)
                client.sendall(
                    b"\x05\0\0\x01\0\0\0\0\0\0" if first == b"\x05" else b"HTTP/1.1 200 OK\r\nVia: us\r\n\r\n"
                )
                back.start()
                _copy(client, server)
                back.join()

    def _http(self, client: socket.socket, said) -> tuple[str, int] | None:
        """The first letter of CONNECT is gone."""
        authority = said.readline().split()[1].decode()
        headers = {}
        while line := said.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        wanted = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if self.user and headers.get("Proxy-Authorization") != wanted:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return None
        host, _, port = authority.rpartition(":")
        return host.strip("[]"), int(port)

    def _socks5(self, client: socket.socket, said) -> tuple[str, int] | None:
        """The version is gone."""
        methods = said.read(said.read(1)[0])
        method = 2 if self.user else 0
        if method not in methods:
            client.sendall(b"\x05\xff")
            return None
        client.sendall(bytes([5, method]))
        if self.user:
            said.read(1)
            who = [said.read(said.read(1)[0]).decode() for _ in range(2)]
            is_known = who == [self.user, self.password]
            client.sendall(b"\x01\0" if is_known else b"\x01\x01")
            if not is_known:
                return None
        kind = said.read(4)[3]
        size = {1: 4, 4: 16}.get(kind) or said.read(1)[0]
        address = said.read(size)
        host = address.decode() if kind == 3 else str(ip_address(address))
        return host, int.from_bytes(said.read(2), "big")


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
