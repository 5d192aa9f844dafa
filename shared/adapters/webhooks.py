"""Posting to addresses that people name: guarded as connections to mail servers are, and bounded in every way."""

from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit, urlunsplit

from shared.adapters.https import retry_after
from shared.adapters.net import Deadline, Endpoint, Timeouts, connect, network_errors, resolve
from shared.adapters.tls import start_tls
from shared.application.ports.connections import WebhookAnswer
from shared.domain.errors import SourceMisbehaved
from shared.domain.fields import Tls
from shared.settings import Settings

_TIMEOUTS = Timeouts(connect=10, idle=15, command=15)


class HttpsWebhooks:
    """Every post has a connection of its own, to the address that was checked. Redirects are not followed, proxies of
    the environment not used, and bodies of answers not read.
    """

    def __init__(self, settings: Settings, timeouts: Timeouts = _TIMEOUTS) -> None:
        self._settings = settings
        self._timeouts = timeouts

    def check(self, url: str) -> None:
        self._resolved(url)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        endpoint = self._resolved(url)
        deadline = Deadline(self._timeouts)
        sock = start_tls(connect(endpoint, deadline), endpoint.host, Tls(), self._settings)
        deadline.restart(self._timeouts.command)
        connection = HTTPConnection(endpoint.host, endpoint.port)
        connection.sock = sock
        try:
            with closing(connection), network_errors():
                connection.request("POST", _target(url), body, {**headers, "Host": urlsplit(url).netloc})
                answer = connection.getresponse()
                answer.close()
        except HTTPException as exc:
            raise SourceMisbehaved("The receiver answers with something else than HTTP.") from exc
        return WebhookAnswer(answer.status, retry_after(answer.headers))

    def _resolved(self, url: str) -> Endpoint:
        parts = urlsplit(url)
        return resolve(parts.hostname or "", parts.port or 443, self._settings)


def _target(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(("", "", parts.path or "/", parts.query, ""))
