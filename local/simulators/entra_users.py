"""Simulated Entra ID: users who sign in and let apps act for them, by authorization code and refresh token."""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from local.simulators.entra import (
    EXCHANGE_AUDIENCE,
    GRAPH_AUDIENCE,
    HOME_TENANT,
    App,
    Entra,
    Form,
    TokenRefused,
    audience_of,
    refusal,
)
from local.simulators.oauth import Access, CodeRefused, Codes, Grant, Grants, error_page
from local.simulators.state import State
from local.simulators.web import Refused, Request, Response, Route

_IDLE_SECONDS = 90 * 24 * 3600
_ABOUT_THE_USER = {"openid", "profile", "email", "offline_access"}
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
_UNKNOWN_TO_PERSONAL = (".Shared", "https://outlook.office365.com")
_CODE_ERRORS = {"spent": 54005, "expired": 70008, "redirect": 500112, "verifier": 501481}
_CANCELLED = "AADSTS65004: User declined to consent to access the app."


@dataclass
class User:
    """`shared` are other mailboxes that the user has full access to. `trouble` is the AADSTS code that refreshing
    meets until the user signs in again, such as 50076 (more factors are needed).
    """

    address: str
    tenant: str = HOME_TENANT
    id: str = field(default_factory=lambda: str(uuid4()))
    shared: list[str] = field(default_factory=list)
    trouble: int | None = None


