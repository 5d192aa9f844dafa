"""What the simulated sign-in services share: clients, the browser's part of the code grant, refresh and access tokens.

RFC 6749 section 4.1, with PKCE (RFC 7636).
"""

import base64
import binascii
import hashlib
import json
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode
from uuid import uuid4

import jwt

from local.simulators.state import State
from local.simulators.web import Refused, Request, Response

_CODE_SECONDS = 600


@dataclass
class Client:
    client_id: str
    secret: str
    redirect_uris: list[str] = field(default_factory=list)


class Clients:
    def __init__(self, state: State, file: str) -> None:
        self._state = state
        self._file = file
        self._all = {client["client_id"]: Client(**client) for client in state.load(file, [])}

    def add(self, client_id: str, secret: str, redirect_uris: Collection[str] = ()) -> None:
        """Register a client, or replace it."""
        self._all[client_id] = Client(client_id, secret, list(redirect_uris))
        self._state.save(self._file, [asdict(client) for client in self._all.values()])

    def get(self, client_id: str) -> Client | None:
        return self._all.get(client_id)

    def authenticated(self, form: Mapping[str, str]) -> Client | None:
        client = self.get(form.get("client_id", ""))
        return client if client and client.secret == form.get("client_secret") else None


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code: what it was asked for with, by whom, when (epoch seconds)."""

    query: Mapping[str, str]
    user: str
    issued_at: float


class CodeRefused(Exception):
    """The code is not redeemed; the text is `unknown`, `spent`, `expired`, `client`, `redirect` or `verifier`."""


class Codes:
    """Authorization codes. `user` is who sits at the browser and consents to everything; None cancels."""

    def __init__(
        self, clock: Callable[[], datetime], cancelled: str = "The user cancelled.", *, needs_challenge: bool = False
    ) -> None:
        self.user: str | None = None
        self._clock = clock
        self._cancelled = cancelled
        self._needs_challenge = needs_challenge
        self._codes: dict[str, Code] = {}
        self._spent: set[str] = set()

    def send_back(self, query: Mapping[str, str], known_uris: Collection[str], **extra: str) -> Response:
        """Send the browser back with a code or an error. :raises Refused: the address is not a registered one."""
        if query.get("redirect_uri") not in known_uris:
            raise error_page("redirect_uri_mismatch: the redirect URI is not registered for the client.")
        refusal = self._refusal(query)
        if refusal is not None:
            return _back(query, error=refusal[0], error_description=refusal[1])
        return _back(query, code=self._issue(query), **extra)

    def redeem(self, form: Mapping[str, str]) -> Code:
        """:raises CodeRefused:"""
        code = form.get("code", "")
        found = self._codes.pop(code, None)
        if found is None:
            raise CodeRefused("spent" if code in self._spent else "unknown")
        self._spent.add(code)
        if found.issued_at + _CODE_SECONDS <= self._clock().timestamp():
            raise CodeRefused("expired")
        if found.query["client_id"].lower() != form.get("client_id", "").lower():
            raise CodeRefused("client")
        if found.query["redirect_uri"] != form.get("redirect_uri"):
            raise CodeRefused("redirect")
        if (found.query.get("code_challenge") or None) != _challenge(form.get("code_verifier")):
            raise CodeRefused("verifier")
        return found

    def _refusal(self, query: Mapping[str, str]) -> tuple[str, str] | None:
        if query.get("response_type") != "code":
            return "unsupported_response_type", "The response type must be 'code'."
        if not query.get("scope"):
            return "invalid_scope", "The request must contain the parameter 'scope'."
        if bool(query.get("code_challenge")) != (query.get("code_challenge_method") == "S256"):
            return "invalid_request", "The code challenge must be made by the method S256."
        if self._needs_challenge and not query.get("code_challenge"):
            return "invalid_request", "The code challenge is missing."
        if self.user is None:
            return "access_denied", self._cancelled
        return None

    def _issue(self, query: Mapping[str, str]) -> str:
        assert self.user is not None, "_refusal() saw somebody at the browser"
        code = secrets.token_urlsafe(32)
        self._codes[code] = Code(query, self.user, self._clock().timestamp())
        return code


@dataclass(slots=True)
class Grant:
    """What a user allowed a client, behind one refresh token; `issued_at` in epoch seconds. The tokens that came of
    one consent are a `family`.
    """

    client_id: str
    user: str
    scope: str
    issued_at: float
    family: str = field(default_factory=lambda: str(uuid4()))
    ended: bool = False


class Grants:
    def __init__(self, state: State, file: str) -> None:
        self._state = state
        self._file = file
        self._grants = {token: Grant(**grant) for token, grant in state.load(file, {}).items()}

    def issue(self, grant: Grant) -> str:
        """A new refresh token."""
        token = secrets.token_urlsafe(48)
        self._grants[token] = grant
        self._save()
        return token

    def get(self, token: str) -> Grant | None:
        return self._grants.get(token)

    def rotate(self, token: str, issued_at: float) -> str:
        """The token that takes its place."""
        old = self._grants[token]
        old.ended = True
        return self.issue(replace(old, issued_at=issued_at, ended=False))

    def having(self, **traits: str) -> list[Grant]:
        """Those in force with all of these properties, such as `user="ann@example.com"`."""
        found = (grant for grant in self._grants.values() if not grant.ended)
        return [grant for grant in found if all(getattr(grant, name) == value for name, value in traits.items())]

    def end(self, **traits: str) -> None:
        for grant in self.having(**traits):
            grant.ended = True
        self._save()

    def _save(self) -> None:
        self._state.save(self._file, {token: asdict(grant) for token, grant in self._grants.items()})


@dataclass(frozen=True, slots=True)
class Access:
    """What an opaque access token opens; `expires_at` in epoch seconds."""

    user: str
    client_id: str
    scope: str
    expires_at: float


class AccessTokens:
    """They are forgotten at the end of the process, as if they had expired."""

    def __init__(self, clock: Callable[[], datetime], prefix: str = "") -> None:
        self._clock = clock
        self._prefix = prefix
        self._tokens: dict[str, Access] = {}

    def issue(self, user: str, client_id: str, scope: str, seconds: int) -> dict[str, Any]:
        """The answer of a token endpoint."""
        token = self._prefix + secrets.token_urlsafe(32)
        self._tokens[token] = Access(user, client_id, scope, self._clock().timestamp() + seconds)
        return {"access_token": token, "token_type": "Bearer", "expires_in": seconds, "scope": scope}

    def get(self, token: str) -> Access | None:
        """None once it has expired."""
        access = self._tokens.get(token)
        return access if access and access.expires_at > self._clock().timestamp() else None

    def end(self, user: str) -> None:
        self._tokens = {token: access for token, access in self._tokens.items() if access.user != user}


def form_of(request: Request) -> dict[str, str]:
    """The form fields; a client may also name itself by HTTP Basic (RFC 6749 section 2.3.1)."""
    form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            client, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return form
        form |= {"client_id": unquote_plus(client), "client_secret": unquote_plus(secret)}
    return form


def error_page(text: str) -> Refused:
    """What the person at the browser sees where the client must not be told."""
    return Refused(Response(400, f"<!DOCTYPE html><title>Error</title><p>{text}</p>", {"Content-Type": "text/html"}))


def oauth_error(status: int, error: str, description: str) -> Refused:
    """RFC 6749 section 5.2."""
    return Refused(Response(status, {"error": error, "error_description": description}))


def signed_claims(assertion: str, key: Any, algorithms: Sequence[str]) -> dict[str, Any]:
    """What a JWT claims; nothing but its signature is looked at. :raises jwt.InvalidTokenError: that is wrong."""
    claims: dict[str, Any] = json.loads(jwt.PyJWS().decode(assertion, key, algorithms))
    return claims


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _challenge(verifier: str | None) -> str | None:
    return verifier and base64url(hashlib.sha256(verifier.encode()).digest())


def _back(query: Mapping[str, str], **answer: str) -> Response:
    """A redirect, or the form that a browser posts by itself (OAuth 2.0 Form Post Response Mode)."""
    uri = query["redirect_uri"]
    parameters = answer | ({"state": query["state"]} if "state" in query else {})
    if query.get("response_mode") == "form_post":
        fields = "".join(
            f'<input type="hidden" name="{name}" value="{escape(parameters[name])}">' for name in parameters
        )
        form = f'<form method="post" action="{escape(uri)}">{fields}</form>'
        page = f'<!DOCTYPE html><title>Working...</title><body onload="document.forms[0].submit()">{form}'
        return Response(body=page, headers={"Content-Type": "text/html"})
    return Response(302, b"", {"Location": f"{uri}{'&' if '?' in uri else '?'}{urlencode(parameters)}"})
