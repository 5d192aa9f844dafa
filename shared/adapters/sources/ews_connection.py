"""One connection to an Exchange server: opened, secured, signed in, and bounded in time (RFC 9112; MS-NTHT)."""

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Literal
from urllib.parse import urlsplit

from shared.adapters.net import BoundedSocket, Deadline, Endpoint, Timeouts, connect, network_errors, resolve
from shared.adapters.proxy import ProxyAccess
from shared.adapters.sasl import ntlm
from shared.adapters.sources.ews_errors import ADVICE_ON_SIGN_IN, http_refusal
from shared.adapters.tls import BoundedTlsSocket, start_tls
from shared.domain.errors import AppError, CredentialsRejected, SourceMisbehaved, SourceMisconfigured, SourceUnavailable
from shared.domain.fields import Tls
from shared.settings import Settings

_CHUNK = 65_536
_LONGEST_ANSWER = 16_000_000


@dataclass(frozen=True, slots=True)
class SignIn:
    """How to prove who asks: `secret` gives the password or the access token, `forget` has it read afresh."""

    method: str
    user: str
    secret: Callable[[], str]
    forget: Callable[[], None]


class Answer:
    """What the server answers, read as it comes: all of it, or as many bytes as `cut_at` says."""

    def __init__(self, response: HTTPResponse, cut_at: int | None, drop: Callable[[], None]) -> None:
        self.is_cut = False
        self._is_whole = False
        self._response = response
        self._cut_at = cut_at
        self._drop = drop

    def iter_content(self) -> Iterator[bytes]:
        size, end = 0, b""
        while chunk := self._read():
            yield chunk
            size, end = size + len(chunk), (end + chunk)[-32:]
            if self._cut_at is not None and size >= self._cut_at:
                self.is_cut = True
                return
            if size > _LONGEST_ANSWER and self._cut_at is None:
                raise SourceMisbehaved("The server sends far more than was asked for.")
        if not end.rstrip().endswith(b"Envelope>"):  # the XML parser would make do with half of it
            raise SourceUnavailable("The server closed the connection in the middle of its answer.")
        self._is_whole = True

    def close(self) -> None:
        if not self._is_whole:  # what is left of it would be taken for the next answer
            self._drop()

    def _read(self) -> bytes:
        with _wire_errors():
            return self._response.read(_CHUNK)


