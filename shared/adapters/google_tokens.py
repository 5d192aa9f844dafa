"""Access tokens for a Google service account that acts for accounts of its domain (req A7)."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.adapters.https import Session, network_errors, retry_after
from shared.adapters.tokens.token_endpoint import accepted, json_object
from shared.application.ports import Clock, SecretStore
from shared.domain.errors import (
    AccessDenied,
    CredentialsRejected,
    MailboxError,
    SourceMisbehaved,
    SourceMisconfigured,
)
from shared.domain.sign_in import GoogleServiceSignIn, Purpose, TokenSignIn
from shared.settings import Settings

_ALL_MAIL = "https://mail.google.com/"
_MODIFY = "https://www.googleapis.com/auth/gmail.modify"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_MARGIN_SECONDS = 300

_KEY = "Store the service account's key in Key Vault as the JSON file that Google gave."
_DELEGATE = (
    "In the Google Admin console, under API controls, Domain-wide delegation, grant the client id of the service"
    f" account {_MODIFY} to read by the Gmail API, {_ALL_MAIL} for IMAP and POP3. It may take a day to work."
)
ERRORS: Mapping[str, tuple[type[MailboxError], str, str]] = {
    "admin_policy_enforced": (AccessDenied, "the domain's policy blocks it", "Have an administrator allow the app."),
    "disabled_client": (
        CredentialsRejected,
        "it is disabled",
        "Enable the service account in the Google Cloud console.",
    ),
    "invalid_client": (CredentialsRejected, "it is not known", f"Check that the service account exists. {_KEY}"),
    "invalid_grant": (
        CredentialsRejected,
        "its key, its time or the account it acts for is wrong",
        f"Check that the key was not deleted and that the account exists in the domain. {_KEY}",
    ),
    "invalid_scope": (SourceMisconfigured, "the scope is unknown", "Enable the Gmail API for the project."),
    "unauthorized_client": (AccessDenied, "it may not act for accounts of the domain", _DELEGATE),
}
"""What Google refuses to a service account, by its error code."""


@dataclass(slots=True)
class _Held:
    """A token, and the key that it was had with. Whoever asks while it is being fetched waits for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    key: str = ""
    token: str = ""
    good_until: float = 0.0


class GoogleTokens:
    """The `TokenIssuer` for service accounts; the sign-in says for which account they act."""

    def __init__(self, settings: Settings, secrets: SecretStore, clock: Clock) -> None:
        self._endpoint = settings.google_token_endpoint
        self._session = Session(settings)
        self._secrets = secrets
        self._clock = clock
        self._held: dict[tuple[TokenSignIn, Purpose], _Held] = {}

    def token(self, sign_in: TokenSignIn, purpose: Purpose) -> str:
        """A refused key is read afresh from the store, once: somebody may have changed it (req S3)."""
        assert isinstance(sign_in, GoogleServiceSignIn)
        key = self._secrets.get(sign_in.key_secret)
        try:
            return self._token(sign_in, purpose, key)
        except CredentialsRejected:
            self._secrets.forget(sign_in.key_secret)
            newer = self._secrets.get(sign_in.key_secret)
            if newer == key:
                raise
            return self._token(sign_in, purpose, newer)

    def forget(self, sign_in: TokenSignIn, purpose: Purpose) -> None:
        self._held.pop((sign_in, purpose), None)

    def _token(self, sign_in: GoogleServiceSignIn, purpose: Purpose, key: str) -> str:
        held = self._held.setdefault((sign_in, purpose), _Held())
        with held.lock:
            if held.key != key or time.monotonic() > held.good_until:
                answer = self._granted(self._assertion(sign_in, _MODIFY if purpose == "gmail" else _ALL_MAIL, key))
                held.token, held.key = answer["access_token"], key
                held.good_until = time.monotonic() + answer["expires_in"] - _MARGIN_SECONDS
            return held.token

    def _assertion(self, sign_in: GoogleServiceSignIn, scope: str, key: str) -> str:
        """For whom the service account acts, signed with its key (RFC 7523 section 2.1)."""
        from google.auth import crypt, jwt

        now = int(self._clock().timestamp())
        try:
            file = json.loads(key)
            signer = crypt.RSASigner.from_service_account_info(file)  # type: ignore[no-untyped-call]  # it has no types
            claims = {"iss": file["client_email"], "scope": scope, "aud": self._endpoint, "sub": sign_in.account}
        except (KeyError, TypeError, ValueError) as exc:
            raise CredentialsRejected("The secret does not hold the key of a service account.", advice=_KEY) from exc
        encoded: bytes = jwt.encode(signer, claims | {"iat": now, "exp": now + 3600})  # type: ignore[no-untyped-call]  # it has no types
        return encoded.decode()

    def _granted(self, assertion: str) -> dict[str, Any]:
        form = {"grant_type": _GRANT, "assertion": assertion}
        with network_errors("Google"), self._session.post(self._endpoint, form, allow_redirects=False) as response:
            body = json_object(response.content)
        if body and body.get("error") in ERRORS:
            kind, text, advice = ERRORS[body["error"]]
            raise kind(f"Google refuses the service account: {text} ({body['error']}).", advice=advice)
        answer = accepted(response.status_code, body, retry_after(response.headers))
        if not isinstance(answer.get("access_token"), str) or not isinstance(answer.get("expires_in"), int):
            raise SourceMisbehaved("Google gave no token and no reason.")
        return answer
