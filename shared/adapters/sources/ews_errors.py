"""What Exchange refuses, by HTTP status and response code, and what to do about it."""

from collections.abc import Mapping
from datetime import timedelta
from xml.etree.ElementTree import Element

from shared.adapters.https import retry_after
from shared.adapters.net import Unanswered
from shared.adapters.refusals import advice, meanings
from shared.adapters.sources.errors import Refused
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CursorExpired,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
    Throttled,
)


class OtherVersion(SourceMisconfigured):
    """The server does not speak the version of the request."""


_OTHER_VERSION = (
    *("ErrorIncorrectSchemaVersion", "ErrorInvalidRequest"),
    *("ErrorInvalidSchemaVersionForMailboxVersion", "ErrorInvalidServerVersion"),
)
_CURSOR = ("ErrorInvalidSyncStateData", "ErrorSyncFolderNotFound")
_FOLDER_GONE = ("ErrorFolderNotFound", "ErrorToFolderNotFound")
_GONE = (*_FOLDER_GONE, "ErrorItemNotFound", "ErrorInvalidIdMalformed")
_TRANSIENT = (
    *("ErrorExceededConnectionCount", "ErrorMailboxFailover", "ErrorMailboxMoveInProgress"),
    *("ErrorMailboxStoreUnavailable", "ErrorTooManyObjectsOpened"),
)
_UNANSWERED = ("ErrorConnectionFailed", "ErrorInternalServerTransientError", "ErrorTimeoutExpired")


class EwsRefused(Refused):
    """Exchange refuses this one thing, for a reason that only the caller can make sense of."""

    def __init__(self, ews_code: str) -> None:
        super().__init__(f"Exchange answered {ews_code}.", is_gone=ews_code in _GONE)
        self.ews_code = ews_code
        self.is_folder_gone = ews_code in _FOLDER_GONE


def refusal(answer: Element) -> AppError:
    """The error for a SOAP fault, or for a response message that is none of success."""
    ews_code = next((each.text or "" for each in answer.iter("ResponseCode")), "")
    ews_code = ews_code or answer.findtext("faultcode", "").rpartition(":")[2]
    if ews_code == "ErrorServerBusy":
        wait = answer.findtext(".//MessageXml/Value[@Name='BackOffMilliseconds']", "")
        retry_after = timedelta(milliseconds=int(wait)) if wait.isdecimal() else None
        return Throttled("Exchange asks us to wait.", retry_after=retry_after)
    if meaning := meanings("ews").get(ews_code):
        return meaning.error()
    if ews_code in _OTHER_VERSION:
        return OtherVersion("The server speaks no known version.", advice=advice("ews_version"))
    if ews_code in _CURSOR:
        return CursorExpired()
    if ews_code in _TRANSIENT or ews_code in _UNANSWERED:
        unavailable = SourceUnavailable if ews_code in _TRANSIENT else Unanswered
        return unavailable(f"Exchange is out of order ({ews_code}).")
    return EwsRefused(ews_code)


class Redirected(SourceMisconfigured):
    """The server sends us to another address, which is for the caller to trust or not."""

    def __init__(self, location: str) -> None:
        super().__init__("The server sends us to another address.", advice=advice("ews_address"))
        self.location = location


def http_refusal(status: int, headers: Mapping[str, str]) -> AppError:
    if status in (429, 500, 502, 503, 504):
        kind = {429: Throttled, 503: SourceUnavailable}.get(status, Unanswered)
        return kind(f"The server is out of order ({status}).", retry_after=retry_after(headers))
    if status == 403:
        role = "Have Exchange Web Services turned on for the account, and check access policies and the app's role."
        return AccessDenied("The server does not let the account use Exchange Web Services.", advice=role)
    if status in (301, 302, 307, 308):
        return Redirected(headers.get("Location", ""))
    text = f"The server answers {status} where Exchange Web Services should be."
    return SourceMisconfigured(text, advice=advice("ews_address"))


def misbehaved() -> SourceMisbehaved:
    return SourceMisbehaved("The server does not answer as Exchange does.", advice=advice("ews_address"))
