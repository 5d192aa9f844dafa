"""Tokens from Entra ID, through MSAL: for apps, and for people who have signed in (req A3-A5)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partialmethod
from typing import Any

import msal  # type: ignore[import-untyped]  # it ships no types
import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from shared.adapters.https import Session, network_errors, retry_after
from shared.adapters.identity import managed_identity_token
from shared.adapters.proxy import ProxyAccess
from shared.adapters.refusals import busy, meanings
from shared.adapters.tokens.token_endpoint import accepted, json_object
from shared.domain.clouds import CloudName
from shared.domain.errors import (
    AppError,
    CredentialsRejected,
    SourceMisbehaved,
)
from shared.domain.sign_in import Certificate, ClientSecret, ManagedIdentity, MicrosoftAppSignIn, MicrosoftUserSignIn
from shared.settings import Settings

_TRANSIENT = (90012, 90024, 90033, 90055, 90090)


def app_token(
    settings: Settings, proxy: ProxyAccess | None, sign_in: MicrosoftAppSignIn, scope: str, secret: str
) -> dict[str, Any]:
    """What Entra ID answers. :raises AppError: whatever kept it from a success."""
    http = _Http(settings, proxy)
    app = _application(http, sign_in.cloud, sign_in.tenant, sign_in.client_id, sign_in.credential, secret)
    with _understood():
        return dict(app.acquire_token_for_client([scope]))


def user_token(
    settings: Settings, proxy: ProxyAccess | None, sign_in: MicrosoftUserSignIn, scope: str, form: Mapping[str, str]
) -> dict[str, Any]:
    """The same for a refresh token, or for a code with its PKCE verifier: the `form` of RFC 6749 holds them."""
    http, secret = _Http(settings, proxy), form.get("client_secret", "")
    credential = ClientSecret(secret=sign_in.client_secret) if sign_in.client_secret else None
    app = _application(http, sign_in.cloud, sign_in.tenant, sign_in.client_id, credential, secret)
    with _understood():
        if form["grant_type"] == "refresh_token":
            return dict(app.acquire_token_by_refresh_token(form["refresh_token"], [scope]))
        verifier, state = form["code_verifier"], "checked already"
        flow = {"redirect_uri": form["redirect_uri"], "code_verifier": verifier, "nonce": verifier, "state": state}
        scopes = [scope, "openid", "profile", "offline_access"]
        answer = {"code": form["code"], "state": state}
        return dict(app.acquire_token_by_auth_code_flow({**flow, "scope": scopes}, answer))


@lru_cache(maxsize=256)
def _application(  # noqa: PLR0917 - all that tells one app registration from another
    http: "_Http",
    cloud_name: CloudName,
    tenant: str,
    client_id: str,
    credential: ClientSecret | Certificate | ManagedIdentity | None,
    secret: str,
) -> Any:
    """One per app registration and version of its secret; it asks the authority for its configuration at once."""
    cloud = http.settings.cloud(cloud_name)
    options: dict[str, Any] = {
        "authority": f"{cloud.login}/{tenant}",
        "instance_discovery": False,  # the authority is a setting: there is nothing to find out about it
        "http_client": http,
        "token_cache": _NoCache(),
    }
    with _understood():
        match credential:
            case None:
                return msal.PublicClientApplication(client_id, **options)
            case ClientSecret():
                proof: Any = secret
            case Certificate():
                proof = _certificate(secret)
            case ManagedIdentity(identity_client_id=identity):
                audience = cloud.federated_audience
                proof = {"client_assertion": lambda: managed_identity_token(http.settings, identity, audience)}
        return msal.ConfidentialClientApplication(client_id, client_credential=proof, **options)


def _certificate(pem: str) -> dict[str, str]:
    """MSAL signs with PS256 where it is given the certificate. :raises CredentialsRejected: this is no such pair."""
    try:
        load_pem_x509_certificate(pem.encode())
        if not isinstance(load_pem_private_key(pem.encode(), None), RSAPrivateKey):
            raise TypeError
    except (ValueError, TypeError) as exc:
        raise CredentialsRejected(
            "The secret does not hold a certificate with its private key.",
            advice="Store both in one secret in PEM form, the private key an RSA key without a password.",
        ) from exc
    return {"private_key": pem, "public_certificate": pem}


@contextmanager
def _understood() -> Iterator[None]:
    """The seam for what MSAL raises when an answer lacks what it relies on, or its nonce is another's."""
    try:
        yield
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as exc:
        raise SourceMisbehaved("Entra ID gave an answer that makes no sense.") from exc


class _NoCache(msal.TokenCache):  # type: ignore[misc]  # MSAL ships no types
    """`Tokens` holds what MSAL gets, by the app's own clock."""

    def add(self, event: Mapping[str, Any], now: float | None = None) -> None:
        pass


@dataclass(frozen=True)
class _Http:
    """What MSAL asks with: one session a request, as an hour lies between two. Every answer that is no success is
    raised here, before MSAL puts it into words of its own.
    """

    settings: Settings
    proxy: ProxyAccess | None

    def _answer(self, method: str, url: str, **options: Any) -> requests.Response:
        with Session(self.settings, self.proxy) as session, network_errors("Entra ID"):
            answer = session.request(method, url, allow_redirects=False, **options)
        body, wait = json_object(answer.content), retry_after(answer.headers)
        if answer.status_code >= 400:
            raise _refusal(answer.status_code, body or {}, wait)
        accepted(answer.status_code, body, wait)
        return answer

    get, post = partialmethod(_answer, "GET"), partialmethod(_answer, "POST")


def _refusal(status: int, body: Mapping[str, Any], retry_after: timedelta | None) -> AppError:
    """By its AADSTS code (req A10)."""
    codes = body.get("error_codes")
    code = codes[0] if isinstance(codes, list) and codes else 0
    is_transient = code in _TRANSIENT or body.get("error") == "temporarily_unavailable"
    if error := busy("Entra ID", 503 if is_transient and status != 429 else status, retry_after):
        return error
    if meaning := meanings("entra").get(str(code)):
        return meaning.error(f"Entra ID refuses: {meaning.text} (AADSTS{code}).")
    if code:
        advice = f"https://login.microsoftonline.com/error?code={code} says what it means."
        return CredentialsRejected(f"Entra ID refuses (AADSTS{code}).", advice=advice)
    return SourceMisbehaved(f"Entra ID answered {status} without a reason.")
