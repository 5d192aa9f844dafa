"""Simulated Entra ID: the token endpoint (v2.0) with the errors of the real one, and the check of its tokens.

What users grant is in `entra_users`, proof by signed assertion in `entra_assertions`; both hook themselves in here.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from local.simulators.oauth import base64url, form_of
from local.simulators.state import State
from local.simulators.web import Refused, Request, Response, Route

HOME_TENANT = "11111111-2222-3333-4444-555555555555"
GRAPH_AUDIENCE = "https://graph.microsoft.com"
VAULT_AUDIENCE = "https://vault.azure.net"
EXCHANGE_AUDIENCE = "https://outlook.office365.com"
_RESOURCES = {name: name for name in (GRAPH_AUDIENCE, VAULT_AUDIENCE, EXCHANGE_AUDIENCE)}
_RESOURCES["https://outlook.office.com"] = EXCHANGE_AUDIENCE
_TENANT_ALIASES = ("common", "consumers", "organizations")

_NO_RECORD = "No matching federated identity record found for presented assertion {}."

# AADSTS code -> status, error, text; the texts are those of the service (facts 1.5).
ERRORS: dict[int, tuple[int, str, str]] = {
    50034: (400, "invalid_grant", "The user account {user} does not exist in the {tenant} directory."),
    50057: (400, "invalid_grant", "The user account is disabled."),
    50076: (400, "interaction_required", "You must use multi-factor authentication to access '{scope}'."),
    50173: (
        400,
        "invalid_grant",
        "The provided grant has expired due to it being revoked, a fresh auth token is needed.",
    ),
    53003: (400, "invalid_grant", "Access has been blocked by Conditional Access policies."),
    54005: (
        400,
        "invalid_grant",
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code.",
    ),
    65001: (400, "invalid_grant", "The user or administrator has not consented to use the application '{app}'."),
    70000: (400, "invalid_grant", "Provided grant is invalid or malformed."),
    70003: (400, "unsupported_grant_type", "The app requested an unsupported grant type '{grant}'."),
    70008: (400, "invalid_grant", "The provided authorization code or refresh token has expired due to inactivity."),
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
    500112: (400, "invalid_grant", "The reply address does not match the one provided when requesting the code."),
    501481: (400, "invalid_grant", "The Code_Verifier does not match the code_challenge supplied."),
    700016: (
        400,
        "unauthorized_client",
        (
            "Application with identifier '{app}' was not found in the directory '{tenant}'. This can happen if the "
            "application has not been installed by the administrator of the tenant or consented to by any user in the "
            "tenant. You may have sent your authentication request to the wrong tenant."
        ),
    ),
    700021: (401, "invalid_client", "Client assertion application identifier doesn't match 'client_id' parameter."),
    700022: (400, "invalid_request", "The scope '{scope}' asks for more than one resource."),
    700023: (401, "invalid_client", "Client assertion audience claim does not match Realm issuer."),
    700024: (401, "invalid_client", "Client assertion is not within its valid time range."),
    700027: (401, "invalid_client", "Client assertion contains an invalid signature. [Reason - {reason}]"),
    700082: (400, "invalid_grant", "The refresh token has expired due to inactivity. It was inactive for 90.00:00:00."),
    700211: (401, "invalid_client", _NO_RECORD.format("issuer '{claim}'")),
    700212: (401, "invalid_client", _NO_RECORD.format("audience '{claim}'")),
    700213: (401, "invalid_client", _NO_RECORD.format("subject '{claim}'")),
    700229: (
        401,
        "invalid_client",
        "Only app-only tokens can be used as Federated Identity Credentials for AAD issuer.",
    ),
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

    `secrets` maps each client secret to the time it expires (epoch seconds; None: never). `certificates` are PEM,
    `federated` the federated credentials (`issuer`, `subject`, `audiences`). `public` allows users to sign in where
    the app proves nothing. `roles` are granted in Entra and stand in the token, unless `mailboxes` limits them: then
    Exchange grants them for those mailboxes and the token has none (RBAC for Applications). `vault` is what the app
    may do with secrets.
    """

    client_id: str
    tenant: str = HOME_TENANT
    secrets: dict[str, float | None] = field(default_factory=dict)
    certificates: list[str] = field(default_factory=list)
    federated: list[dict[str, Any]] = field(default_factory=list)
    redirect_uris: list[str] = field(default_factory=list)
    public: bool = False
    roles: list[str] = field(default_factory=lambda: ["Mail.ReadWrite"])
    mailboxes: list[str] | None = None
    vault: str = ""
    enabled: bool = True
    token_seconds: int = 3599


Form = Mapping[str, str]


