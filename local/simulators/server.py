"""One threaded HTTPS server on loopback for all simulated services."""

import socket
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme

from local.simulators.faults import Dropped, Faults
from local.simulators.web import Refused, Request, Response, Service, find_route

_CHUNK = 64 * 1024
_IDLE_SECONDS = 120


class Front:
    """Answers requests: finds the service, counts, lets faults act."""

    def __init__(self, services: Sequence[Service], faults: Faults, counts: Counter[str]) -> None:
        self._services = services
        self._faults = faults
        self._counts = counts
        self._lock = threading.Lock()

    def answer(self, request: Request, held: ExitStack) -> Response:
        """What the caller holds until the answer is sent is put into `held`. :raises Dropped: close the connection."""
        match = find_route(self._services, request)
        if match is None:
            said = f"no simulated service has {request.method} {request.path}"
            return Response(404, {"error": {"code": "ResourceNotFound", "message": said}})
        kind = match.kind(request)
        with self._lock:
            self._counts[f"batched:{kind}" if request.in_batch else kind] += 1
        fault = self._faults.take(kind, request)
        if fault is not None and fault.drop == "before":
            raise Dropped
        try:
            held.enter_context(match.service.admit(request, match.parameters))
            if fault is None:
                return match.route.handler(request, **match.parameters)
            time.sleep(fault.delay_seconds)
            return fault.apply(request, lambda: match.route.handler(request, **match.parameters))
        except Refused as refused:
            return refused.response

    def answer_part(self, request: Request) -> Response:
        """One sub-request of a batch."""
        with ExitStack() as held:
            return self.answer(request, held)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = _IDLE_SECONDS
    server: "HttpsServer"

    def setup(self) -> None:
        super().setup()
        self._kept: dict[str, Any] = {"certificate": self.server.certificate}

    def _serve(self) -> None:
        with ExitStack() as held:
            try:
                self._send(self.server.front.answer(self._request(), held))
            except Refused as refused:
                self._send(refused.response)
            except Dropped as dropped:
                if dropped.response is not None:
                    self._send(dropped.response, portion=0.5)
                self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - names that the base class calls

    def _request(self) -> Request:
        length = self.headers.get("Content-Length")
        if length is None and self.command in ("POST", "PUT", "PATCH"):
            self.close_connection = True
            self._skip_chunks()
            raise Refused(Response(411, {"error": {"code": "LengthRequired", "message": "Content-Length is required"}}))
        body = self.rfile.read(int(length or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(
            self.command, self.path, f"https://{headers.get('host', '')}", headers, body, connection=self._kept
        )

    def _skip_chunks(self) -> None:
        """A client that is cut off while it sends may not see the answer."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while self.rfile.readline() not in (b"0\r\n", b""):
                pass
            self.rfile.readline()

    def _send(self, response: Response, portion: float = 1) -> None:
        content = response.encoded()
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        framing = ("Transfer-Encoding", "chunked") if response.chunked else ("Content-Length", str(len(content)))
        self.send_header(*framing)
        self.end_headers()
        sent = content[: int(len(content) * portion)]
        if response.chunked:
            for start in range(0, len(sent), _CHUNK):
                chunk = sent[start : start + _CHUNK]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n" if portion == 1 else b"")
        else:
            self.wfile.write(sent)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        pass


class HttpsServer(ThreadingHTTPServer):
    """Each connection does its TLS handshake in its own thread. The certificate authority is new at every start."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, front: Front, ca_file: Path) -> None:
        self.front = front
        self._open: set[ssl.SSLSocket] = set()
        authority = trustme.CA()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf = authority.issue_cert("localhost", "127.0.0.1")
        leaf.configure_cert(self._tls)
        self.certificate = ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())
        authority.cert_pem.write_to_path(str(ca_file))
        super().__init__(("127.0.0.1", port), _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(_IDLE_SECONDS)
        with self._tls.wrap_socket(request, server_side=True) as connection:
            self._open.add(connection)
            try:
                super().finish_request(connection, client_address)
            finally:
                self._open.discard(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a client that goes away is no error of ours
            super().handle_error(request, client_address)

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
