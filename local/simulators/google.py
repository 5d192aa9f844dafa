"""Simulated Google sign-in: tokens for accounts, by consent or by a service account with domain-wide delegation."""

import secrets
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from local.simulators.oauth import (
    Access,
    AccessTokens,
    Client,
    Clients,
    CodeRefused,
    Codes,
    Grant,
    Grants,
    error_page,
    form_of,
    oauth_error,
    signed_claims,
)
from local.simulators.state import State
from local.simulators.web import Refused, Request, Response, Route

ALL_MAIL = "https://mail.google.com/"
MODIFY, READONLY, SEND, COMPOSE, LABELS = (
    f"https://www.googleapis.com/auth/gmail.{name}" for name in ("modify", "readonly", "send", "compose", "labels")
)
_SCOPES = {ALL_MAIL, MODIFY, READONLY, SEND, COMPOSE, LABELS, "openid", "email", "profile"}
_AUDIENCE = "https://oauth2.googleapis.com/token"
_TOKEN_SECONDS = 3599
_CODE_ERRORS = {
    "redirect": ("redirect_uri_mismatch", "Bad Request"),
    "verifier": ("invalid_grant", "Invalid code verifier."),
}
_LIFETIME = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim."
)
_NOT_DELEGATED = (
    "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the "
    "scopes requested."
)


@dataclass
class ServiceAccount:
    """`keys` are public ones in PEM by their ids; `scopes` those that an administrator delegated for all accounts."""

    email: str
    keys: dict[str, str]
    scopes: list[str]


