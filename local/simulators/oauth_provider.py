"""A simulated OAuth 2 provider of the strict kind: PKCE is required, a refresh token works once (RFC 9700)."""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime

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
)
from local.simulators.state import State
from local.simulators.web import Refused, Request, Response, Route

_TOKEN_SECONDS = 3600


class OAuthProvider:
    """`reuse_ends_all`: who uses a refresh token again ends all that came of the consent, and not this try alone.
    `lookups` know the tokens of the other services, so that one mail server can ask about all of them here.
    """

    def __init__(
        self, state: State, clock: Callable[[], datetime], lookups: Collection[Callable[[str], Access | None]]
    ) -> None:
        self.reuse_ends_all = True
        self._clock = clock
        self.clients = Clients(state, "oauth-clients.json")
        self._codes = Codes(clock, needs_challenge=True)
        self._grants = Grants(state, "oauth-grants.json")
        self._tokens = AccessTokens(clock)
        self._lookups = (self._tokens.get, *lookups)
        self.routes = (
            Route("oauth.authorize", "GET", "/oauth/authorize", self._authorize),
            Route("oauth.token", "POST", "/oauth/token", self._token),
            Route("oauth.introspect", "POST", "/oauth/introspect", self._introspect),
        )

    def admit(self, _request: Request, _parameters: Mapping[str, str]) -> AbstractContextManager[None]:
        return nullcontext()

    def sign_in(self, user: str | None) -> None:
        """Sit this user at the browser; nobody cancels."""
        self._codes.user = user

    def revoke(self, user: str) -> None:
        """End all that the user has allowed."""
        self._grants.end(user=user)
        self._tokens.end(user)

    def _authorize(self, request: Request) -> Response:
        client = self.clients.get(request.query.get("client_id", ""))
        if client is None:
            raise error_page("invalid_client: the client is not registered.")
        return self._codes.send_back(request.query, client.redirect_uris)

    def _token(self, request: Request) -> Response:
        form = form_of(request)
        client = self._client(form)
        match form.get("grant_type"):
            case "authorization_code":
                return self._redeem(client, form)
            case "refresh_token":
                return self._refresh(client, form)
        raise oauth_error(400, "unsupported_grant_type", "The grant type is not supported.")

    def _client(self, form: Mapping[str, str]) -> Client:
        client = self.clients.authenticated(form)
        if client is None:
            raise oauth_error(401, "invalid_client", "The client is unknown, or its secret is wrong.")
        return client

    def _redeem(self, client: Client, form: Mapping[str, str]) -> Response:
        try:
            code = self._codes.redeem(form)
        except CodeRefused as refused:
            raise _no_grant(f"The code is not redeemed ({refused}).") from refused
        grant = Grant(client.client_id, code.user, code.query["scope"], self._clock().timestamp())
        return self._answer(grant, grant.scope, self._grants.issue(grant))

    def _refresh(self, client: Client, form: Mapping[str, str]) -> Response:
        token = form.get("refresh_token", "")
        grant = self._grants.get(token)
        if grant is None or grant.client_id != client.client_id:
            raise _no_grant("The refresh token is unknown.")
        if grant.ended:
            if self.reuse_ends_all:
                self._grants.end(family=grant.family)
            raise _no_grant("The refresh token was used before or revoked; so are all that came of it.")
        scope = form.get("scope") or grant.scope
        if not set(scope.split()) <= set(grant.scope.split()):
            raise oauth_error(400, "invalid_scope", "The scope exceeds what was granted.")
        return self._answer(grant, scope, self._grants.rotate(token, self._clock().timestamp()))

    def _answer(self, grant: Grant, scope: str, refresh_token: str) -> Response:
        answer = self._tokens.issue(grant.user, grant.client_id, scope, _TOKEN_SECONDS)
        return Response(body=answer | {"refresh_token": refresh_token})

    def _introspect(self, request: Request) -> Response:
        """RFC 7662; a mail server finds the user by `email`."""
        form = form_of(request)
        self._client(form)
        found = next((access for look in self._lookups if (access := look(form.get("token", "")))), None)
        if found is None:
            return Response(body={"active": False})
        about = {"username": found.user, "email": found.user, "client_id": found.client_id, "scope": found.scope}
        return Response(body={"active": True, "token_type": "Bearer", "exp": int(found.expires_at)} | about)


def _no_grant(description: str) -> Refused:
    return oauth_error(400, "invalid_grant", description)