class EntraUsers:
    def __init__(self, state: State, entra: Entra, clock: Callable[[], datetime]) -> None:
        self._state = state
        self._entra = entra
        self._clock = clock
        self._codes = Codes(clock, _CANCELLED)
        self._grants = Grants(state, "entra-grants.json")
        self._users = {user["address"]: User(**user) for user in state.load("entra-users.json", [])}
        entra.grants |= {"authorization_code": self._redeem, "refresh_token": self._refresh}
        entra.delegated = self._delegated
        self.routes = (Route("entra.authorize", "GET", "/{tenant}/oauth2/v2.0/authorize", self._authorize),)

    def admit(self, _request: Request, _parameters: Mapping[str, str]) -> AbstractContextManager[None]:
        return nullcontext()

    def add(self, address: str, **options: Any) -> None:
        """Add a user, or change one; `options` are the fields of `User`."""
        known = self._users.get(address.lower())
        self._users[address.lower()] = User(
            **{**(asdict(known) if known else {}), "address": address.lower(), **options}
        )
        self._state.save("entra-users.json", [asdict(user) for user in self._users.values()])

    def sign_in(self, address: str | None) -> None:
        """Sit this user at the browser; nobody cancels. :raises KeyError: there is no such user."""
        self._codes.user = None if address is None else self._users[address.lower()].address

    def revoke(self, address: str) -> None:
        """End all that the user has allowed, as a change of the password does."""
        self._grants.end(user=address.lower())

    def mail_access(self, token: str) -> Access | None:
        """What a mail server of Exchange makes of a user's token."""
        try:
            claims = self._entra.opened(token)
        except TokenRefused:
            return None
        if claims["aud"] != EXCHANGE_AUDIENCE or "scp" not in claims:
            return None
        return Access(claims["upn"], claims["appid"], claims["scp"], claims["exp"])

    def _authorize(self, request: Request, tenant: str) -> Response:
        try:
            app = self._entra.app(tenant, request.query.get("client_id", ""))
        except Refused as refused:
            raise error_page(refused.response.body["error_description"]) from refused
        at_browser = self._users.get(self._codes.user or "")
        if at_browser:
            _check_scope(at_browser, request.query.get("scope", ""))
        return self._codes.send_back(request.query, app.redirect_uris, session_state=str(uuid4()))

    def _redeem(self, app: App, form: Form) -> Response:
        try:
            code = self._codes.redeem(form)
        except CodeRefused as refused:
            raise refusal(_CODE_ERRORS.get(str(refused), 70000)) from refused
        user = self._users[code.user]
        if user.trouble:
            self.add(user.address, trouble=None)
        grant = Grant(app.client_id, code.user, code.query["scope"], self._clock().timestamp())
        return self._tokens(app, form, grant, code.query.get("nonce"))

    def _refresh(self, app: App, form: Form) -> Response:
        token = form.get("refresh_token")
        if not token:
            raise refusal(900144, parameter="refresh_token")
        grant = self._grants.get(token)
        if grant is None or grant.client_id != app.client_id:
            raise refusal(70000)
        if grant.ended:
            raise refusal(50173)
        now = self._clock().timestamp()
        if grant.issued_at + _IDLE_SECONDS <= now:
            raise refusal(700082)
        trouble = self._users[grant.user].trouble
        if trouble:
            raise refusal(trouble, scope=form.get("scope", ""))
        return self._tokens(app, form, Grant(app.client_id, grant.user, grant.scope, now, grant.family))

    def _tokens(self, app: App, form: Form, grant: Grant, nonce: str | None = None) -> Response:
        """The refresh token that was used stays good beside the new one until it expires (facts 1.3)."""
        user, about = self._users[grant.user], _ABOUT_THE_USER & set(grant.scope.split())
        _check_scope(user, form.get("scope", ""))
        audience, names = _permitted(app, form.get("scope") or grant.scope, grant.scope)
        body = self._entra.access_token(app, audience, scp=" ".join(names), upn=user.address, oid=user.id)
        body["scope"] = " ".join([*(f"{audience}/{name}" for name in names), *sorted(about - {"offline_access"})])
        if "offline_access" in about:
            body["refresh_token"] = self._grants.issue(grant)
        if "openid" in about:
            body["id_token"] = self._id_token(app, user, nonce)
        return Response(body=body)

    def _id_token(self, app: App, user: User, nonce: str | None) -> str:
        now = int(self._clock().timestamp())
        claims = {"iss": f"https://login.microsoftonline.com/{user.tenant}/v2.0", "aud": app.client_id, "ver": "2.0"}
        claims |= {"sub": user.id, "oid": user.id, "tid": user.tenant, "preferred_username": user.address}
        return self._entra.sealed(claims | {"iat": now, "nbf": now, "exp": now + 3600, "nonce": nonce})

    def _delegated(self, claims: Mapping[str, Any], address: str) -> set[str]:
        """The permissions of a user's token in a mailbox; in a shared one those that end in `.Shared`."""
        user, names = self._users[claims["upn"]], claims["scp"].split()
        if address == user.address:
            return set(names)
        has_access = address in map(str.lower, user.shared)
        return {name.removesuffix(".Shared") for name in names if name.endswith(".Shared") and has_access}


def _check_scope(user: User, scope: str) -> None:
    """:raises Refused: a personal account is asked for what only work accounts have."""
    if user.tenant == PERSONAL_TENANT and any(each in scope for each in _UNKNOWN_TO_PERSONAL):
        raise refusal(70011, scope=scope)


def _permitted(app: App, asked: str, granted: str) -> tuple[str, Collection[str]]:
    """The audience of a token and what it permits. :raises Refused: more than was granted, or for more than one."""
    wanted, allowed = _permissions(asked), _permissions(granted)
    audiences = {audience for audience, _ in wanted}
    if len(audiences) > 1:
        raise refusal(700022, scope=asked)
    audience = audiences.pop() if audiences else GRAPH_AUDIENCE
    if wanted == {(audience, ".default")}:
        wanted = {permission for permission in allowed if permission[0] == audience}
    if not wanted <= allowed:
        raise refusal(65001, app=app.client_id)
    return audience, sorted(name for _, name in wanted)


def _permissions(scope: str) -> set[tuple[str, str]]:
    """Audience and name of each permission; one without a resource is of Graph."""
    pairs = (name.rpartition("/") for name in scope.split() if name not in _ABOUT_THE_USER)
    return {(audience_of(resource) if slash else GRAPH_AUDIENCE, name) for resource, slash, name in pairs}