class Entra:
    """`grants` answer token requests by their grant type; `check_assertion` sees to apps that sign, for the token
    endpoint given; `delegated` tells what a user's token may do in a mailbox.
    """

    check_assertion: Callable[[App, Form, str], None]
    delegated: Callable[[Mapping[str, Any], str], set[str]]

    def __init__(self, state: State, clock: Callable[[], datetime]) -> None:
        self._state = state
        self._clock = clock
        self._key = secrets.token_bytes(32)
        stored = state.load("entra.json", {"tenants": {HOME_TENANT: []}, "apps": []})
        self.tenants: dict[str, list[str]] = stored["tenants"]
        self.apps = {(app["tenant"], app["client_id"]): App(**app) for app in stored["apps"]}
        self.grants: dict[str, Callable[[App, Form], Response]] = {"client_credentials": self._client_credentials}
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

    def app(self, tenant: str, client_id: str) -> App:
        """The app by an alias of its tenant too. :raises Refused: there is none, or it is disabled."""
        homes = list(self.tenants) if tenant.lower() in _TENANT_ALIASES else [self._tenant(tenant)]
        found = next((app for home in homes if (app := self.apps.get((home, client_id.lower())))), None)
        if found is None:
            raise refusal(700016, app=client_id, tenant=tenant)
        if not found.enabled:
            raise refusal(7000112, app=found.client_id)
        return found

    def access_token(self, app: App, audience: str, **claims: Any) -> dict[str, Any]:
        """The answer of the token endpoint with a token that says this."""
        now = int(self._clock().timestamp())
        common: dict[str, Any] = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{app.tenant}/",
            "tid": app.tenant,
            "ver": "1.0",
        }
        common |= {"appid": app.client_id, "iat": now, "nbf": now, "exp": now + app.token_seconds}
        lifetime = {"expires_in": app.token_seconds, "ext_expires_in": app.token_seconds}
        return {"token_type": "Bearer", **lifetime, "access_token": self.sealed(common | claims)}

    def app_token(self, app: App, audience: str, **claims: Any) -> dict[str, Any]:
        granted = {"roles": app.roles} if app.roles and app.mailboxes is None else {}
        return self.access_token(app, audience, **{"oid": str(uuid4()), "idtyp": "app"} | granted | claims)

    def claims(self, request: Request, audience: str, tenant: str | None = None) -> dict[str, Any]:
        """What a bearer token says. :raises TokenRefused: it is not for this audience, here and now."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise TokenRefused("missing")
        claims = self.opened(token)
        if claims["aud"] != audience:
            raise TokenRefused("audience")
        if tenant is not None and claims["tid"] != tenant:
            raise TokenRefused("tenant")
        return claims

    def opened(self, token: str) -> dict[str, Any]:
        """:raises TokenRefused: it is not from here, or no longer good."""
        content, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(content).encode()):
            raise TokenRefused("malformed")
        payload = content.partition(".")[2]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        if claims["exp"] <= self._clock().timestamp():
            raise TokenRefused("expired")
        return claims

    def sealed(self, claims: Mapping[str, Any]) -> str:
        parts = [base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
        return ".".join([*parts, self._signature(".".join(parts))])

    def _configuration(self, request: Request, tenant: str) -> Response:
        try:
            home = tenant if tenant.lower() in _TENANT_ALIASES else self._tenant(tenant)
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
        form = form_of(request)
        if tenant.lower() in _TENANT_ALIASES and form.get("grant_type") == "client_credentials":
            raise refusal(9001023)
        for parameter in ("grant_type", "client_id"):
            if not form.get(parameter):
                raise refusal(900144, parameter=parameter)
        grant = self.grants.get(form["grant_type"])
        if grant is None:
            raise refusal(70003, grant=form["grant_type"])
        app = self.app(tenant, form["client_id"])
        if "client_assertion" in form:
            self.check_assertion(app, form, request.origin + request.path)
        elif form.get("client_secret") or not app.public or form["grant_type"] == "client_credentials":
            self._check_secret(app, form)
        return grant(app, form)

    def _tenant(self, name: str) -> str:
        for tenant, domains in self.tenants.items():
            if name.lower() in (tenant, *domains):
                return tenant
        raise refusal(90002, tenant=name)

    def _client_credentials(self, app: App, form: Form) -> Response:
        return Response(body=self.app_token(app, _audience(form.get("scope", ""))))

    def _check_secret(self, app: App, form: Form) -> None:
        secret = form.get("client_secret")
        if not secret:
            raise refusal(7000218)
        if secret not in app.secrets:
            raise refusal(7000215, app=app.client_id)
        expires_at = app.secrets[secret]
        if expires_at is not None and expires_at <= self._clock().timestamp():
            raise refusal(7000222, app=app.client_id)

    def _signature(self, content: str) -> str:
        return base64url(hmac.new(self._key, content.encode(), hashlib.sha256).digest())

    def _save(self) -> None:
        self._state.save("entra.json", {"tenants": self.tenants, "apps": [asdict(app) for app in self.apps.values()]})


def token_error(code: int, **values: str) -> dict[str, Any]:
    """Status and body of an AADSTS error; also the options of a fault that plays it."""
    status, error, text = ERRORS[code]
    fields = dict.fromkeys(("app", "tenant", "scope", "grant", "parameter", "user", "reason", "claim"), "?") | values
    trace, correlation, now = str(uuid4()), str(uuid4()), "2026-11-21 10:00:00Z"
    said = f"AADSTS{code}: {text.format_map(fields)} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}"
    body = {"error": error, "error_description": said, "error_codes": [code], "timestamp": now}
    body |= {"trace_id": trace, "correlation_id": correlation}
    body["error_uri"] = f"https://login.microsoftonline.com/error?code={code}"
    return {"status": status, "body": body}


def refusal(code: int, **values: str) -> Refused:
    return Refused(Response(**token_error(code, **values)))


def _audience(scope: str) -> str:
    """The one resource that a scope such as `https://graph.microsoft.com/.default` is for."""
    if not scope:
        raise refusal(900144, parameter="scope")
    names = scope.split()
    if not all(name.endswith("/.default") for name in names):
        raise refusal(70011, scope=scope)
    resources = {name.removesuffix("/.default").rstrip("/") for name in names}
    if len(resources) > 1:
        raise refusal(700022, scope=scope)
    return audience_of(resources.pop())


def audience_of(resource: str) -> str:
    """What tokens for a resource say whom they are for. :raises Refused: the tenant does not know it."""
    if urlsplit(resource).hostname in ("localhost", "127.0.0.1"):
        return GRAPH_AUDIENCE
    if resource not in _RESOURCES:
        raise refusal(500011, scope=resource)
    return _RESOURCES[resource]
