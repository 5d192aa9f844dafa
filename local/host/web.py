"""HTTP triggers, and the admin endpoint that runs another function now; on loopback only."""

import hmac
import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from local.host.engine import FunctionFailed, HttpRequest, HttpResponse, Invoke
from local.host.routes import Route

_log = logging.getLogger("host.http")
_MAX_BODY = 100 * 1024 * 1024
_PIECE = 64 * 1024
_ADMIN = "/admin/functions/"


class WebServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, port: int, routes: Sequence[Route], keys: tuple[str, str], invoke: Invoke, run: Callable[[str, str], bool]
    ) -> None:
        """`keys` are the function key and the master key. `run` starts a timer or queue function on some input."""
        self.routes, self.keys, self.invoke, self.run = routes, keys, invoke, run
        self.answering = 0
        self.changed = threading.Condition()
        super().__init__(("127.0.0.1", port), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="http")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()

    def wait(self, seconds: float) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.answering == 0, seconds)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the signature is socketserver's
        _log.info("a connection broke off", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: WebServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "local-functions-host", ""
    wbufsize = -1
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        self._count(1)
        try:
            self._send(self._answer())
        finally:
            self._count(-1)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _handle  # noqa: N815 - http.server's names

    def _count(self, change: int) -> None:
        with self.server.changed:
            self.server.answering += change
            self.server.changed.notify_all()

    def _answer(self) -> HttpResponse:
        body = self._body()
        if body is None:
            return _empty(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        url = urlsplit(self.path)
        if self.command == "POST" and url.path.startswith(_ADMIN):
            return self._run_now(url, body)
        for route in self.server.routes:
            values = route.match(self.command, url.path)
            if values is not None:
                return self._call(route, url, values, body)
        return _empty(HTTPStatus.NOT_FOUND)

    def _call(self, route: Route, url: SplitResult, values: dict[str, str], body: bytes) -> HttpResponse:
        query = {name: ",".join(given) for name, given in parse_qs(url.query, keep_blank_values=True).items()}
        if not self._allowed(route.function.trigger.get("authLevel", "FUNCTION"), query):
            return _empty(HTTPStatus.UNAUTHORIZED)
        headers = {name.lower(): ", ".join(self.headers.get_all(name, ())) for name in self.headers}
        address = f"http://{self.headers.get('Host', '127.0.0.1')}{self.path}"
        request = HttpRequest(self.command, address, headers, query, values, body)
        try:
            response = self.server.invoke(route.function, request).result()
        except FunctionFailed:
            response = None
        return response or _empty(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _run_now(self, url: SplitResult, body: bytes) -> HttpResponse:
        if not self._allowed("ADMIN", {}):
            return _empty(HTTPStatus.UNAUTHORIZED)
        try:
            text = str(json.loads(body or b"{}").get("input", ""))
        except (ValueError, AttributeError):
            return _empty(HTTPStatus.BAD_REQUEST)
        started = self.server.run(url.path.removeprefix(_ADMIN), text)
        return _empty(HTTPStatus.ACCEPTED if started else HTTPStatus.NOT_FOUND)

    def _allowed(self, level: str, query: dict[str, str]) -> bool:
        if level.upper() == "ANONYMOUS":
            return True
        key, master = self.server.keys
        given = (self.headers.get("x-functions-key") or query.get("code", "")).encode()
        accepted = (master,) if level.upper() == "ADMIN" else (key, master)
        return any(hmac.compare_digest(given, each.encode()) for each in accepted)

    def _body(self) -> bytes | None:
        """The body, or None for one larger than Azure takes: read all the same, or the sender hears no answer."""
        body, size = bytearray(), 0
        for piece in self._pieces():
            size += len(piece)
            if size <= _MAX_BODY:
                body += piece
        return bytes(body) if size <= _MAX_BODY else None

    def _pieces(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            yield from self._read(int(self.headers.get("Content-Length", "0")))
            return
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield from self._read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers

    def _read(self, size: int) -> Iterator[bytes]:
        while size > 0:
            piece = self.rfile.read(min(size, _PIECE))
            if not piece:
                raise ConnectionError("the request ended within its body")
            yield piece
            size -= len(piece)

    def _send(self, response: HttpResponse) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        if response.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Nothing: the host logs what functions do, and the path of a request may hold what is no one's business."""


def _empty(status: HTTPStatus) -> HttpResponse:
    return HttpResponse(status, {}, b"")
