"""One connection to an Exchange server, signed in: XML goes, XML comes (RFC 9112; MS-NTHT)."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from shared.adapters.connection import Connection
from shared.adapters.credentials import Credentials
from shared.adapters.https import retry_after
from shared.adapters.net import BoundedSocket, Timeouts, Unanswered, network_errors
from shared.adapters.refusals import advice, busy
from shared.adapters.sasl import ntlm
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CredentialsRejected,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
)
from shared.domain.fields import Tls
from shared.domain.sign_in import PasswordSignIn

_CHUNK = 65_536
_LONGEST_ANSWER = 16_000_000


class Redirected(SourceMisconfigured):
    """The server sends us to another address, which is for the caller to trust or not."""

    def __init__(self, location: str) -> None:
        super().__init__("The server sends us to another address.", advice=advice("ews_address"))
        self.location = location


def _refusal(status: int, headers: Mapping[str, str]) -> AppError:
    if status != 501 and (error := busy("The server", status, retry_after(headers), Unanswered)):
        return error
    if status == 403:
        role = "Have Exchange Web Services turned on for the account, and check access policies and the app's role."
        return AccessDenied("The server does not let the account use Exchange Web Services.", advice=role)
    if status in (301, 302, 307, 308):
        return Redirected(headers.get("Location", ""))
    text = f"The server answers {status} where Exchange Web Services should be."
    return SourceMisconfigured(text, advice=advice("ews_address"))


class EwsConnection(Connection):
    """Connects on the first request, and again after the connection broke. NTLM signs in the connection, so there is
    only one at a time.
    """

    def __init__(self, url: str, tls: Tls, credentials: Credentials, timeouts: Timeouts) -> None:
        parts = urlsplit(url)
        super().__init__(parts.hostname or "", parts.port or 443, tls, credentials.services, timeouts)
        self.url = url
        self._credentials = credentials
        self._http: HTTPConnection | None = None
        sign_in = credentials.sign_in
        self._method: str = sign_in.method if isinstance(sign_in, PasswordSignIn) else "bearer"
        self._is_signed_in = False

    def secure(self) -> BoundedSocket:
        sock = super().secure()
        self._http = HTTPConnection(urlsplit(self.url).netloc)
        self._http.auto_open = 0  # it would go on without TLS
        self._http.sock = sock
        self._is_signed_in = False
        return sock

    def drop(self) -> None:
        if self._http is not None:
            self._http.close()
        super().drop()
        self._http, self._is_signed_in = None, False

    def post(
        self, body: str, headers: Mapping[str, str], *, seconds: float = 0, cut_at: int | None = None
    ) -> tuple[Element, bool]:
        """The answer to a request, a SOAP fault among them, and whether it was cut after so many bytes.

        :raises AppError: what kept the server from answering with SOAP.
        """
        self._connected()  # first, because a proxy rejects passwords too
        answers: list[HTTPResponse] = []
        request = partial(self._answer, body.encode(), headers, seconds)
        self._credentials.prove(lambda secret: answers.append(request(secret)))
        return self._read(answers.pop(), cut_at)

    def _answer(self, body: bytes, headers: Mapping[str, str], seconds: float, secret: str) -> HTTPResponse:
        """Asked once more where a kept connection turns out to be closed, or not to be signed in any more."""
        is_kept = self._is_signed_in
        try:
            response = self._send(body, {**headers, **self._proof(secret)}, seconds, Unanswered)
        except AppError as error:
            self.drop()
            if is_kept and isinstance(error, SourceUnavailable):
                return self._answer(body, headers, seconds, secret)
            raise
        if response.status in (200, 500) and response.headers.get_content_subtype() == "xml":
            self._is_signed_in = True
            return response
        self.drop()
        if response.status != 401:
            raise _refusal(response.status, dict(response.headers))
        if is_kept:
            return self._answer(body, headers, seconds, secret)
        raise CredentialsRejected("The server rejects the account or its secret.", advice=advice("ews_sign_in"))

    def _send(
        self,
        body: bytes,
        headers: Mapping[str, str],
        seconds: float = 0,
        broken: type[SourceUnavailable] = SourceUnavailable,
    ) -> HTTPResponse:
        http = self._connected()
        self._deadline.restart(self._timeouts.command + seconds)
        with _wire_errors():
            path = urlsplit(self.url)._replace(scheme="", netloc="").geturl()
            http.request("POST", path, body, {"Content-Type": "text/xml; charset=utf-8", **headers})
        with _wire_errors(broken):
            return http.getresponse()

    def _connected(self) -> HTTPConnection:
        if self._http is None or self._http.sock is None:
            self.dial(self.resolve())
            self.secure()
        assert self._http is not None
        return self._http

    def _read(self, response: HTTPResponse, cut_at: int | None) -> tuple[Element, bool]:
        tree, size = _Tree(), 0
        parser = XMLParser(target=tree)  # noqa: S314 - the tree refuses document types
        try:
            with _wire_errors(Unanswered):
                while chunk := response.read(_CHUNK):
                    parser.feed(chunk)
                    size += len(chunk)
                    if size >= (cut_at or _LONGEST_ANSWER):
                        if cut_at is None:
                            raise SourceMisbehaved("The server sends far more than was asked for.")
                        self.drop()  # what is left of it would be taken for the next answer
                        parser.feed(b"<cut/>")  # has the text before it told
                        return tree.close(), True
            return _whole(parser), False
        except AppError:
            self.drop()
            raise

    def _proof(self, secret: str) -> dict[str, str]:
        """Who asks, as a header; nothing where NTLM has the connection signed in."""
        if self._method == "auto":
            self._method = self._offered()
        if self._method == "ntlm":
            return {} if self._is_signed_in else self._ntlm(secret)
        if self._method == "bearer":
            return _authorization("Bearer", secret)
        return _authorization("Basic", _base64(f"{self._credentials.user}:{secret}".encode()))

    def _offered(self) -> str:
        offers = {offer.strip().partition(" ")[0].lower() for offer in ",".join(self._challenge({})).split(",")}
        for offer, method in (("ntlm", "ntlm"), ("basic", "plain")):
            if offer in offers:
                return method
        advice = "Have Basic or NTLM turned on for Exchange Web Services, or sign in with an app of Entra ID."
        raise SourceMisconfigured("The server takes no password in a way that is known here.", advice=advice)

    def _ntlm(self, password: str) -> dict[str, str]:
        """The last of its three messages, which goes with the request."""
        connected = self._connected().sock
        proof = ntlm(self._credentials.user, password, connected)
        offers = self._challenge(_authorization("NTLM", _base64(proof.initial or b"")))
        challenge = next((offer[5:] for offer in offers if offer.startswith("NTLM ")), None)
        if challenge is None or self._http is None or self._http.sock is not connected:
            advice = "Choose `auto` or `plain`, or have the proxy before the server keep connections."
            raise SourceMisconfigured("The server does not take NTLM on a connection that stays.", advice=advice)
        return _authorization("NTLM", _base64(proof.respond(base64.b64decode(challenge))))

    def _challenge(self, headers: Mapping[str, str]) -> list[str]:
        """What the server wants of somebody who shows no more than this."""
        response = self._send(b"", headers)
        with _wire_errors():
            response.read(_LONGEST_ANSWER)
        if response.status != 401:
            raise _refusal(response.status, dict(response.headers))
        return response.headers.get_all("WWW-Authenticate", [])


def envelope(header: str, body: str, names: str) -> str:
    soap = "http://schemas.xmlsoap.org/soap/envelope/"
    content = f"<s:Header>{header}</s:Header><s:Body>{body}</s:Body>"
    return f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{soap}" {names}>{content}</s:Envelope>'


class _Tree(TreeBuilder):
    """Names come without their namespaces. A document type is refused: its entities may grow without end."""

    def start(self, tag: str, attributes: dict[str, str], /) -> Element:
        return super().start(tag.rpartition("}")[2], attributes)

    def doctype(self, *_: Any) -> None:
        raise SourceMisbehaved("The server answers with a document type, which SOAP does not have.")


def _whole(parser: XMLParser) -> Element:
    try:
        root: Element = parser.close()
    except ParseError as exc:
        raise Unanswered("The server closed the connection in the middle of its answer.") from exc
    return root


def _authorization(scheme: str, proof: str) -> dict[str, str]:
    return {"Authorization": f"{scheme} {proof}"}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


@contextmanager
def _wire_errors(broken: type[SourceUnavailable] = SourceUnavailable) -> Iterator[None]:
    """The seam for what the libraries for HTTP and XML raise; `broken` is what a connection that breaks means."""
    try:
        with network_errors(broken):
            yield
    except (HTTPException, ParseError) as exc:
        advice = "Check that the address is that of an Exchange server."
        raise SourceMisbehaved("The server does not answer as an Exchange server does.", advice=advice) from exc
