"""What mail servers say of a message they were given: in a structure (RFC 3464, RFC 8098), or in words of their own."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import NamedTuple

from shared.domain.kinds import DeliveryReport, FailedDelivery, Kind, is_daemon, takes_no_replies
from shared.domain.message import Address, InboundMessage
from shared.mime.addresses import addresses
from shared.mime.body import Mail
from shared.mime.headers import Fields, read_fields, text
from shared.mime.structure import Part
from shared.mime.values import message_ids
from shared.mime.wordings import BEGINS, TITLE, label_kinds, pattern

MAX_SOURCE = 64 * 1024
"""Characters of a report, and bytes of each of its parts, that are looked at."""
MAX_RECIPIENTS = 100
MAX_DIAGNOSTIC = 500
MAX_PARTS = 100

_STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")
_RECEIPT_TYPES = ("message/disposition-notification", "message/global-disposition-notification")
_ORIGINAL_TYPES = (
    *("message/rfc822", "message/global"),
    *("text/rfc822-headers", "message/rfc822-headers", "message/global-headers"),
)
_SERVER_NAMES = re.compile(r"mail delivery|mail(?:er)?[- ]daemon|delivery (?:sub)?system", re.IGNORECASE)
_OFFICES = re.compile(r"(?![^@]*daemon)[^@]*(?:post|admin)", re.IGNORECASE)
"""Addresses of mail servers that are those of somebody, too."""
_BLANK_LINES = re.compile(rb"\n[ \t\r]*(?:\n[ \t\r]*)+")
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
_SMTP = re.compile(r"(?<![\d.:-])([45])[0-5]\d(?=[\s:#-])")
_ADDRESS = re.compile(  # full-width signs end one, and letters of another script what is a host without them
    r"(?:\b[245]\d\d-)?([^\s<>()\[\]\",;:@\\=\u3000-\u303f\uff00-\uff1f]{1,64}@"
    r"(?:[a-z0-9.-]{1,250}\.[a-z]{2,63}|[^\s<>()\[\]\"',;:@/\\\u3000-\u303f\uff00-\uff1f]{1,255}))",
    re.IGNORECASE,
)
_LINE_START = re.compile(
    r"[>*•\-<'\" \t]{0,20}(?:[\w ]{0,30}(?:to|recipient|user|address): ?|mailto:)?[<'\"]?$", re.IGNORECASE
)
_IN_TEXT = re.compile(r"^[> \t]{0,8}(?:Final|Original)-Recipient:", re.IGNORECASE | re.MULTILINE)
_BELOW = r"(?m)^[ \t>]{{0,8}}(?:[-_=*]{{2,}}[ \t]*)?(?:{})"
_QUOTED_ID = re.compile(
    r"^[>| \t]{0,20}(?:Original-)?Message[- ]?ID:\s{0,9}(<[^<>\s]{1,900}>)", re.IGNORECASE | re.MULTILINE
)
_TITLE_REST = re.compile(
    r"[^:\uff1a]{1,60}[:\uff1a]\s*"
    r"(?!returning|error$|see transcript|(?:user|host) unknown|service|delivery |unable|could not"
    r"|message (?:\S+ )?(?:delayed|has ))(\S.*)",
    re.IGNORECASE,
)


class Finding(NamedTuple):
    kind: Kind
    reasons: tuple[str, ...]
    report: DeliveryReport | None = None


@dataclass(frozen=True, slots=True)
class _Original:
    """What a report tells of the message it is about."""

    id: str | None
    subject: str
    recipients: frozenset[str]

    def report(self, failed: Iterable[FailedDelivery] = ()) -> DeliveryReport:
        return DeliveryReport(tuple(each for each in failed if each.address), self.id, self.subject)


class _Mention(NamedTuple):
    """An address in a report, and whether it begins its line, or stands there as what our message had in a field."""

    address: str
    start: int
    end: int
    is_in_front: bool
    is_quoted: bool


def leaves(mail: Mail) -> list[Part]:
    return list(islice(mail.root.leaves(), MAX_PARTS))


def delivery_report(mail: Mail, message: InboundMessage) -> Finding | None:
    signs = tuple(_signs(message))
    is_report = mail.root.type.value == "multipart/report"
    if (is_report or signs) and (source := _part(mail, _STATUS_TYPES)):
        return _structured(mail, message, source, signs)
    if not signs:
        return None
    body = message.text[:MAX_SOURCE]
    if (found := _IN_TEXT.search(body)) and (is_daemon(message.sender) or is_report):
        status = body[max(body.rfind("\n\n", 0, found.start()), 0) :].strip()
        return _structured(mail, message, status.encode(), signs)
    return _in_words(mail, message, signs)


def read_receipt(mail: Mail, message: InboundMessage) -> Finding | None:
    is_titled = pattern("read", form=TITLE).match(message.subject)
    is_machine = mail.root.type.value == "multipart/report" or message.header("return-path") in ("", "<>")
    if (is_machine or is_titled) and (source := _part(mail, _RECEIPT_TYPES)) is not None:
        fields, _ = read_fields(source, 0, len(source), [])
        original, reasons = _original(mail, message, fields), ("report: disposition-notification",)
        if not pattern("undeliverable", form=BEGINS).match(message.subject):
            return Finding(Kind.READ_RECEIPT, reasons, original.report())
        refused = original.report([FailedDelivery(_recipient(fields), permanent=True)])  # so does Dovecot refuse
        return Finding(Kind.DELIVERY_FAILURE, (*reasons, "subject: undeliverable"), refused)
    begin = message.text[:2_000]
    if is_titled and _quoted("subject").search(begin) and pattern("was_read").search(begin):
        return Finding(Kind.READ_RECEIPT, ("subject: read", "text: was read"), _original(mail, message).report())
    return None


def _signs(message: InboundMessage) -> Iterator[str]:
    """That no person wrote it, but a mail server. A form of a web site says whom to answer."""
    if message.header("return-path") in ("", "<>") and all(map(takes_no_replies, message.reply_to)):
        yield "null return path"
    if message.header("x-failed-recipients"):
        yield "x-failed-recipients"
    sender = message.sender or Address("")
    if is_daemon(Address(sender.address or sender.name)) or _SERVER_NAMES.match(sender.name):
        yield "sender: mail server"


def _part(mail: Mail, types: tuple[str, ...]) -> bytes | None:
    found = next((part for part in leaves(mail) if part.type.value in types), None)
    return found.body(mail.content, limit=MAX_SOURCE)[0] if found else None


def _structured(mail: Mail, message: InboundMessage, source: bytes, signs: tuple[str, ...]) -> Finding:
    blocks = _BLANK_LINES.split(source.strip(), maxsplit=MAX_RECIPIENTS)
    groups = [read_fields(block + b"\n\n", 0, len(block) + 2, [])[0] for block in blocks]
    original = _original(mail, message, *groups)
    recipients = [(_action(group), group) for group in groups if group.first("action") or _recipient(group)]
    failed = [_failed(group, action, original) for action, group in recipients if action in ("failed", "delayed")]
    each_once = {each.address: each for each in sorted(failed, key=lambda each: bool(each.status))}
    actions = {action for action, _ in recipients}
    action = next((each for each in ("failed", "delayed") if each in actions), next(iter(actions), "failed"))
    kind = {"failed": Kind.DELIVERY_FAILURE, "delayed": Kind.DELIVERY_DELAY}.get(action, Kind.AUTOMATIC_REPLY)
    report = original.report(each_once.values())
    if not report.failed and kind is not Kind.AUTOMATIC_REPLY:
        report = original.report(_described(message, _said(message), original, is_final=action == "failed"))
    return Finding(kind, (f"report: {action}", *signs), report)


def _action(group: Fields) -> str:
    if known := re.match("failed|delayed|delivered|relayed|expanded", text(group.first("action")).lower()):
        return known[0]
    return {"2": "delivered", "4": "delayed"}.get(group.first("status")[:1], "failed")


def _recipient(group: Fields) -> str:
    """The address as we wrote it, if the server says so; else the one it was made into on its way."""
    for name in ("original-recipient", "final-recipient", "x-actual-recipient"):
        value = text(group.first(name))
        value = value.rpartition(";")[2].strip().strip("<>").replace("+2B", "+").replace("+3D", "=")
        if _ADDRESS.fullmatch(value):
            return value
    return ""


def _failed(group: Fields, action: str, original: _Original) -> FailedDelivery:
    diagnostic = text(group.first("diagnostic-code")).partition(";")[2].strip() or text(group.first("diagnostic-code"))
    status = _STATUS.search(group.first("status"))
    precise = _STATUS.search(diagnostic)
    if precise and (not status or status[1].endswith((".0.0", ".5.0")) or (action == "failed" and status[1][0] == "2")):
        status = precise
    only = next(iter(original.recipients)) if len(original.recipients) == 1 else ""
    return _delivery(_recipient(group) or only, diagnostic, status[1] if status else "", is_final=action == "failed")


def _delivery(address: str, diagnostic: str, status: str, *, is_final: bool) -> FailedDelivery:
    code = _SMTP.search(f"{diagnostic} ")
    is_temporary = status.startswith("4") or (not status and code is not None and code[1] == "4")
    return FailedDelivery(address, is_final and not is_temporary, status, diagnostic[:MAX_DIAGNOSTIC])


def _original(mail: Mail, message: InboundMessage, *reported: Fields) -> _Original:
    source = _part(mail, _ORIGINAL_TYPES) or b""
    fields, _ = read_fields(source.lstrip(), 0, len(source.lstrip()), [])
    ids = [group.first(name) for group in reported for name in ("original-message-id", "x-original-message-id")]
    said = message.text[:MAX_SOURCE]
    quoted = [_as_field(_first(pattern, said)) for pattern in (_QUOTED_ID, _quoted("subject"), _quoted("to"))]
    candidates = map(message_ids, (fields.first("message-id"), *ids, quoted[0]))
    known = next(filter(None, candidates), message.in_reply_to or message.references[-1:])
    title = pattern("undeliverable", "delayed", "read", form=BEGINS).match(message.subject)
    recipients = [*fields.every("to"), *fields.every("cc")] or [quoted[2]]
    return _Original(
        id=known[0] if known else None,
        subject=text(fields.first("subject") or quoted[1]) or (_first(_TITLE_REST, message.subject) if title else ""),
        recipients=frozenset(address.key for address in addresses(recipients) if "@" in address.address),
    )


@cache
def _quoted(*fields: str) -> re.Pattern[str]:
    """A line that begins with the label of one of the fields, in any language, and what follows: no list of names."""
    labels = "|".join(label for label, field in label_kinds().items() if field in fields)
    return re.compile(
        rf"^[>| \t]{{0,20}}(?:original )?(?:{labels})[ \t]{{0,9}}[:\uff1a][ \t]{{0,20}}"
        r"(?![\w-]{1,40}:[\w-]{1,40}[:;])(\S[^\n]{0,998})",
        re.IGNORECASE | re.MULTILINE,
    )


def _as_field(value: str) -> str:
    """A text as fields are read: one byte in each character."""
    return value.encode().decode("latin-1")


def _first(pattern: re.Pattern[str], source: str) -> str:
    found = pattern.search(source)
    return found[1].strip() if found else ""


def _said(message: InboundMessage) -> str:
    """The text of a report, without the copy of our message below it."""
    return pattern("copy_below", form=_BELOW).split(message.text[:MAX_SOURCE], maxsplit=1)[0]


def _in_words(mail: Mail, message: InboundMessage, signs: tuple[str, ...]) -> Finding | None:
    said = _said(message)
    is_delay = pattern("delayed", form=BEGINS).match(message.subject)
    is_failure = pattern("undeliverable", form=BEGINS).match(message.subject)
    if not _is_evident(message, said, signs, is_titled=bool(is_delay or is_failure)):
        return None
    is_final = not (is_delay or pattern("still_trying").search(said[:4_000]))
    original = _original(mail, message)
    kind = Kind.DELIVERY_FAILURE if is_final else Kind.DELIVERY_DELAY
    reason = "subject: undeliverable" if is_failure else "subject: delayed" if is_delay else "text: not delivered"
    return Finding(kind, (reason, *signs), original.report(_described(message, said, original, is_final=is_final)))


def _is_evident(message: InboundMessage, said: str, signs: tuple[str, ...], *, is_titled: bool) -> bool:
    """A server says so in a title or in words, or names the code of an error in whatever language."""
    is_told = bool(pattern("undeliverable", "not_delivered", "still_trying").search(said[:4_000]))
    if signs == ("null return path",):
        known = {address.key for address in (message.sender, *message.to) if address}
        return is_titled and (
            _has_code(said) or (is_told and any(each.address not in known for each in _mentions(said)))
        )
    if is_titled or (
        "null return path" in signs and (pattern("undeliverable").search(message.subject) or _has_code(said))
    ):
        return True
    is_somebody = len(signs) == 1 and message.sender is not None and _OFFICES.match(message.sender.address)
    return is_told and not is_somebody


def _mentions(said: str) -> Iterator[_Mention]:
    for found in _ADDRESS.finditer(said):
        line, (start, end) = said.rfind("\n", 0, found.start()) + 1, found.span(1)
        is_in_front = bool(_LINE_START.match(said, line, start))
        is_quoted = bool(_quoted("to", "cc", "from").match(said, line, end))
        yield _Mention(found[1].strip("'.").casefold(), start, end, is_in_front, is_quoted)


def _described(message: InboundMessage, said: str, original: _Original, *, is_final: bool) -> Iterator[FailedDelivery]:
    """Each address that failed, with what is said behind it: of several places, the first that has a code."""
    mentions = list(_mentions(said))
    chosen = _chosen(message, mentions, original)
    places = [each for each in mentions if each.address in chosen]
    ends = [*(each.start for each in places), len(said)][1:]
    told: dict[str, list[str]] = {}
    for each, end in zip(places, ends, strict=True):
        behind = said[each.end : min(end, each.end + 2 * MAX_DIAGNOSTIC)]
        told.setdefault(each.address, []).append(" ".join(behind.split()).lstrip(">):;.,' "))
    for address in chosen:
        diagnostic = next(filter(_has_code, told.get(address, [])), told.get(address, [""])[0])
        if len(chosen) == 1 and not _has_code(diagnostic) and (_has_code(said) or not diagnostic):
            diagnostic = " ".join(said.split())
        yield _delivery(address, diagnostic, _first(_STATUS, diagnostic), is_final=is_final)


def _has_code(diagnostic: str) -> bool:
    return bool(_STATUS.search(diagnostic) or _SMTP.search(f"{diagnostic} "))


def _chosen(message: InboundMessage, mentions: list[_Mention], original: _Original) -> list[str]:
    """Of the addresses in a report, those that failed: named in a field, written to, or standing first in a line."""
    fields = ",".join(value for name, value in message.headers if name == "x-failed-recipients")
    ours = {address.key for address in (*message.to, *message.cc)}
    written_to = [each for each in mentions if each.address in original.recipients]
    other = [each for each in mentions if each.address not in ours and not is_daemon(Address(each.address))]
    ranked = (
        [address.key for address in addresses([_as_field(fields)]) if "@" in address.address],
        [each.address for each in written_to if not each.is_quoted],
        [each.address for each in written_to],
        [each.address for each in other if each.is_in_front],
        [each.address for each in sorted(other, key=lambda each: each.is_quoted)[:1]],
        [*original.recipients - ours] if len(original.recipients) == 1 else [],
    )
    return list(dict.fromkeys(next(filter(None, ranked), [])))[:MAX_RECIPIENTS]
