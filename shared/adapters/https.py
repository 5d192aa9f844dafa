"""HTTPS to the services that the app settings name: what is trusted, how long it may take, and what went wrong."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPSConnectionPool, Retry
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import MaxRetryError

from shared.adapters.net import Deadline, Endpoint, Timeouts, connect, resolve
from shared.adapters.net import network_errors as broken_connections
from shared.adapters.proxy import ProxyAccess
from shared.adapters.tls import start_tls, tls_context, tls_failure
from shared.domain.errors import SourceMisbehaved, SourceUnavailable
from shared.domain.fields import Tls
from shared.settings import Settings

_CONNECT_SECONDS = 10
_READ_SECONDS = 60


class Session(requests.Session):
    """Trusts the public authorities and those of `EXTRA_CA_FILE`; honours the proxies of the environment. A read whose
    connection was closed is tried once more, because a kept connection may be closed at any time. With a proxy of its
    own it goes through that one.
    """

    def __init__(self, settings: Settings, proxy: ProxyAccess | None = None) -> None:
        super().__init__()
        self.trust_env = proxy is None
        self.mount("https://", _Adapter(settings, proxy))

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("timeout", (_CONNECT_SECONDS, _READ_SECONDS))
        return super().request(*args, **kwargs)


def azure_transport(settings: Settings) -> Any:
    from azure.core.pipeline.transport import RequestsTransport

    return RequestsTransport(session=Session(settings), session_owner=False)


class _Adapter(HTTPAdapter):
    """Brings a TLS context of its own: what a session is told to trust is overruled by `REQUESTS_CA_BUNDLE`."""

    def __init__(self, settings: Settings, proxy: ProxyAccess | None) -> None:
        self._tls = tls_context(settings.extra_ca_file)
        self._pool_class = _pool_class(settings, proxy) if proxy else HTTPSConnectionPool
        once_more = Retry(1, status=0, other=0, allowed_methods={"GET"}, respect_retry_after_header=False)
        super().__init__(pool_maxsize=32, max_retries=once_more)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._tls, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": self._pool_class}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return super().proxy_manager_for(*args, ssl_context=self._tls, **kwargs)

    def cert_verify(self, conn: Any, *_: Any) -> None:
        conn.cert_reqs = "CERT_REQUIRED"


def _pool_class(settings: Settings, proxy: ProxyAccess) -> type[HTTPSConnectionPool]:
    class Connection(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            deadline = Deadline(Timeouts(connect=_CONNECT_SECONDS))
            return connect(resolve(self.host, self.port, settings, proxy), deadline)

    class Pool(HTTPSConnectionPool):
        ConnectionCls = Connection

    return Pool


@contextmanager
def network_errors(service: str, broken: type[SourceUnavailable] = SourceUnavailable) -> Iterator[None]:
    """The seam for what the HTTP library raises; `service` is the service's name in the texts, `broken` what it means
    that a connection fails once there is one.
    """
    try:
        yield
    except requests.exceptions.SSLError as exc:
        raise tls_failure(_innermost(exc)) from exc
    except requests.RequestException as exc:
        kind = SourceUnavailable if exc.args and isinstance(exc.args[0], MaxRetryError) else broken
        is_late = isinstance(exc, requests.Timeout)
        what = "does not answer in time" if is_late else "cannot be reached, or the connection broke"
        raise kind(f"{service} {what}.") from exc


def _innermost(error: BaseException) -> OSError:
    """What OpenSSL said, below the layers of the HTTP library."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return error if isinstance(error, OSError) else OSError()


def guarded_post(
    what: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    settings: Settings,
    *,
    proxy: ProxyAccess | None = None,
    timeouts: Timeouts | None = None,
    longest_answer: int = 0,
) -> tuple[HTTPResponse, bytes]:
    """To an address that people name, on a connection of its own, guarded and bounded as those to mail servers are.
    Redirects are not followed, and proxies of the environment not used.
    """
    endpoint, timeouts = guarded_endpoint(url, settings, proxy), timeouts or Timeouts()
    deadline = Deadline(timeouts)
    sock = start_tls(connect(endpoint, deadline), endpoint.host, Tls(), settings)
    deadline.restart(timeouts.command)
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc)
    connection.sock = sock
    try:
        with closing(connection), broken_connections():
            connection.request("POST", f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}", body, headers)
            with closing(connection.getresponse()) as answer:
                return answer, answer.read(longest_answer) if longest_answer else b""  # reading nothing may wait, too
    except HTTPException as exc:
        raise SourceMisbehaved(f"{what} does not speak HTTP.", advice="Check its address.") from exc


def guarded_endpoint(url: str, settings: Settings, proxy: ProxyAccess | None = None) -> Endpoint:
    """:raises TargetRefused: it must not be reached from here."""
    parts = urlsplit(url)
    return resolve(parts.hostname or "", parts.port or 443, settings, proxy)


def retry_after(headers: Mapping[str, str] | HTTPMessage) -> timedelta | None:
    """How long a service asks us to wait: seconds, or a date by its own clock (RFC 9110 section 10.2.3)."""
    value = headers.get("Retry-After", "")
    if value.isdecimal():
        return timedelta(seconds=int(value))
    try:
        return max(parsedate_to_datetime(value) - parsedate_to_datetime(headers["Date"]), timedelta())
    except (KeyError, TypeError, ValueError):
        return None