class Google:
    def __init__(self, state: State, clock: Callable[[], datetime]) -> None:
        self._state = state
        self._clock = clock
        stored = state.load("google.json", {"accounts": [], "service_accounts": []})
        self._accounts = set(stored["accounts"])
        self._service_accounts = [ServiceAccount(**one) for one in stored["service_accounts"]]
        self._id_key = secrets.token_bytes(32)
        self.clients = Clients(state, "google-clients.json")
        self._codes = Codes(clock)
        self._grants = Grants(state, "google-grants.json")
        self.tokens = AccessTokens(clock, "ya29.")
        self._by_type: dict[str, Callable[[Mapping[str, str], str], dict[str, Any]]] = {
            "authorization_code": self._redeem,
            "refresh_token": self._refresh,
            "urn:ietf:params:oauth:grant-type:jwt-bearer": self._impersonate,
        }
        self.routes = (
            Route("google.authorize", "GET", "/o/oauth2/v2/auth", self._authorize),
            Route("google.token", "POST", "/token", self._token),
        )

    def admit(self, _request: Request, _parameters: Mapping[str, str]) -> AbstractContextManager[None]:
        return nullcontext()

    def add_account(self, address: str) -> None:
        self._accounts.add(address.lower())
        self._save()

    def add_service_account(self, key_file: Mapping[str, str], scopes: Collection[str] = ()) -> None:
        """Register a key as `new_key_file` makes it; `scopes` are delegated for all accounts."""
        private = load_pem_private_key(key_file["private_key"].encode(), None)
        public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        account = ServiceAccount(key_file["client_email"], {key_file["private_key_id"]: public}, list(scopes))
        self._service_accounts = [one for one in self._service_accounts if one.email != account.email] + [account]
        self._save()

    def sign_in(self, address: str | None) -> None:
        """Sit this account at the browser; nobody cancels. :raises KeyError: there is no such account."""
        if address is not None and address.lower() not in self._accounts:
            raise KeyError(address)
        self._codes.user = address and address.lower()

    def consent(self, address: str, client_id: str, scope: str) -> str:
        """Let the account allow this to a client, as at the browser; the refresh token."""
        return self._grants.issue(Grant(client_id, address.lower(), scope, self._clock().timestamp()))

    def revoke(self, address: str) -> None:
        """End all that the account has allowed, as a change of the password does."""
        self._grants.end(user=address.lower())
        self.tokens.end(address.lower())

    def mail_access(self, token: str) -> Access | None:
        """What the mail server makes of a token."""
        access = self.tokens.get(token)
        return access if access and ALL_MAIL in access.scope.split() else None

    def _authorize(self, request: Request) -> Response:
        query = request.query
        client = self.clients.get(query.get("client_id", ""))
        if client is None:
            raise error_page("Error 401: invalid_client. The OAuth client was not found.")
        if not set(query.get("scope", "").split()) <= _SCOPES:
            raise error_page("Error 400: invalid_scope. Some requested scopes were invalid.")
        return self._codes.send_back(
            query, client.redirect_uris, scope=query.get("scope", ""), iss="https://accounts.google.com"
        )

    def _token(self, request: Request) -> Response:
        form = form_of(request)
        grant = self._by_type.get(form.get("grant_type", ""))
        if grant is None:
            raise oauth_error(400, "unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")
        return Response(body=grant(form, request.origin + request.path))

    def _client(self, form: Mapping[str, str]) -> Client:
        if self.clients.get(form.get("client_id", "")) is None:
            raise oauth_error(401, "invalid_client", "The OAuth client was not found.")
        client = self.clients.authenticated(form)
        if client is None:
            raise oauth_error(401, "invalid_client", "Unauthorized")
        return client

    def _redeem(self, form: Mapping[str, str], _endpoint: str) -> dict[str, Any]:
        """The refresh token comes with the first consent only, unless the app asked for a new one."""
        client = self._client(form)
        try:
            code = self._codes.redeem(form)
        except CodeRefused as refused:
            raise oauth_error(
                400, *_CODE_ERRORS.get(str(refused), ("invalid_grant", "Malformed auth code."))
            ) from refused
        scope, offline = code.query["scope"], code.query.get("access_type") == "offline"
        answer = self.tokens.issue(code.user, client.client_id, scope, _TOKEN_SECONDS)
        consented = self._grants.having(client_id=client.client_id, user=code.user)
        if offline and (code.query.get("prompt") == "consent" or not consented):
            grant = Grant(client.client_id, code.user, scope, self._clock().timestamp())
            answer["refresh_token"] = self._grants.issue(grant)
        if "openid" in scope.split():
            answer["id_token"] = self._id_token(client.client_id, code.user, code.query.get("nonce"))
        return answer

    def _refresh(self, form: Mapping[str, str], _endpoint: str) -> dict[str, Any]:
        client = self._client(form)
        grant = self._grants.get(form.get("refresh_token", ""))
        if grant is None or grant.ended or grant.client_id != client.client_id:
            raise oauth_error(400, "invalid_grant", "Token has been expired or revoked.")
        return self.tokens.issue(grant.user, client.client_id, grant.scope, _TOKEN_SECONDS)

    def _impersonate(self, form: Mapping[str, str], endpoint: str) -> dict[str, Any]:
        """RFC 7523, as a service account does it for itself or for the account in `sub`."""
        account, claims = self._verified(form.get("assertion", ""))
        if claims.get("aud") not in (endpoint, _AUDIENCE):
            raise oauth_error(400, "invalid_grant", "Invalid JWT: Failed audience check.")
        issued_at, expires_at = claims.get("iat", 0), claims.get("exp", 0)
        if not issued_at - 60 <= self._clock().timestamp() < expires_at <= issued_at + 3600:
            raise oauth_error(400, "invalid_grant", _LIFETIME)
        scopes = set(str(claims.get("scope", "")).split())
        if not scopes or not scopes <= _SCOPES:
            raise oauth_error(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        if "sub" in claims and not scopes <= set(account.scopes):
            raise oauth_error(401, "unauthorized_client", _NOT_DELEGATED)
        user = str(claims.get("sub", account.email)).lower()
        if user not in {*self._accounts, account.email}:
            raise oauth_error(400, "invalid_grant", "Invalid email or User ID")
        return self.tokens.issue(user, account.email, " ".join(scopes), _TOKEN_SECONDS)

    def _verified(self, assertion: str) -> tuple[ServiceAccount, dict[str, Any]]:
        try:
            key_id = jwt.get_unverified_header(assertion).get("kid")
            account = next(one for one in self._service_accounts if key_id in one.keys)
            claims = signed_claims(assertion, account.keys[str(key_id)], ["RS256"])
        except (jwt.InvalidTokenError, StopIteration) as error:
            raise _bad_signature() from error
        if claims.get("iss") != account.email:
            raise _bad_signature()
        return account, claims

    def _id_token(self, client_id: str, user: str, nonce: str | None) -> str:
        now = int(self._clock().timestamp())
        claims = {"iss": "https://accounts.google.com", "aud": client_id, "sub": user, "email": user, "nonce": nonce}
        return jwt.encode(claims | {"iat": now, "exp": now + 3600}, self._id_key, "HS256")

    def _save(self) -> None:
        service_accounts = [asdict(one) for one in self._service_accounts]
        self._state.save("google.json", {"accounts": sorted(self._accounts), "service_accounts": service_accounts})


def new_key_file(email: str, token_uri: str) -> dict[str, str]:
    """What Google lets people download when they make a key for a service account."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    file = {"type": "service_account", "client_email": email, "token_uri": token_uri, "private_key": pem}
    return file | {"private_key_id": secrets.token_hex(20), "client_id": str(secrets.randbelow(10**21))}


def _bad_signature() -> Refused:
    return oauth_error(400, "invalid_grant", "Invalid JWT Signature.")
