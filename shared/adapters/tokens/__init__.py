"""Access tokens, for every way to sign in that ends in one (req A3-A8)."""

import threading
from importlib import import_module

from shared.adapters.sources.services import TokenIssuer
from shared.application.ports import Clock, SecretStore
from shared.domain.sign_in import Purpose, TokenSignIn
from shared.settings import Settings

ISSUERS = {
    "microsoft_app": "shared.adapters.tokens.apps:AppTokens",
    "microsoft_user": "shared.adapters.tokens.users:UserTokens",
    "oauth2": "shared.adapters.tokens.users:UserTokens",
    "google_user": "shared.adapters.tokens.users:UserTokens",
    "google_service": "shared.adapters.google_tokens:GoogleTokens",
}
"""The issuer for each `kind` of sign-in, imported when the first one of its kind asks."""


class Tokens:
    """The `TokenIssuer` that hands each sign-in to the one for its kind."""

    def __init__(self, settings: Settings, secrets: SecretStore, clock: Clock) -> None:
        self._services = settings, secrets, clock
        self._issuers: dict[str, TokenIssuer] = {}
        self._lock = threading.Lock()

    def token(self, sign_in: TokenSignIn, purpose: Purpose) -> str:
        return self._issuer(sign_in).token(sign_in, purpose)

    def forget(self, sign_in: TokenSignIn, purpose: Purpose) -> None:
        self._issuer(sign_in).forget(sign_in, purpose)

    def _issuer(self, sign_in: TokenSignIn) -> TokenIssuer:
        name = ISSUERS[sign_in.kind]
        with self._lock:
            if name not in self._issuers:
                module, _, kind = name.partition(":")
                self._issuers[name] = getattr(import_module(module), kind)(*self._services)
            return self._issuers[name]
