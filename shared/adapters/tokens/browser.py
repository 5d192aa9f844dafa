"""Signing in with a browser: authorization code with PKCE (RFC 6749 section 4.1, RFC 7636, RFC 9700; req A5-A7)."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from shared.adapters.proxy import proxy_access
from shared.adapters.tokens import Tokens
from shared.adapters.tokens.scopes import google_scope, permissions
from shared.domain.errors import SourceMisbehaved
from shared.domain.sign_in import GoogleUserSignIn, MicrosoftUserSignIn, NewSignIn, OAuth2SignIn, Purpose, UserSignIn
from shared.settings import Settings

_ACCOUNT_CLAIMS = ("preferred_username", "email", "upn")


class BrowserSignIns:
    """The `SignInService`."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._redirect_url = f"{tokens.settings.public_url}/hooks/sign-in"

    def url(self, asked: NewSignIn, state: str, challenge: str) -> str:
        url, wanted = _authorization(asked.sign_in, _purposes(asked), self._tokens.settings)
        query = {
            "response_type": "code",
            "client_id": self._tokens.grants().client(asked.sign_in)["client_id"],  # finds out a missing secret now
            "redirect_uri": self._redirect_url,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **wanted,
        }
        if "openid" in wanted["scope"].split():  # MSAL wants the hash of what it is shown at the end, the verifier
            query["nonce"] = base64.urlsafe_b64decode(f"{challenge}=").hex()
        if asked.sign_in.account:
            query["login_hint"] = asked.sign_in.account
        return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"

    def finish(self, asked: NewSignIn, answer: Mapping[str, str], verifier: str) -> str:
        from shared.adapters.tokens.token_endpoint import refusal, text

        if "code" not in answer:
            raise refusal(answer.get("error"))
        purpose = _purposes(asked)[0]
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": self._redirect_url,
            "code_verifier": verifier,
        }
        tokens = self._tokens.through(proxy_access(asked.proxy, self._tokens.secrets))
        given = tokens.grants().of_person(asked.sign_in, purpose, form)
        if not given.get("refresh_token"):
            advice = "Ask for one with a scope, often `offline_access`, and sign in again."
            raise SourceMisbehaved("The sign-in service gave no refresh token.", advice=advice)
        tokens.secrets.put(asked.sign_in.refresh_token_secret, text(given, "refresh_token"))
        tokens.forget(asked.sign_in)
        return _account(given.get("id_token"))


def _authorization(sign_in: UserSignIn, purposes: Sequence[Purpose], settings: Settings) -> tuple[str, dict[str, str]]:
    """Where a person signs in, and what they are asked to allow; further parameters are those of this provider."""
    match sign_in:
        case MicrosoftUserSignIn():
            url = f"{settings.cloud(sign_in.cloud).login}/{sign_in.tenant}/oauth2/v2.0/authorize"
            scopes = [*permissions(sign_in, purposes, settings), "openid", "profile", "offline_access"]
            return url, {"scope": " ".join(scopes), "prompt": "select_account"}
        case GoogleUserSignIn():  # a refresh token comes with each consent only if it is asked for like this
            scopes = [*dict.fromkeys(map(google_scope, purposes)), "openid", "email"]
            url = f"{settings.google_login_endpoint}/o/oauth2/v2/auth"
            return url, {"scope": " ".join(scopes), "access_type": "offline", "prompt": "consent"}
        case OAuth2SignIn():
            return sign_in.authorization_url, {"scope": sign_in.scopes}


def _purposes(asked: NewSignIn) -> tuple[Purpose, ...]:
    return asked.purposes or ("gmail" if isinstance(asked.sign_in, GoogleUserSignIn) else "graph",)


def _account(id_token: Any) -> str:
    """Who signed in. The token came from the provider itself, over TLS, so its signature need not be checked
    (OpenID Connect Core section 3.1.3.7); it is shown to people and decides nothing.
    """
    try:
        payload = str(id_token).split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        names = [claims[name] for name in _ACCOUNT_CLAIMS if name in claims]
    except (IndexError, TypeError, ValueError):
        return ""
    return names[0] if names and isinstance(names[0], str) and len(names[0]) < 255 else ""
