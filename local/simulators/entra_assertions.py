"""Simulated Entra ID: apps that prove themselves by a signed assertion, and the identities of Azure resources.

An assertion is signed either with a registered certificate, or by another issuer that a federated credential trusts.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from local.simulators.entra import HOME_TENANT, App, Entra, Form, TokenRefused, audience_of, refusal
from local.simulators.oauth import base64url, signed_claims
from local.simulators.state import State
from local.simulators.web import Refused, Request, Response, Route

EXCHANGE_TOKENS = "api://AzureADTokenExchange"
IDENTITY_HEADER = "simulated-identity-header"
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_KEY_UNKNOWN = "The key was not found."
_SIGNATURE_WRONG = "The provided signature value did not match the expected signature value."
_THUMBPRINTS: dict[str, Callable[[], HashAlgorithm]] = {"x5t#S256": SHA256, "x5t": SHA1}


class Assertions:
    def __init__(self, entra: Entra, clock: Callable[[], datetime]) -> None:
        self._entra = entra
        self._clock = clock

    def check(self, app: App, form: Form, endpoint: str) -> None:
        """:raises Refused: it does not prove that the sender is this app."""
        if form.get("client_assertion_type") != _ASSERTION_TYPE:
            raise refusal(900144, parameter="client_assertion_type")
        try:
            header = jwt.get_unverified_header(form["client_assertion"])
        except jwt.InvalidTokenError as error:
            raise refusal(700027, reason="The assertion is no signed JWT.") from error
        if _THUMBPRINTS.keys() & header.keys():
            self._check_certificate(app, form["client_assertion"], header, endpoint)
        else:
            self._check_federated(app, form["client_assertion"])

    def _check_certificate(self, app: App, assertion: str, header: Mapping[str, Any], endpoint: str) -> None:
        claims = _verified(app, assertion, header)
        if claims.get("aud") != endpoint:
            raise refusal(700023)
        if not claims.get("iss") == claims.get("sub") == app.client_id:
            raise refusal(700021)
        if not claims.get("nbf", 0) <= self._clock().timestamp() < claims.get("exp", 0):
            raise refusal(700024)
        if "jti" not in claims:
            raise refusal(700027, reason="The jti is missing.")

    def _check_federated(self, app: App, assertion: str) -> None:
        """Only tokens of this Entra ID can be verified, so no other issuer can be trusted."""
        try:
            claims = self._entra.opened(assertion)
        except TokenRefused as refused:
            expired = str(refused) == "expired"
            raise refusal(700024 if expired else 700027, reason=_SIGNATURE_WRONG) from refused
        if claims.get("idtyp") != "app":
            raise refusal(700229)
        _match_federated(app, claims)


def _verified(app: App, assertion: str, header: Mapping[str, Any]) -> dict[str, Any]:
    """What the assertion claims, if a certificate of the app signed it (facts 1.2)."""
    for pem in app.certificates:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        prints = {name: base64url(certificate.fingerprint(kind())) for name, kind in _THUMBPRINTS.items()}
        if any(str(header.get(name)).rstrip("=") == found for name, found in prints.items()):
            break
    else:
        raise refusal(700027, reason=_KEY_UNKNOWN)
    try:
        return signed_claims(assertion, certificate.public_key(), ["PS256", "RS256"])
    except jwt.InvalidTokenError as error:
        raise refusal(700027, reason=_SIGNATURE_WRONG) from error


def _match_federated(app: App, claims: Mapping[str, Any]) -> None:
    """Issuer, subject and audience must be those of one credential, letter by letter."""
    trusted = [one for one in app.federated if one["issuer"] == claims["iss"]]
    if not trusted:
        raise refusal(700211, claim=claims["iss"])
    trusted = [one for one in trusted if one["subject"] == claims["sub"]]
    if not trusted:
        raise refusal(700213, claim=claims["sub"])
    if not any(claims["aud"] in one["audiences"] for one in trusted):
        raise refusal(700212, claim=claims["aud"])


@dataclass
class Identity:
    """A managed identity; a user-assigned one unless `system` says otherwise."""

    client_id: str
    principal_id: str
    resource_id: str = ""
    system: bool = False


class Identities:
    """The endpoint that hands a function app the tokens of its managed identities (facts 1.2)."""

    def __init__(self, state: State, entra: Entra) -> None:
        self._state = state
        self._entra = entra
        self._all = [Identity(**one) for one in state.load("identities.json", [])]
        self.routes = (Route("identity.token", "GET", "/msi/token", self._token),)

    def admit(self, request: Request, _parameters: Mapping[str, str]) -> AbstractContextManager[None]:
        if request.headers.get("x-identity-header") != IDENTITY_HEADER:
            raise _failure(403, "The X-IDENTITY-HEADER is missing or wrong.")
        if request.query.get("api-version") != "2019-08-01":
            raise _failure(400, "The api-version is missing or not supported.")
        return nullcontext()

    def add(
        self, client_id: str, principal_id: str, *, resource_id: str = "", system: bool = False, **app: Any
    ) -> None:
        """Assign an identity to the function app; `app` are the fields of `App` for what it may do."""
        self._entra.add_app(client_id, **app)
        self._all.append(Identity(client_id.lower(), principal_id, resource_id, system))
        self._state.save("identities.json", [asdict(one) for one in self._all])

    def _token(self, request: Request) -> Response:
        identity, resource = self._asked(request.query), request.query.get("resource", "")
        app = self._entra.app(HOME_TENANT, identity.client_id)
        claims = {"oid": identity.principal_id, "sub": identity.principal_id}
        if resource == EXCHANGE_TOKENS:
            claims["iss"] = f"https://login.microsoftonline.com/{app.tenant}/v2.0"
        body = self._entra.app_token(app, _audience(resource), **claims)
        expires_on = str(self._entra.opened(body["access_token"])["exp"])
        answer = {"access_token": body["access_token"], "expires_on": expires_on, "resource": resource}
        return Response(body=answer | {"token_type": "Bearer", "client_id": identity.client_id})

    def _asked(self, query: Mapping[str, str]) -> Identity:
        ids = {"client_id": "client_id", "object_id": "principal_id", "mi_res_id": "resource_id"}
        wanted = {attribute: query[name] for name, attribute in ids.items() if name in query}
        for identity in self._all:
            if all(getattr(identity, name) == value for name, value in wanted.items()) and (wanted or identity.system):
                return identity
        raise _failure(400, "No managed identity was found for the specified identity.")


def _audience(resource: str) -> str:
    if resource == EXCHANGE_TOKENS:
        return resource
    try:
        return audience_of(resource.rstrip("/"))
    except Refused as refused:
        raise _failure(500, "An unexpected error occured while fetching the AAD Token.") from refused


def _failure(status: int, message: str) -> Refused:
    return Refused(Response(status, {"statusCode": status, "message": message}))
