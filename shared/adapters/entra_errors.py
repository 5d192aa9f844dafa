"""What Entra ID refuses, by its AADSTS code, and what to do about it (req A10)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.domain.errors import (
    AccessDenied,
    AppError,
    CredentialsRejected,
    MailboxError,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
    Throttled,
)

_RENEWED = (
    "Make a new client secret for the app registration and store its value (not its id) in Key Vault under the name "
    "that the mailbox gives."
)
_CONSENT = "Have an administrator of the tenant grant the app's permissions (admin consent)."
_CLOUD = "Check the tenant, and the cloud of the sign-in."
_TRUST = "Give the app registration a federated credential with the issuer, subject and audience of the app's identity."
_AGAIN = "Sign in again, as whoever may read the mailbox."

ERRORS: Mapping[int, tuple[type[MailboxError], str, str]] = {
    50076: (CredentialsRejected, "the person must prove more than a password", _AGAIN),
    50079: (CredentialsRejected, "the person must set up another proof than a password", _AGAIN),
    50173: (CredentialsRejected, "the password was changed, or what was allowed was revoked", _AGAIN),
    53003: (AccessDenied, "Conditional Access blocks the app", "Exclude the app from the policy that blocks it."),
    65001: (AccessDenied, "nobody has consented to the app", _CONSENT),
    70000: (CredentialsRejected, "what was allowed is not valid any more", _AGAIN),
    70008: (CredentialsRejected, "what was allowed has expired or was revoked", _AGAIN),
    90002: (SourceMisconfigured, "there is no such tenant", _CLOUD),
    90038: (SourceMisconfigured, "the tenant is in another cloud", _CLOUD),
    500011: (SourceMisconfigured, "the tenant does not have the service that the token is for", _CLOUD),
    700016: (SourceMisconfigured, "the app is not known in this tenant", f"Check client id and tenant. {_CONSENT}"),
    700024: (CredentialsRejected, "the app's proof is out of its time", "Check the clock of this machine."),
    700027: (CredentialsRejected, "the certificate does not belong to the app", "Add it to the app registration."),
    700082: (CredentialsRejected, "the refresh token was not used for too long", _AGAIN),
    700211: (CredentialsRejected, "the app does not trust the issuer of this identity", _TRUST),
    700212: (CredentialsRejected, "the app does not trust this audience of the identity", _TRUST),
    700213: (CredentialsRejected, "the app does not trust this identity", _TRUST),
    900023: (SourceMisconfigured, "the tenant is not written as Entra ID wants it", "Give its id or its domain."),
    7000112: (AccessDenied, "the app is disabled", "Enable it among the tenant's enterprise applications."),
    7000215: (CredentialsRejected, "the client secret is wrong", _RENEWED),
    7000222: (CredentialsRejected, "the client secret has expired", _RENEWED),
}
_TRANSIENT = (90012, 90024, 90033, 90055, 90090)


def refusal(status: int, body: Mapping[str, Any], retry_after: timedelta | None) -> AppError:
    """The error for an answer of Entra ID with this status and JSON body."""
    codes = body.get("error_codes")
    code = codes[0] if isinstance(codes, list) and codes else 0
    if status == 429:
        return Throttled("Entra ID asks us to wait.", retry_after=retry_after)
    if status >= 500 or code in _TRANSIENT or body.get("error") == "temporarily_unavailable":
        return SourceUnavailable(f"Entra ID is out of order ({status}).", retry_after=retry_after)
    if code in ERRORS:
        kind, text, advice = ERRORS[code]
        return kind(f"Entra ID refuses: {text} (AADSTS{code}).", advice=advice)
    if code:
        advice = f"https://login.microsoftonline.com/error?code={code} says what it means."
        return CredentialsRejected(f"Entra ID refuses (AADSTS{code}).", advice=advice)
    return SourceMisbehaved(f"Entra ID answered {status} without a reason.")
