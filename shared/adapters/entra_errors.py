"""What Entra ID refuses, by its AADSTS code, and what to do about it (req A10)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.adapters.refusals import meanings
from shared.domain.errors import (
    AppError,
    CredentialsRejected,
    SourceMisbehaved,
    SourceUnavailable,
    Throttled,
)

_TRANSIENT = (90012, 90024, 90033, 90055, 90090)


def refusal(status: int, body: Mapping[str, Any], retry_after: timedelta | None) -> AppError:
    """The error for an answer of Entra ID with this status and JSON body."""
    codes = body.get("error_codes")
    code = codes[0] if isinstance(codes, list) and codes else 0
    if status == 429:
        return Throttled("Entra ID asks us to wait.", retry_after=retry_after)
    if status >= 500 or code in _TRANSIENT or body.get("error") == "temporarily_unavailable":
        return SourceUnavailable(f"Entra ID is out of order ({status}).", retry_after=retry_after)
    if meaning := meanings("entra").get(str(code)):
        return meaning.error(f"Entra ID refuses: {meaning.text} (AADSTS{code}).")
    if code:
        advice = f"https://login.microsoftonline.com/error?code={code} says what it means."
        return CredentialsRejected(f"Entra ID refuses (AADSTS{code}).", advice=advice)
    return SourceMisbehaved(f"Entra ID answered {status} without a reason.")
