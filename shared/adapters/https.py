"""HTTPS to the services that the app settings name: what is trusted, how long it may take, and what went wrong."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import certifi
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from shared.adapters.tls import tls_failure
from shared.domain.errors import SourceUnavailable
from shared.settings import Settings

_CONNECT_SECONDS = 10
_READ_SECONDS = 60


class Session(requests.Session):
    """Trusts the public authorities and those of `EXTRA_CA_FILE`; honours the proxies of the environment. A read whose
    connection was closed is tried once more, because a kept connection may be closed at any time.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.mount("https://", _Adapter(settings.extra_ca_file))

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("timeout", (_CONNECT_SECONDS, _READ_SECONDS))
        return super().request(*args, **kwargs)


class _Adapter(HTTPAdapter):
    """Brings a TLS context of its own: what a session is told to trust is overruled by `REQUESTS_CA_BUNDLE`."""

    def __init__(self, extra_ca_file: str | None) -> None:
        self._tls = _tls_context(extra_ca_file)
        once_more = Retry(1, status=0, allowed_methods={"GET"}, respect_retry_after_header=False)
        super().__init__(pool_maxsize=32, max_retries=once_more)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._tls, **kwargs)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return super().proxy_manager_for(*args, ssl_context=self._tls, **kwargs)

    def cert_verify(self, conn: Any, *_: Any) -> None:
        conn.cert_reqs = "CERT_REQUIRED"


@lru_cache(maxsize=4)
def _tls_context(extra_ca_file: str | None) -> ssl.SSLContext:
    """Cached, because reading the public authorities takes longer than a handshake."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if extra_ca_file:
        context.load_verify_locations(cafile=extra_ca_file)
    return context


@contextmanager
def network_errors(service: str) -> Iterator[None]:
    """The seam for what the HTTP library raises; `service` is the service's name in the texts."""
    try:
        yield
    except requests.exceptions.SSLError as exc:
        raise tls_failure(_innermost(exc)) from exc
    except requests.Timeout as exc:
        raise SourceUnavailable(f"{service} does not answer in time.") from exc
    except requests.RequestException as exc:
        raise SourceUnavailable(f"{service} cannot be reached, or the connection broke.") from exc


def _innermost(error: BaseException) -> OSError:
    """What OpenSSL said, below the layers of the HTTP library."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return error if isinstance(error, OSError) else OSError()


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """How long a service asks us to wait: seconds, or a date by its own clock (RFC 9110 section 10.2.3)."""
    value = headers.get("Retry-After", "")
    if value.isdecimal():
        return timedelta(seconds=int(value))
    try:
        return max(parsedate_to_datetime(value) - parsedate_to_datetime(headers["Date"]), timedelta())
    except (KeyError, TypeError, ValueError):
        return None
