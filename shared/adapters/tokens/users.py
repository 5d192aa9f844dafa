"""Access tokens for people who have signed in: their refresh token is renewed with each use (req A5-A7)."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from shared.adapters.tokens.providers import provider
from shared.application.ports import Clock, SecretStore
from shared.domain.errors import SourceMisbehaved
from shared.domain.sign_in import (
    GoogleServiceSignIn,
    MicrosoftAppSignIn,
    Purpose,
    TokenSignIn,
    UserSignIn,
)
from shared.settings import Settings

_UNTOLD_LIFETIME = timedelta(minutes=10)
_MARGIN = timedelta(minutes=5)


@dataclass(slots=True)
class _Grant:
    """What one refresh token has given. Whoever asks while it is being used waits: some work only once."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    tokens: dict[tuple[UserSignIn, Purpose], tuple[str, datetime]] = field(default_factory=dict)


class UserTokens:
    def __init__(self, settings: Settings, secrets: SecretStore, clock: Clock) -> None:
        self._settings = settings
        self._secrets = secrets
        self._clock = clock
        self._grants: dict[str, _Grant] = {}

    def token(self, sign_in: TokenSignIn, purpose: Purpose) -> str:
        user, grant = self._grant(sign_in)
        with grant.lock:
            token, good_until = grant.tokens.get((user, purpose), ("", self._clock()))
            if self._clock() >= good_until:
                answer = self._refreshed(user, purpose)
                token = text(answer, "access_token")
                grant.tokens[user, purpose] = token, self._clock() + _lifetime(answer)
            return token

    def forget(self, sign_in: TokenSignIn, purpose: Purpose) -> None:  # noqa: ARG002 - all tokens go
        _, grant = self._grant(sign_in)
        grant.tokens = {}

    def _grant(self, sign_in: TokenSignIn) -> tuple[UserSignIn, _Grant]:
        assert not isinstance(sign_in, MicrosoftAppSignIn | GoogleServiceSignIn)
        return sign_in, self._grants.setdefault(sign_in.refresh_token_secret, _Grant())

    def _refreshed(self, sign_in: UserSignIn, purpose: Purpose) -> Mapping[str, Any]:
        """The refresh token is read afresh, as another instance may have renewed it; a renewed one is stored before
        anything else happens, as the one before may be of no use any more.
        """
        service, name = provider(sign_in, [purpose], self._settings), sign_in.refresh_token_secret
        self._secrets.forget(name)
        token = self._secrets.get(name)
        form = {"grant_type": "refresh_token", "refresh_token": token, **client(sign_in, self._secrets)}
        answer = service.ask(form | ({"scope": service.refresh_scope} if service.refresh_scope else {}))
        if answer.get("refresh_token", token) != token:
            self._secrets.put(name, text(answer, "refresh_token"))
        return answer


def client(sign_in: UserSignIn, secrets: SecretStore) -> dict[str, str]:
    """The fields of a token request that tell who asks. The secret is read afresh: one request an hour (req S3)."""
    fields = {"client_id": sign_in.client_id}
    if sign_in.client_secret:
        secrets.forget(sign_in.client_secret)
        fields["client_secret"] = secrets.get(sign_in.client_secret)
    return fields


def text(answer: Mapping[str, Any], name: str) -> str:
    """:raises SourceMisbehaved: the provider left it out, or gave what cannot be sent in a header."""
    value = answer.get(name)
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value:
        raise SourceMisbehaved(f"The sign-in service gave no {name.replace('_', ' ')}.")
    return value


def _lifetime(answer: Mapping[str, Any]) -> timedelta:
    told = str(answer.get("expires_in"))
    lifetime = timedelta(seconds=int(told)) if told.isdecimal() and len(told) < 9 else _UNTOLD_LIFETIME
    return max(lifetime - _MARGIN, lifetime / 2)
