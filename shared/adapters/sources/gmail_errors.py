"""What the Gmail API refuses, by the reason it gives, and what to do about it."""

from datetime import timedelta
from typing import Any

from shared.adapters.refusals import advice, meanings
from shared.adapters.sources.errors import Refused, TimedOut
from shared.domain.errors import AccessDenied, AppError, CredentialsRejected, SourceUnavailable, Throttled

_QUOTA = ("dailylimitexceeded", "quotaexceeded", "ratelimitexceeded", "userratelimitexceeded")


def refusal(status: int, body: Any, wait: timedelta | None) -> AppError:
    reason = _reason(body).casefold()
    if status == 429 or reason in _QUOTA:
        return Throttled("Gmail asks us to wait.", retry_after=wait)
    if status >= 500:
        busy = SourceUnavailable if status == 503 else TimedOut
        return busy(f"Gmail is out of order ({status}).", retry_after=wait)
    if meaning := meanings("gmail").get(reason):
        return meaning.error()
    if status == 401:
        return CredentialsRejected("Gmail does not accept the token.", advice="Sign in again.")
    if status == 403:
        return AccessDenied(f"Gmail denies it ({reason}).", advice=advice("gmail_scope"))
    is_gone = status == 404 or reason == "invalidargument"  # an id that cannot be one
    return Refused(f"Gmail answered {status} {reason}".rstrip(), is_gone=is_gone, status=status)


def _reason(body: Any) -> str:
    """That of the first error; anything may be missing or of another kind."""
    try:
        return str(body["error"]["errors"][0]["reason"])
    except (IndexError, KeyError, TypeError):
        return ""
