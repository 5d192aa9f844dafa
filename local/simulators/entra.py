"""Simulated Entra ID: the token endpoint (v2.0) with the errors of the real one, and the check of its tokens."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlsplit
from uuid import uuid4

from local.simulators.state import State
from local.simulators.web import Refused, Request, Response, Route

HOME_TENANT = "11111111-2222-3333-4444-555555555555"
GRAPH_AUDIENCE = "https://graph.microsoft.com"
VAULT_AUDIENCE = "https://vault.azure.net"

# AADSTS code -> status, error, text; the texts are those of the service (facts 1.5).
ERRORS: dict[int, tuple[int, str, str]] = {
    65001: (400, "invalid_grant", "The user or administrator has not consented to use the application '{app}'."),
    70003: (400, "unsupported_grant_type", "The app requested an unsupported grant type '{grant}'."),
    70011: (400, "invalid_scope", "The provided value for the input parameter 'scope' isn't valid. Scope: '{scope}'."),
    90002: (
        400,
        "invalid_request",
        (
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the "
            "correct cloud. Check with your subscription administrator, this may happen if there are no active "
            "subscriptions for the tenant."
        ),
    ),
    90033: (503, "temporarily_unavailable", "A transient error has occurred. Please try again."),
    90055: (429, "temporarily_unavailable", "The tenant is throttled."),
    500011: (400, "invalid_resource", "The resource principal named {scope} was not found in the tenant."),
    700016: (
        400,
        "unauthorized_client",
        (
            "Application with identifier '{app}' was not found in the directory '{tenant}'. This can happen if the "
            "application has not been installed by the administrator of the tenant or consented to by any user in the "
            "tenant. You may have sent your authentication request to the wrong tenant."
        ),
    ),
    700022: (400, "invalid_request", "The scope '{scope}' asks for more than one resource."),
    900144: (400, "invalid_request", "The request body must contain the following parameter: '{parameter}'."),
    7000112: (400, "unauthorized_client", "Application '{app}' is disabled."),
    7000215: (
        401,
        "invalid_client",
        (
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
            "not the client secret ID, for a secret added to app '{app}'."
        ),
    ),
    7000218: (
        401,
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    ),
    7000222: (
        401,
        "invalid_client",
        (
            "The provided client secret keys for app '{app}' are expired. Visit the Azure portal to create new keys "
            "for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added "
            "security: https://aka.ms/certCreds."
        ),
    ),
    9001023: (400, "invalid_request", "The grant type is not supported over the /common or /consumers endpoints."),
}


class TokenRefused(Exception):
    """A service does not take this token; the text is `missing`, `malformed`, `expired`, `audience` or `tenant`."""


@dataclass
class App:
    """An app registration with its service principal in one tenant.

    `secrets` maps each client secret to the time it expires (epoch seconds; None: never). `roles` are granted in
    Entra and stand in the token, unless `mailboxes` limits them: then Exchange grants them for those mailboxes and
    the token has none (RBAC for Applications). `vault` is what the app may do with secrets.
    """

    client_id: str
    tenant: str = HOME_TENANT
    secrets: dict[str, float | None] = field(default_factory=dict)
    roles: list[str] = field(default_factory=lambda: ["Mail.ReadWrite"])
    mailboxes: list[str] | None = None
    vault: str = ""
    enabled: bool = True
    token_seconds: int = 3599


class Entra:
    def __init__(self, state: State, clock: Callable[[], datetime]) -> None:
        self._state = state
        self._clock = clock
        self._key = secrets.token_bytes(32)
        stored = state.load("entra.json", {"tenants": {HOME_TENANT: []}, "apps": []})
        self.tenants: dict[str, list[str]] = stored["tenants"]
        self.apps = {(app["tenant"], app["client_id"]): App(**app) for app in stored["apps"]}
        self._grants: dict[str, Callable[[App, Mapping[str, str]], Response]] = {
            "client_credentials": self._client_credentials
        }
        self.routes = (
            Route("entra.token", "POST", "/{tenant}/oauth2/v2.0/token", self._token),
            Route("entra.configuration", "GET", "/{tenant}/v2.0/.well-known/openid-configuration", self._configuration),
        )

    def admit(self, _request: Request, _parameters: Mapping[str, str]) -> AbstractContextManager[None]:
        return nullcontext()

    def add_tenant(self, tenant: str, domains: Collection[str] = ()) -> None:
        self.tenants[tenant.lower()] = [domain.lower() for domain in domains]
        self._save()

    def add_app(self, client_id: str, secret: str | None = None, **options: Any) -> App:
        """Register an app, or replace it; `options` are the fields of `App`."""
        app = App(client_id.lower(), **options)
        if secret is not None:
            app.secrets[secret] = None
        self.apps[app.tenant, app.client_id] = app
        self._save()
        return app

    def claims(self, request: Request, audience: str, tenant: str | None = None) -> dict[str, Any]:
        """What a bearer token says. :raises TokenRefused: it is not for this audience, here and now."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise TokenRefused("missing")
        claims = self._opened(token)
        if claims["aud"] != audience:
            raise TokenRefused("audience")
        if claims["exp"] <= self._clock().timestamp():
            raise TokenRefused("expired")
        if tenant is not None and claims["tid"] != tenant:
            raise TokenRefused("tenant")
        return claims

    def _configuration(self, request: Request, tenant: str) -> Response:
        try:
            home = self._tenant(tenant)
        except Refused as refused:
            refused.response.body["error"] = "invalid_tenant"
            raise
        base = f"{request.origin}/{home}"
        document = {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
        }
        return Response(body=document)

    def _token(self, request: Request, tenant: str) -> Response:
        if tenant.lower() in ("common", "consumers", "organizations"):
            raise _refusal(9001023)
        home = self._tenant(tenant)
        form = _form(request)
        for parameter in ("grant_type", "client_id"):
            if not form.get(parameter):
                raise _refusal(900144, parameter=parameter)
        grant = self._grants.get(form["grant_type"])
        if grant is None:
            raise _refusal(70003, grant=form["grant_type"])
        app = self.apps.get((home, form["client_id"].lower()))
        if app is None:
            raise _refusal(700016, app=form["client_id"], tenant=tenant)
        if not app.enabled:
            raise _refusal(7000112, app=app.client_id)
        return grant(app, form)

    def _tenant(self, name: str) -> str:
        for tenant, domains in self.tenants.items():
            if name.lower() in (tenant, *domains):
                return tenant
        raise _refusal(90002, tenant=name)

    def _client_credentials(self, app: App, form: Mapping[str, str]) -> Response:
        self._check_secret(app, form)
        audience = _audience(form.get("scope", ""))
        now = int(self._clock().timestamp())
        claims: dict[str, Any] = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{app.tenant}/",
            "tid": app.tenant,
            "ver": "1.0",
        }
        claims |= {"appid": app.client_id, "oid": str(uuid4()), "iat": now, "nbf": now, "exp": now + app.token_seconds}
        if app.roles and app.mailboxes is None:
            claims["roles"] = app.roles
        lifetime = {"expires_in": app.token_seconds, "ext_expires_in": app.token_seconds}
        return Response(body={"token_type": "Bearer", **lifetime, "access_token": self._sealed(claims)})

    def _check_secret(self, app: App, form: Mapping[str, str]) -> None:
        secret = form.get("client_secret")
        if not secret:
            raise _refusal(7000218)
        if secret not in app.secrets:
            raise _refusal(7000215, app=app.client_id)
        expires_at = app.secrets[secret]
        if expires_at is not None and expires_at <= self._clock().timestamp():
            raise _refusal(7000222, app=app.client_id)

    def _sealed(self, claims: Mapping[str, Any]) -> str:
        parts = [_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
        return ".".join([*parts, self._signature(".".join(parts))])

    def _opened(self, token: str) -> dict[str, Any]:
        content, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(content).encode()):
            raise TokenRefused("malformed")
        payload = content.partition(".")[2]
        return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))

    def _signature(self, content: str) -> str:
        return _base64url(hmac.new(self._key, content.encode(), hashlib.sha256).digest())

    def _save(self) -> None:
        self._state.save("entra.json", {"tenants": self.tenants, "apps": [asdict(app) for app in self.apps.values()]})


