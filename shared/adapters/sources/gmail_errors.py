"""What the Gmail API refuses, by the reason it gives, and what to do about it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.adapters.sources.errors import Refused, TimedOut
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CredentialsRejected,
    MailboxError,
    SourceMisconfigured,
    SourceUnavailable,
    Throttled,
)

_SCOPE = (
    "Have the scope https://www.googleapis.com/auth/gmail.modify granted: sign in again, or delegate it to the service"
    " account for the domain."
)
_ENABLE = "Enable the Gmail API for the Google Cloud project that the client or service account belongs to."
_ADMIN = "Have an administrator of the domain allow the app under API controls in the Google Admin console."

_MAILBOX: Mapping[str, tuple[type[MailboxError], str, str]] = {
    "accessnotconfigured": (AccessDenied, "The Gmail API is not enabled for the project.", _ENABLE),
    "domainpolicy": (AccessDenied, "The domain does not allow the app to use Gmail.", _ADMIN),
    "failedprecondition": (
        SourceMisconfigured,
        "The account has no Gmail mailbox, or the service account acts for nobody.",
        "Check that Gmail is on for the account, and that domain-wide delegation is granted.",
    ),
    "forbidden": (
        AccessDenied,
        "Who signed in may not open this mailbox.",
        "Sign in as the mailbox's own account; where its address is an alias, give the account's address as mailbox.",
    ),
    "insufficientpermissions": (AccessDenied, "The sign-in does not allow this in the mailbox.", _SCOPE),
}
_QUOTA = ("dailylimitexceeded", "quotaexceeded", "ratelimitexceeded", "userratelimitexceeded")


def refusal(status: int, body: Any, wait: timedelta | None) -> AppError:
    reason = _reason(body).casefold()
    if status == 429 or reason in _QUOTA:
        return Throttled("Gmail asks us to wait.", retry_after=wait)
    if status >= 500:
        busy = SourceUnavailable if status == 503 else TimedOut
        return busy(f"Gmail is out of order ({status}).", retry_after=wait)
    if reason in _MAILBOX:
        kind, text, advice = _MAILBOX[reason]
        return kind(text, advice=advice)
    if status == 401:
        return CredentialsRejected("Gmail does not accept the token.", advice="Sign in again.")
    if status == 403:
        return AccessDenied(f"Gmail denies it ({reason}).", advice=_SCOPE)
    is_gone = status == 404 or reason == "invalidargument"  # an id that cannot be one
    return Refused(f"Gmail answered {status} {reason}".rstrip(), is_gone=is_gone, status=status)


def _reason(body: Any) -> str:
    """That of the first error; anything may be missing or of another kind."""
    try:
        return str(body["error"]["errors"][0]["reason"])
    except (IndexError, KeyError, TypeError):
        return ""
