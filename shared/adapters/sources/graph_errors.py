"""What Microsoft Graph refuses, by its error code, and what to do about it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.adapters.refusals import advice, meanings
from shared.adapters.sources.errors import Refused, TimedOut
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CredentialsRejected,
    CursorExpired,
    SourceUnavailable,
    Throttled,
)

_CURSOR = ("syncstatenotfound", "syncstateinvalid", "resyncrequired")
_BUSY: Mapping[int, tuple[type[SourceUnavailable], str]] = {
    429: (Throttled, "Graph asks us to wait."),
    503: (SourceUnavailable, "Graph is out of order (503)."),
    504: (TimedOut, "Graph gave up waiting (504)."),
}


def refusal(status: int, body: Any, retry_after: timedelta | None) -> AppError:
    """The error for an answer of Graph with this status and JSON body; codes come in any case."""
    code = graph_code(body)
    key = code.casefold()
    if status == 410 or key in _CURSOR:
        return CursorExpired()
    if status in _BUSY:
        kind, text = _BUSY[status]
        return kind(text, retry_after=retry_after)
    if meaning := meanings("graph").get(key):
        return meaning.error()
    if status == 401:
        return CredentialsRejected("Graph does not accept the app's token.", advice=advice("same_cloud"))
    if status == 403:
        return AccessDenied(f"Graph denies it ({code}).", advice=advice("graph_permission"))
    is_gone = status == 404 or key == "errorinvalididmalformed"
    return Refused(f"Graph answered {status} {code}".rstrip(), is_gone=is_gone, status=status)


def graph_code(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else ""
