"""People sign in to mailboxes with a browser; what they allow goes into Key Vault (req A5-A7)."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from shared.application.auditing import audited
from shared.application.services import Services
from shared.application.validation import read
from shared.domain.errors import AppError, Conflict, NotFound, RequestError, SecretsReadOnly
from shared.domain.sign_in import NewSignIn, SignInAttempt

_LIFETIME = timedelta(minutes=10)
_AGAIN = "Begin again where you started the sign-in."


def start(services: Services, data: object) -> tuple[SignInAttempt, str]:
    """The new attempt, and where the browser must go.

    :raises Invalid: with every problem.
    :raises SecretsReadOnly: what comes of it could not be kept.
    """
    asked = read(NewSignIn, data)
    if not services.settings.allow_secret_writes:
        raise SecretsReadOnly
    state, key = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    attempt = SignInAttempt(_id(state), asked, key, services.clock() + _LIFETIME)
    url = services.sign_in_service.url(asked, state, _base64url(hashlib.sha256(_verifier(key, state).encode())))
    with audited(services, "secret", asked.sign_in.refresh_token_secret, "sign-in begun"):
        services.sign_ins.add(attempt)
    return attempt, url


def find(services: Services, attempt_id: str) -> SignInAttempt:
    """:raises NotFound:"""
    found = services.sign_ins.get(attempt_id)
    if found is None:
        raise NotFound("there is no such sign-in")
    attempt = found.value
    if attempt.status == "waiting" and attempt.expires_at <= services.clock():
        return replace(attempt, status="failed", key="", error="Nobody has signed in for ten minutes.", advice=_AGAIN)
    return attempt


def finish(services: Services, answer: Mapping[str, str]) -> SignInAttempt:
    """What the browser came back with: the attempt as it ended. A state works once, whatever comes of it.

    :raises RequestError: the state is not one of ours, has expired, or was used before.
    """
    state = answer.get("state", "")
    found = services.sign_ins.get(_id(state))
    if found is None:
        raise RequestError("This sign-in was not begun here.", advice=_AGAIN)
    if found.value.status != "waiting":
        raise RequestError("This sign-in was used before.", advice=_AGAIN)
    if found.value.expires_at <= services.clock():
        raise RequestError("This sign-in has expired.", advice=_AGAIN)
    broken = replace(found.value, status="failed", key="", error="The sign-in was broken off.", advice=_AGAIN)
    try:
        etag = services.sign_ins.replace(broken, found.etag)
    except Conflict as error:
        raise RequestError("This sign-in was used before.", advice=_AGAIN) from error
    ended = _finished(services, broken, answer, _verifier(found.value.key, state))
    services.sign_ins.replace(ended, etag)
    return ended


def _finished(services: Services, attempt: SignInAttempt, answer: Mapping[str, str], verifier: str) -> SignInAttempt:
    try:
        account = services.sign_in_service.finish(attempt.asked, answer, verifier)
    except AppError as error:
        return replace(attempt, error=str(error), advice=error.advice)
    return replace(attempt, status="done", account=account, error="", advice="")


def _id(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


def _verifier(key: str, state: str) -> str:
    return _base64url(hmac.new(key.encode(), state.encode(), hashlib.sha256))


def _base64url(digest: "hashlib._Hash | hmac.HMAC") -> str:
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
