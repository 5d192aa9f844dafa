"""What is asked for access tokens, and how it is proven who asks (RFC 6749 sections 4.4 and 6, RFC 7523)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.adapters.https import Session, network_errors, retry_after
from shared.adapters.proxy import ProxyAccess
from shared.adapters.refusals import meanings
from shared.adapters.tokens.scopes import google_scope, resource
from shared.adapters.tokens.token_endpoint import accepted, json_object, post_form, refused, text
from shared.application.ports.platform import Clock, SecretStore
from shared.domain.errors import CredentialsRejected
from shared.domain.sign_in import (
    GoogleServiceSignIn,
    GoogleUserSignIn,
    MicrosoftAppSignIn,
    MicrosoftUserSignIn,
    OAuth2SignIn,
    Purpose,
    TokenSignIn,
    UserSignIn,
)
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Grants:
    settings: Settings
    secrets: SecretStore
    clock: Clock
    proxy: ProxyAccess | None = None

    def granted(self, sign_in: TokenSignIn, purpose: Purpose, secret: str) -> Mapping[str, Any]:
        """The answer with an access token. A renewed refresh token is stored before anything else happens, as the one
        before may be of no use any more.
        """
        match sign_in:
            case MicrosoftAppSignIn():
                from shared.adapters.tokens.entra import app_token

                scope = f"{resource(self.settings.cloud(sign_in.cloud), purpose, of_person=False)}/.default"
                answer: Mapping[str, Any] = app_token(self.settings, self.proxy, sign_in, scope, secret)
            case GoogleServiceSignIn():
                answer = self._of_service_account(sign_in, purpose, secret)
            case _:
                form = {"grant_type": "refresh_token", "refresh_token": secret}
                answer = self.of_person(sign_in, purpose, form)
                if answer.get("refresh_token", secret) != secret:
                    self.secrets.put(sign_in.refresh_token_secret, text(answer, "refresh_token"))
        text(answer, "access_token")
        return answer

    def of_person(self, sign_in: UserSignIn, purpose: Purpose, form: Mapping[str, str]) -> Mapping[str, Any]:
        """The answer to the code or the refresh token in this form of RFC 6749."""
        form = {**form, **self.client(sign_in)}
        match sign_in:
            case MicrosoftUserSignIn():
                from shared.adapters.tokens.entra import user_token

                scope = f"{resource(self.settings.cloud(sign_in.cloud), purpose, of_person=True)}/.default"
                return user_token(self.settings, self.proxy, sign_in, scope, form)
            case GoogleUserSignIn():
                return self._ask_google(form)
            case OAuth2SignIn():
                return post_form(sign_in.token_url, form, self.settings, self.proxy)

    def client(self, sign_in: UserSignIn) -> dict[str, str]:
        """The fields of a token request that tell who asks. The secret is read afresh: one request an hour (req S3)."""
        fields = {"client_id": sign_in.client_id}
        if sign_in.client_secret:
            self.secrets.forget(sign_in.client_secret)
            fields["client_secret"] = self.secrets.get(sign_in.client_secret)
        return fields

    def _of_service_account(self, sign_in: GoogleServiceSignIn, purpose: Purpose, secret: str) -> dict[str, Any]:
        """The sign-in says for which account of its domain it acts."""
        try:
            file = json.loads(secret)
            claims = {"iss": file["client_email"], "sub": sign_in.account, "scope": google_scope(purpose)}
            claims["aud"] = self.settings.google_token_endpoint
            assertion = _signed(claims, file["private_key"], file.get("private_key_id"), self.clock())
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            advice = "Store the service account's key in Key Vault as the JSON file that Google gave."
            raise CredentialsRejected("The secret does not hold the key of a service account.", advice=advice) from exc
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        return self._ask_google(form, is_service=True)

    def _ask_google(self, form: Mapping[str, str], *, is_service: bool = False) -> dict[str, Any]:
        with Session(self.settings, self.proxy) as session, network_errors("Google"):
            answer = session.post(self.settings.google_token_endpoint, data=form, allow_redirects=False)
        body = json_object(answer.content)
        if is_service and body and body.get("error") in meanings("google_service"):
            raise refused("Google refuses the service account", "google_service", body["error"])
        return accepted(answer.status_code, body, retry_after(answer.headers))


def _signed(claims: Mapping[str, Any], pem: str, key_id: str | None, now: datetime) -> str:
    """:raises ValueError, TypeError: the PEM has no private key of RSA, or one with a password."""
    import jwt
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key: Any = load_pem_private_key(pem.encode(), None)
    issued_at = int(now.timestamp())
    try:
        claims = {**claims, "iat": issued_at, "exp": issued_at + 3600}
        return jwt.encode(claims, key, "RS256", headers={"kid": key_id})
    except jwt.PyJWTError as exc:
        raise ValueError from exc
