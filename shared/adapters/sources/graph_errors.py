"""What Microsoft Graph refuses, by its error code, and what to do about it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.adapters.sources.errors import Refused, TimedOut
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CredentialsRejected,
    CursorExpired,
    MailboxError,
    SourceMisconfigured,
    SourceUnavailable,
    Throttled,
)

_PERMISSION = (
    "Grant the app Mail.ReadWrite for this mailbox: an application permission with admin consent, or a role in "
    "Exchange Online (RBAC for Applications). A new grant may take up to two hours to work."
)
_SAME_CLOUD = "Check that LOGIN_ENDPOINT and GRAPH_ENDPOINT belong to the same cloud."
_ADDRESS = "Check the address; for a shared mailbox give its own address. Check the tenant, too."

_MAILBOX: Mapping[str, tuple[type[MailboxError], str, str]] = {
    "authorization_requestdenied": (AccessDenied, "The app may not read this mailbox.", _PERMISSION),
    "erroraccessdenied": (AccessDenied, "The app may not do this in the mailbox.", _PERMISSION),
    "errorinvaliduser": (SourceMisconfigured, "There is no such mailbox in the tenant.", _ADDRESS),
    "errornonexistentmailbox": (SourceMisconfigured, "There is no such mailbox in the tenant.", _ADDRESS),
    "errorquotaexceeded": (MailboxError, "The mailbox is full.", "Make room in the mailbox, or raise its quota."),
    "mailboxnotenabledforrestapi": (
        SourceMisconfigured,
        "The mailbox is inactive, has no Exchange Online licence, or is on a server of one's own.",
        "Give it a licence, or read it by IMAP where it is.",
    ),
    "mailboxnotsupportedforrestapi": (SourceMisconfigured, "Graph does not serve this kind of mailbox.", _ADDRESS),
    "request_resourcenotfound": (SourceMisconfigured, "There is no such mailbox in the tenant.", _ADDRESS),
    "resourcenotfound": (SourceMisconfigured, "There is no such mailbox in the tenant.", _ADDRESS),
}
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
    if key in _MAILBOX:
        mailbox_kind, text, advice = _MAILBOX[key]
        return mailbox_kind(text, advice=advice)
    if status == 401:
        return CredentialsRejected("Graph does not accept the app's token.", advice=_SAME_CLOUD)
    if status == 403:
        return AccessDenied(f"Graph denies it ({code}).", advice=_PERMISSION)
    is_gone = status == 404 or key == "errorinvalididmalformed"
    return Refused(f"Graph answered {status} {code}".rstrip(), is_gone=is_gone, status=status)


def graph_code(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else ""
