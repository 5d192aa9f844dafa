"""Requests to Exchange about one mailbox (the EWS reference has the elements), what it refuses, and its folders."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from shared.adapters.net import Timeouts, Unanswered
from shared.adapters.refusals import Refused, advice, meanings
from shared.adapters.services import SourceServices
from shared.adapters.sources.ews_autodiscover import reach
from shared.adapters.sources.ews_connection import EwsConnection, envelope
from shared.adapters.sources.folders import ROOT, FolderTree
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CursorExpired,
    FolderMissing,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
    Throttled,
)
from shared.domain.sources import ExchangeServer

PAGE = 1000
_MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
_TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
_OLDEST = "Exchange2010_SP2"
_VERSIONS = ("Exchange2013_SP1", _OLDEST)
"""The usual one first, which is the oldest one that can suppress read receipts."""

_BUILD = ("MajorVersion", "MinorVersion", "MajorBuildNumber", "MinorBuildNumber")
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
_ROLES = {"inbox": "inbox", "deleteditems": "trash", "drafts": "drafts", "junkemail": "junk", "sentitems": "sent"}


class OtherVersion(SourceMisconfigured):
    """The server does not speak the version of the request."""


class EwsRefused(Refused):
    """Exchange refuses this one thing, for a reason that only the caller can make sense of."""

    def __init__(self, ews_code: str) -> None:
        super().__init__(f"Exchange answered {ews_code}.", is_gone=ews_code in _GONE)
        self.ews_code = ews_code
        self.is_folder_gone = ews_code in _FOLDER_GONE


class EwsClient:
    """It finds the server and connects on first use; `build` is that of the server, such as 15.1.2507.6, as far as it
    has told.
    """

    def __init__(
        self, settings: ExchangeServer, address: str, services: SourceServices, timeouts: Timeouts | None
    ) -> None:
        self.address = settings.mailbox or address
        self._reach = partial(reach, settings, address, services, timeouts or Timeouts())
        self._access = settings.access
        self._versions: tuple[str, ...] = (settings.version,) if settings.version else _VERSIONS
        self.build = ""

    @cached_property
    def connection(self) -> EwsConnection:
        return self._reach()

    def close(self) -> None:
        if "connection" in self.__dict__:
            self.connection.drop()

    def ask(self, operation: str, content: str, **attributes: str) -> list[Element | EwsRefused]:
        """What Exchange answers, one by one: the response message, or why it is refused.

        :raises AppError: anything that is not about one of them alone.
        """
        return self.ask_for_bytes(operation, content, 0, None, **attributes)[0]

    def ask_for_bytes(
        self, operation: str, content: str, seconds: float, cut_at: int | None, **attributes: str
    ) -> tuple[list[Element | EwsRefused], bool]:
        """The same for an answer that takes more time, and whether it was cut after so many bytes."""
        other = OtherVersion()
        for version in self._versions:
            request = self._envelope(operation, content, version, attributes)
            headers = {"X-AnchorMailbox": self.address}
            answer, is_cut = self.connection.post(request, headers, seconds=seconds, cut_at=cut_at)
            try:
                found = self._read(answer)
            except OtherVersion as error:
                other = error
                self.connection.drop()  # on a kept one a request is made again where it turns out to be closed
            else:
                self._versions = (version,)
                return found, is_cut
        raise other

    def one(self, operation: str, content: str, **attributes: str) -> Element:
        """The only answer to what asks for one thing. :raises EwsRefused: it is refused."""
        found = self.ask(operation, content, **attributes)
        if isinstance(found[0], EwsRefused):
            raise found[0]
        return found[0]

    def pages(self, operation: str, before: str, after: str, **attributes: str) -> Iterator[Element]:
        """The pages of a listing; its view comes between two parts of the request."""
        offset: str | None = "0"
        while offset is not None:
            view = f'<IndexedPageFolderView MaxEntriesReturned="{PAGE}" Offset="{offset}" BasePoint="Beginning"/>'
            page = part(self.one(operation, before + view + after, **attributes), "RootFolder")
            offset = None if page.get("IncludesLastItemInRange") == "true" else page.get("IndexedPagingOffset")
            yield page

    def _envelope(self, operation: str, content: str, version: str, attributes: dict[str, str]) -> str:
        """Read receipts are never sent: nobody has read the message. The oldest version has no words for that."""
        if operation in ("UpdateItem", "DeleteItem") and version != _OLDEST:
            attributes = {**attributes, "SuppressReadReceipts": "true"}
        told = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
        header = f'<t:RequestServerVersion Version="{version}"/>'
        if self._access == "impersonation":
            sid = f"<t:PrimarySmtpAddress>{escape(self.address)}</t:PrimarySmtpAddress>"
            header += f"<t:ExchangeImpersonation><t:ConnectingSID>{sid}</t:ConnectingSID></t:ExchangeImpersonation>"
        return envelope(
            header, f'<{operation} xmlns="{_MESSAGES}"{told}>{content}</{operation}>', f'xmlns:t="{_TYPES}"'
        )

    def _read(self, answer: Element) -> list[Element | EwsRefused]:
        server = answer.find("Header/ServerVersionInfo")
        if server is not None:
            self.build = ".".join(server.get(part, "0") for part in _BUILD)
        fault, messages = answer.find("Body/Fault"), answer.find("Body/*/ResponseMessages")
        if fault is not None:
            raise _refusal(fault)
        if messages is None or not len(messages):
            raise misbehaved()
        return [_checked(message) for message in messages]


def _checked(message: Element) -> Element | EwsRefused:
    if message.get("ResponseClass") == "Success":
        return message
    error = _refusal(message)
    if isinstance(error, EwsRefused):
        return error
    raise error


def shape(of: str, *fields: str) -> str:
    """What to tell of each `Item` or `Folder` beside its id."""
    paths = "".join(f'<t:FieldURI FieldURI="{field}"/>' for field in fields)
    more = paths and f"<t:AdditionalProperties>{paths}</t:AdditionalProperties>"
    return f"<{of}Shape><t:BaseShape>IdOnly</t:BaseShape>{more}</{of}Shape>"


def part(answer: Element, path: str) -> Element:
    """:raises SourceMisbehaved: it is not there."""
    found = answer.find(path)
    if found is None:
        raise misbehaved()
    return found


def received_at(item: Element) -> datetime | None:
    """:raises SourceMisbehaved: it is no time."""
    told = item.findtext("DateTimeReceived")
    try:
        return datetime.fromisoformat(told).astimezone(UTC) if told else None
    except (ValueError, OverflowError) as exc:
        raise misbehaved() from exc


def size_of(item: Element) -> int:
    """What Exchange needs to store it, which is near its bytes. :raises SourceMisbehaved: it is no number."""
    told = item.findtext("Size", "0")
    if not told.isdecimal():
        raise misbehaved()
    return int(told)


def _refusal(answer: Element) -> AppError:
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


def misbehaved() -> SourceMisbehaved:
    return SourceMisbehaved("The server does not answer as Exchange does.", advice=advice("ews_address"))


class Folders(FolderTree):
    """The whole tree is read at once."""

    well_known = (ROOT, *_ROLES, "outbox")

    def __init__(self, client: EwsClient) -> None:
        super().__init__()
        self.client = client
        self._mailbox = f"<t:Mailbox><t:EmailAddress>{escape(client.address)}</t:EmailAddress></t:Mailbox>"
        self._tree: dict[str, dict[str, str]] = {}
        self._ids: dict[str, str] = {}

    def ref(self, path: str, *, create: bool = False) -> str:
        return self.ref_of(self.find(path, create=create))

    def ref_of(self, found: str) -> str:
        """What names the folder in requests, as an element."""
        if found in self.well_known:
            return f'<t:DistinguishedFolderId Id="{found}">{self._mailbox}</t:DistinguishedFolderId>'
        return f"<t:FolderId Id={quoteattr(found)}/>"

    def forget(self) -> None:
        super().forget()
        self._tree.clear()

    def get(self, path: str, *fields: str) -> Element:
        """The folder with these of its properties. :raises FolderMissing: it is not there any more."""
        try:
            found = self.client.one("GetFolder", self._request(self.ref(path), *fields))
        except EwsRefused as refused:
            raise invisible(path) from refused
        return part(found, "Folders/*")

    def _request(self, refs: str, *fields: str) -> str:
        return f"{shape('Folder', *fields)}<FolderIds>{refs}</FolderIds>"

    def _children(self, parent: str) -> Iterable[tuple[str, str, bool]]:
        tree = self._read()
        return [(key, name, key in tree) for key, name in tree.get(self._ids.get(parent, parent), {}).items()]

    def _roles(self) -> dict[str, str]:
        self._read()
        return {self._ids[name]: role for name, role in _ROLES.items() if name in self._ids}

    def _create(self, parent: str, name: str) -> str:
        new = f"<Folders><t:Folder><t:DisplayName>{escape(name)}</t:DisplayName></t:Folder></Folders>"
        request = f"<ParentFolderId>{self.ref_of(parent)}</ParentFolderId>{new}"
        return folder_id(self.client.one("CreateFolder", request))

    def _read(self) -> dict[str, dict[str, str]]:
        """The names of folders, by their parent and their id."""
        if not self._tree:
            self._find_well_known()
            before = shape("Folder", "folder:DisplayName", "folder:ParentFolderId", "folder:FolderClass")
            after = f"<ParentFolderIds>{self.ref_of(ROOT)}</ParentFolderIds>"
            self._tree[self._ids[ROOT]] = {}
            for page in self.client.pages("FindFolder", before, after, Traversal="Deep"):
                for folder in page.iterfind("Folders/*"):
                    if folder.findtext("FolderClass", "IPF.Note").startswith("IPF.Note"):
                        names = self._tree.setdefault(part(folder, "ParentFolderId").get("Id", ""), {})
                        names[folder_id(folder)] = folder.findtext("DisplayName", "")
        return self._tree

    def _find_well_known(self) -> None:
        request = self._request("".join(map(self.ref_of, self.well_known)))
        found = zip(self.well_known, self.client.ask("GetFolder", request), strict=True)
        self._ids = {name: folder_id(each) for name, each in found if not isinstance(each, EwsRefused)}
        if ROOT not in self._ids:
            raise AccessDenied("The account may not see the mailbox's folders.", advice=advice("full_access"))


def invisible(path: str) -> FolderMissing:
    advice = "Check the folder, and that the account may see it."
    return FolderMissing(f"The account does not find the folder `{path}`.", advice=advice)


def folder_id(answer: Element) -> str:
    """The id of the folder in an answer, or of a folder itself."""
    return part(answer, ".//FolderId").get("Id", "")
