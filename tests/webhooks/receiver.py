"""A receiver of webhooks over real TLS on loopback, which may behave in any bad way."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme

NAMES = ("localhost", "hooks.example")


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver = self.server.receiver
        receiver.posts.append(Post(self.path, dict(self.headers.items()), body))
        with suppress(OSError):  # whoever posted has had enough
            receiver.behave(self)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    receiver: "Receiver"

    def handle_error(self, *_: object) -> None:
        pass


Behaviour = Callable[[_Handler], None]


@dataclass(frozen=True, slots=True)
class Post:
    path: str
    headers: dict[str, str]
    body: bytes


def answers(status: int, **headers: str) -> Behaviour:
    def behave(handler: _Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    return behave


def says(said: bytes) -> Behaviour:
    return lambda handler: handler.connection.sendall(said)


def never_answers(handler: _Handler) -> None:
    handler.server.receiver.ended.wait()


def repeats(begin: bytes, more: bytes, every_seconds: float = 0) -> Behaviour:
    """Goes on until nobody listens any more."""

    def behave(handler: _Handler) -> None:
        handler.connection.sendall(begin)
        while not handler.server.receiver.ended.wait(every_seconds):
            handler.connection.sendall(more)

    return behave


@dataclass
class Receiver:
    url: str
    ca_file: str
    behave: Behaviour = field(default_factory=lambda: answers(204))
    posts: list[Post] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2].partition("/")[0])


@contextmanager
def run_receiver(authority: trustme.CA, ca_file: str) -> Iterator[Receiver]:
    server = _Server(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*NAMES).configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver = server.receiver = Receiver(f"https://localhost:{server.server_port}/hook", ca_file)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
