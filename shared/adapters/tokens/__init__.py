"""Access tokens, for every way to sign in that ends in one (req A3-A8)."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.adapters.proxy import ProxyAccess
from shared.application.ports.platform import Clock, SecretStore
from shared.domain.errors import CredentialsRejected
from shared.domain.sign_in import (
    Certificate,
    ClientSecret,
    GoogleServiceSignIn,
    GoogleUserSignIn,
    ManagedIdentity,
    MicrosoftAppSignIn,
    MicrosoftUserSignIn,
    OAuth2SignIn,
    Purpose,
    TokenSignIn,
)
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.adapters.tokens.grants import Grants

_UNTOLD_LIFETIME = timedelta(minutes=10)
_MARGIN = timedelta(minutes=5)


@dataclass(slots=True)
class _Held:
    """What one secret has given: each token with that secret and its end. Whoever asks while the secret is being used
    waits: some refresh tokens work only once.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    tokens: dict[tuple[TokenSignIn, Purpose], tuple[str, str, datetime]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    """Held until shortly before they end, whatever the proxy that they came through."""

    settings: Settings
    secrets: SecretStore
    clock: Clock
    proxy: ProxyAccess | None = None
    patience: float = 2
    """Seconds that another instance may take to store what it has just renewed."""

    _held: dict[TokenSignIn | str, _Held] = field(default_factory=dict)

    def through(self, proxy: ProxyAccess | None) -> "Tokens":
        """The same tokens, asked for through this proxy."""
        return replace(self, proxy=proxy)

    def token(self, sign_in: TokenSignIn, purpose: Purpose) -> str:
        """:raises CredentialsRejected: with advice by the provider's error code.
        :raises SourceUnavailable: the identity provider does not answer.
        """
        held = self._holder(sign_in)
        with held.lock:
            known = self._secret(sign_in)
            token, secret, good_until = held.tokens.get((sign_in, purpose), ("", "", self.clock()))
            if self.clock() >= good_until or known not in (secret, None):
                secret, answer = self._granted(sign_in, purpose, known)
                token = str(answer["access_token"])
                held.tokens[sign_in, purpose] = token, secret, self.clock() + _lifetime(answer)
            return token

    def grants(self) -> "Grants":
        from shared.adapters.tokens.grants import Grants

        return Grants(self.settings, self.secrets, self.clock, self.proxy)

    def forget(self, sign_in: TokenSignIn) -> None:
        """Fetch fresh tokens next time: the provider has rejected what we had."""
        self._holder(sign_in).tokens = {}

    def _holder(self, sign_in: TokenSignIn) -> _Held:
        is_of_app = isinstance(sign_in, MicrosoftAppSignIn | GoogleServiceSignIn)
        return self._held.setdefault(sign_in if is_of_app else _secret_name(sign_in), _Held())

    def _secret(self, sign_in: TokenSignIn) -> str | None:
        """As far as it is known; None for a refresh token, which another instance may have renewed."""
        if not isinstance(sign_in, MicrosoftAppSignIn | GoogleServiceSignIn):
            return None
        return self.secrets.get(name) if (name := _secret_name(sign_in)) else ""

    def _granted(self, sign_in: TokenSignIn, purpose: Purpose, known: str | None) -> tuple[str, Mapping[str, Any]]:
        """A secret that is refused is read afresh: somebody may have changed it (req S3), or another instance has used
        the refresh token at the same moment, and is about to store the one that came of it.
        """
        grants = self.grants()
        secret = self._afresh(sign_in) if known is None else known
        try:
            return secret, grants.granted(sign_in, purpose, secret)
        except CredentialsRejected:
            newer = self._afresh(sign_in)
            if newer == secret and known is None:
                time.sleep(self.patience)
                newer = self._afresh(sign_in)
            if newer == secret:
                raise
            return newer, grants.granted(sign_in, purpose, newer)

    def _afresh(self, sign_in: TokenSignIn) -> str:
        if name := _secret_name(sign_in):
            self.secrets.forget(name)
            return self.secrets.get(name)
        return ""


def _secret_name(sign_in: TokenSignIn) -> str:
    """Of what proves that a token may be given; empty where there is no secret."""
    match sign_in:
        case MicrosoftAppSignIn(credential=ManagedIdentity()):
            return ""
        case MicrosoftAppSignIn(credential=ClientSecret(secret=name) | Certificate(certificate_secret=name)):
            return name
        case GoogleServiceSignIn(key_secret=name):
            return name
        case MicrosoftUserSignIn() | GoogleUserSignIn() | OAuth2SignIn():
            return sign_in.refresh_token_secret
    raise AssertionError(sign_in)


def _lifetime(answer: Mapping[str, Any]) -> timedelta:
    told = str(answer.get("expires_in"))
    lifetime = timedelta(seconds=int(told)) if told.isdecimal() and len(told) < 9 else _UNTOLD_LIFETIME
    return max(lifetime - _MARGIN, lifetime / 2)
