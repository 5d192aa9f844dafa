"""What OData asks of messages and folders: `$select`, `$filter`, `$orderby`, `$expand`, with the limits of Exchange."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import Message as Mime
from email.parser import BytesParser
from email.utils import getaddresses, parsedate_to_datetime
from operator import eq, ge, gt, le, lt, ne
from typing import Any
from zlib import crc32

from local.simulators.graph_store import Mailbox, Message
from local.simulators.graph_wire import bad_query, refusal
from local.simulators.web import Refused

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {"eq": eq, "ne": ne, "ge": ge, "gt": gt, "le": le, "lt": lt}
_TERM = re.compile(r"\s*(\w+)\s+(eq|ne|ge|gt|le|lt)\s+('(?:[^']|'')*'(?!\S)|[^\s']\S*)\s*(?:and\b|$)")
_SIZE = re.compile(
    r"singleValueExtendedProperties\(\s*\$filter\s*=\s*id\s+eq\s+'(?:long|integer) 0x0?e08'\s*\)", re.IGNORECASE
)

Term = tuple[str, str, Any]


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class View:
    """One message as Graph shows it; its MIME is parsed only for properties that need it."""

    def __init__(self, mailbox: Mailbox, message: Message, *, immutable: bool) -> None:
        self.message = message
        self.id = message.immutable_id if immutable else message.id
        self._mailbox = mailbox
        self._mime: Mime | None = None

    @property
    def mime(self) -> Mime:
        if self._mime is None:
            self._mime = BytesParser().parsebytes(self._mailbox.raw(self.message))
        return self._mime

    def text(self, name: str) -> str:
        value = self.mime.get(name, "")
        try:
            return str(make_header(decode_header(value)))
        except (LookupError, UnicodeError, ValueError):
            return str(value)

    def people(self, name: str) -> list[dict[str, Any]]:
        found = getaddresses([str(value) for value in self.mime.get_all(name, [])])
        return [{"emailAddress": {"name": name, "address": address}} for name, address in found if address]

    def sent_at(self) -> str:
        try:
            return iso(parsedate_to_datetime(str(self.mime["Date"])))
        except (TypeError, ValueError):
            return iso(self.message.received_at)

    def body(self) -> str:
        for part in self.mime.walk():
            if part.get_content_type() == "text/plain":
                return bytes(part.get_payload(decode=True) or b"").decode("utf-8", "replace")
        return ""


PROPERTIES: dict[str, Callable[[View], Any]] = {
    "id": lambda view: view.id,
    "createdDateTime": lambda view: iso(view.message.received_at),
    "lastModifiedDateTime": lambda view: iso(view.message.received_at),
    "changeKey": lambda view: str(view.message.changed),
    "categories": lambda view: view.message.categories,
    "receivedDateTime": lambda view: iso(view.message.received_at),
    "sentDateTime": lambda view: view.sent_at(),
    "hasAttachments": lambda view: any(part.get_content_disposition() == "attachment" for part in view.mime.walk()),
    "internetMessageId": lambda view: view.text("Message-ID"),
    "internetMessageHeaders": lambda view: [{"name": name, "value": str(value)} for name, value in view.mime.items()],
    "subject": lambda view: view.text("Subject"),
    "bodyPreview": lambda view: view.body()[:255],
    "importance": lambda view: view.text("Importance").lower() or "normal",
    "parentFolderId": lambda view: view.message.folder,
    "conversationId": lambda view: f"AAQkAG{crc32(view.text('Subject').encode())}=",
    "isRead": lambda view: view.message.is_read,
    "isDraft": lambda _: False,
    "webLink": lambda view: f"https://outlook.office365.com/owa/?ItemID={view.id}",
    "inferenceClassification": lambda _: "focused",
    "body": lambda view: {"contentType": "text", "content": view.body()},
    "sender": lambda view: next(iter(view.people("Sender") or view.people("From")), None),
    "from": lambda view: next(iter(view.people("From")), None),
    "toRecipients": lambda view: view.people("To"),
    "ccRecipients": lambda view: view.people("Cc"),
    "bccRecipients": lambda _: [],
    "replyTo": lambda view: view.people("Reply-To"),
    "flag": lambda view: {"flagStatus": view.message.flag},
}
_ONLY_WHEN_SELECTED = ("internetMessageHeaders",)


def shown(view: View, select: str | None, expand: str | None = None) -> dict[str, Any]:
    """The message with the selected properties; `id` is always among them."""
    names = [name for name in PROPERTIES if name not in _ONLY_WHEN_SELECTED]
    if select is not None:
        names = ["id", *(name.strip() for name in select.split(","))]
    unknown = [name for name in names if name not in PROPERTIES]
    if unknown:
        raise _select_and_expand(f"Could not find a property named '{unknown[0]}' on type 'microsoft.graph.message'.")
    item = {"@odata.etag": view.message.etag} | {name: PROPERTIES[name](view) for name in names}
    if expand is not None:
        if not _SIZE.fullmatch(expand.strip()):
            raise _select_and_expand("the simulator expands the message size only")
        size = {"id": "Long 0xe08", "value": str(view.message.size)}
        item["singleValueExtendedProperties"] = [size]
    return item


def filter_terms(text: str | None) -> list[Term]:
    """`a ge 1 and b eq 'x'` as (property, operator, literal)."""
    terms, position = [], 0
    while text and position < len(text):
        found = _TERM.match(text, position)
        if found is None:
            raise bad_query(f"Invalid filter clause: unsupported or malformed at position {position}.")
        name, operator, literal = found.groups()
        terms.append((name, operator, _literal(literal)))
        position = found.end()
    return terms


def matches(terms: Sequence[Term], value_of: Callable[[str], Any]) -> bool:
    return all(_OPERATORS[operator](_same_kind(value_of(name), literal), literal) for name, operator, literal in terms)


def message_value(view: View, name: str) -> Any:
    if name not in PROPERTIES:
        raise bad_query(f"Could not find a property named '{name}' on type 'microsoft.graph.message'.")
    return PROPERTIES[name](view)


def order_of(text: str | None, terms: Sequence[Term]) -> list[tuple[str, bool]]:
    """`$orderby` as (property, descending). Beside a filter, its properties must come first in the filter, in order."""
    order = []
    for part in (text or "").split(",") if text else []:
        name, _, direction = part.strip().partition(" ")
        if name not in PROPERTIES:
            raise bad_query(f"Could not find a property named '{name}' on type 'microsoft.graph.message'.")
        order.append((name, direction.strip() == "desc"))
    filtered = list(dict.fromkeys(name for name, _, _ in terms))
    if terms and [name for name, _ in order] != filtered[: len(order)]:
        raise refusal(400, "InefficientFilter", "The restriction or sort order is too complex for this operation.")
    return order


def _select_and_expand(detail: str) -> Refused:
    return refusal(400, "BadRequest", f"Parsing OData Select and Expand failed: {detail}")


def _literal(text: str) -> Any:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    if text in ("true", "false"):
        return text == "true"
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise bad_query(f"Invalid filter clause: '{text}' is not a literal.") from error


def _same_kind(value: Any, literal: Any) -> Any:
    if isinstance(literal, datetime):
        if literal.tzinfo is None or not isinstance(value, str):
            raise bad_query("A binary operator with incompatible types was detected.")
        return datetime.fromisoformat(value)
    if type(value) is not type(literal):
        raise bad_query("A binary operator with incompatible types was detected.")
    return value