class EwsConnection:
    """Connects on the first request, and again after the connection broke. NTLM signs in the connection, so there is
    only one at a time.
    """

    def __init__(
        self,
        url: str,
        tls: Tls,
        sign_in: SignIn,
        settings: Settings,
        timeouts: Timeouts,
        *,
        proxy: ProxyAccess | None = None,
    ) -> None:
        self.url = url
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._authority = parts.netloc
        self._path = parts.path
        self._tls = tls
        self._sign_in = sign_in
        self._settings = settings
        self._proxy = proxy
        self._timeouts = timeouts
        self._deadline = Deadline(timeouts)
        self._sock: BoundedSocket | None = None
        self._http: HTTPConnection | None = None
        self._response: HTTPResponse | None = None
        self._method = sign_in.method
        self._is_signed_in = False

    def resolve(self) -> Endpoint:
        return resolve(self._host, self._port, self._settings, self._proxy)

    def dial(self, endpoint: Endpoint) -> None:
        self._deadline.restart(self._timeouts.connect)
        self._sock = connect(endpoint, self._deadline)

    def secure(self) -> BoundedTlsSocket:
        assert self._sock is not None
        self._deadline.restart(self._timeouts.command)
        self._sock = secured = start_tls(self._sock, self._host, self._tls, self._settings)
        self._http = HTTPConnection(self._authority)
        self._http.auto_open = 0  # it would go on without TLS
        self._http.sock = secured
        self._is_signed_in = False
        return secured

    def close(self) -> None:
        for each in (self._response, self._sock):
            if each is not None:
                each.close()
        self._response = self._sock = self._http = None
        self._is_signed_in = False

    def post(self, body: bytes, headers: Mapping[str, str], *, seconds: float = 0, cut_at: int | None = None) -> Answer:
        """The answer to a request, a SOAP fault among them. Asked once more where a kept connection turns out to be
        closed, or where the secret that was rejected is not the newest.

        :raises AppError: what kept the server from answering with SOAP.
        """
        for is_last in (False, True):
            is_kept, secret = self._is_signed_in, self._sign_in.secret()
            try:
                response = self._signed(body, headers, secret, seconds)
            except AppError as error:
                self.close()
                if is_last or not is_kept or not isinstance(error, SourceUnavailable):
                    raise
                continue
            if response.status in (200, 500) and response.headers.get_content_subtype() == "xml":
                self._is_signed_in = True
                return Answer(response, cut_at, self.close)
            self.close()
            if response.status != 401:
                raise http_refusal(response.status, dict(response.headers))
            if not is_kept:
                self._sign_in.forget()
                if is_last or self._sign_in.secret() == secret:
                    break
        raise CredentialsRejected("The server rejects the account or its secret.", advice=ADVICE_ON_SIGN_IN)

    def _signed(self, body: bytes, headers: Mapping[str, str], secret: str, seconds: float) -> HTTPResponse:
        if self._method == "auto":
            self._method = self._offered()
        proof = {"bearer": self._bearer, "plain": self._basic, "ntlm": self._ntlm}[self._method](secret)
        return self._send(body, {**headers, **proof}, seconds)

    def _send(self, body: bytes, headers: Mapping[str, str], seconds: float = 0) -> HTTPResponse:
        self._connect()
        assert self._http is not None
        self._deadline.restart(self._timeouts.command + seconds)
        with _wire_errors():
            self._http.request("POST", self._path, body, {"Content-Type": "text/xml; charset=utf-8", **headers})
            self._response = self._http.getresponse()
            return self._response

    def _connect(self) -> None:
        if self._http is None or self._http.sock is None:
            self.dial(self.resolve())
            self.secure()

    def _offered(self) -> Literal["plain", "ntlm"]:
        offers = {offer.strip().partition(" ")[0].lower() for offer in ",".join(self._challenge({})).split(",")}
        if "ntlm" in offers:
            return "ntlm"
        if "basic" in offers:
            return "plain"
        advice = "Have Basic or NTLM turned on for Exchange Web Services, or sign in with an app of Entra ID."
        raise SourceMisconfigured("The server takes no password in a way that is known here.", advice=advice)

    def _bearer(self, token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}

    def _basic(self, password: str) -> dict[str, str]:
        return {"Authorization": f"Basic {base64.b64encode(f'{self._sign_in.user}:{password}'.encode()).decode()}"}

    def _ntlm(self, password: str) -> dict[str, str]:
        """The last of its three messages, which goes with the request; nothing where the connection is signed in."""
        if self._is_signed_in:
            return {}
        self._connect()
        proof = ntlm(self._sign_in.user, password, self._sock)
        offers = self._challenge(_ntlm_header(proof.initial))
        challenge = next((offer[5:] for offer in offers if offer.startswith("NTLM ")), None)
        if challenge is None or self._http is None or not isinstance(self._http.sock, BoundedTlsSocket):
            advice = "Choose `auto` or `plain`, or have the proxy before the server keep connections."
            raise SourceMisconfigured("The server does not take NTLM on a connection that stays.", advice=advice)
        return _ntlm_header(proof.respond(base64.b64decode(challenge)))

    def _challenge(self, headers: Mapping[str, str]) -> list[str]:
        """What the server wants of somebody who shows no more than this."""
        response = self._send(b"", headers)
        with _wire_errors():
            response.read(_LONGEST_ANSWER)
        if response.status != 401:
            raise http_refusal(response.status, dict(response.headers))
        return response.headers.get_all("WWW-Authenticate", [])


def _ntlm_header(token: bytes | None) -> dict[str, str]:
    return {"Authorization": f"NTLM {base64.b64encode(token or b'').decode()}"}


@contextmanager
def _wire_errors() -> Iterator[None]:
    """The seam for what the HTTP library raises."""
    try:
        with network_errors():
            yield
    except HTTPException as exc:
        advice = "Check that the address is that of an Exchange server."
        raise SourceMisbehaved("The server does not answer as an HTTPS server does.", advice=advice) from exc