def token_error(code: int, **values: str) -> dict[str, Any]:
    """Status and body of an AADSTS error; also the options of a fault that plays it."""
    status, error, text = ERRORS[code]
    fields = dict.fromkeys(("app", "tenant", "scope", "grant", "parameter"), "?") | values
    trace, correlation, now = str(uuid4()), str(uuid4()), "2026-11-21 10:00:00Z"
    said = f"AADSTS{code}: {text.format_map(fields)} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}"
    body = {"error": error, "error_description": said, "error_codes": [code], "timestamp": now}
    body |= {"trace_id": trace, "correlation_id": correlation}
    body["error_uri"] = f"https://login.microsoftonline.com/error?code={code}"
    return {"status": status, "body": body}


def _refusal(code: int, **values: str) -> Refused:
    return Refused(Response(**token_error(code, **values)))


def _form(request: Request) -> dict[str, str]:
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


def _audience(scope: str) -> str:
    """The one resource that a scope such as `https://graph.microsoft.com/.default` is for."""
    if not scope:
        raise _refusal(900144, parameter="scope")
    names = scope.split()
    if not all(name.endswith("/.default") for name in names):
        raise _refusal(70011, scope=scope)
    resources = {name.removesuffix("/.default").rstrip("/") for name in names}
    if len(resources) > 1:
        raise _refusal(700022, scope=scope)
    resource = resources.pop()
    if urlsplit(resource).hostname in ("localhost", "127.0.0.1"):
        return GRAPH_AUDIENCE
    if resource not in (GRAPH_AUDIENCE, VAULT_AUDIENCE):
        raise _refusal(500011, scope=resource)
    return resource


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
