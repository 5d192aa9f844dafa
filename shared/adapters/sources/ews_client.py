"""Requests to Exchange about one mailbox, in SOAP (MS-OXWSADISC and the EWS reference have the elements)."""

from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from shared.adapters.sources.ews_connection import EwsConnection
from shared.adapters.sources.ews_errors import EwsRefused, OtherVersion, misbehaved, refusal
from shared.domain.sources import ExchangeServer

PAGE = 1000
_MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
_TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
_OLDEST = "Exchange2010_SP2"
_VERSIONS = ("Exchange2013_SP1", _OLDEST)
"""The usual one first, which is the oldest one that can suppress read receipts."""

_BUILD = ("MajorVersion", "MinorVersion", "MajorBuildNumber", "MinorBuildNumber")


class EwsClient:
    """`build` is that of the server, such as 15.1.2507.6, as far as it has told."""

    def __init__(self, connection: EwsConnection, address: str, settings: ExchangeServer) -> None:
        self._connection = connection
        self._address = address
        self._access = settings.access
        self._versions: tuple[str, ...] = (settings.version,) if settings.version else _VERSIONS
        self.build = ""

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
            envelope = self._envelope(operation, content, version, attributes)
            headers = {"X-AnchorMailbox": self._address}
            answer, is_cut = self._connection.post(envelope, headers, seconds=seconds, cut_at=cut_at)
            try:
                found = self._read(answer)
            except OtherVersion as error:
                other = error
                self._connection.drop()  # on a kept one a request is made again where it turns out to be closed
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
            sid = f"<t:PrimarySmtpAddress>{escape(self._address)}</t:PrimarySmtpAddress>"
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
            raise refusal(fault)
        if messages is None or not len(messages):
            raise misbehaved()
        return [_checked(message) for message in messages]


def _checked(message: Element) -> Element | EwsRefused:
    if message.get("ResponseClass") == "Success":
        return message
    error = refusal(message)
    if isinstance(error, EwsRefused):
        return error
    raise error


def envelope(header: str, body: str, names: str) -> str:
    soap = "http://schemas.xmlsoap.org/soap/envelope/"
    content = f"<s:Header>{header}</s:Header><s:Body>{body}</s:Body>"
    return f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{soap}" {names}>{content}</s:Envelope>'


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
