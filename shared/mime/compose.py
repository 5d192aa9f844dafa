"""`OutgoingMessage` -> the bytes that are sent: the same bytes for the same message, so that a second try is no other.

Written by hand rather than by `email`, whose generator writes other bytes from one version of Python to the next, and
lines beyond 998 characters where a word is longer. All is ASCII but an address whose local part is not.
"""

import hashlib
import re
from base64 import encodebytes
from binascii import b2a_qp
from collections.abc import Iterator
from datetime import UTC
from email.utils import format_datetime

from shared.domain.outgoing import Automatic, OutgoingAttachment, OutgoingMessage
from shared.mime.filenames import name_by_type, safe_name
from shared.mime.outgoing_headers import LINE, addresses, field, ids, parameter, text

_SUPPRESSED = "DR, RN, NRN, OOF, AutoReply"
"""All answers of Exchange's machines but NDR: a message that cannot be delivered shall be reported (MS-OXCMAIL)."""
_TYPE = re.compile(r"(?!message/|multipart/)[a-z]{2,20}/[a-z0-9][a-z0-9!#$&^_.+-]{0,80}")
_CONTENT_ID = re.compile(r"[\w.%+-]{1,100}(?:@[\w.-]{1,100})?", re.ASCII)
_REPLY_MARKS = re.compile(r"(?:(?:re|aw|antw|sv|rv|res|ответ|отв)(?:\[\d+\])?\s*:\s*)+", re.IGNORECASE)
_URL = re.compile(r"https://[!-;=?-~]{1,900}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_BLOCK = 57 * 1_000
"""Bytes that are encoded at once, in whole lines."""
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

Pieces = list[bytes]
"""Bytes that are joined once, at the end: an attachment is in memory as few times as can be."""


def compose(message: OutgoingMessage) -> bytes:
    """The whole message, lines ended by CRLF; raises AddressUnusable where it is addressed to what is no address."""
    fields = (field(name, value) for name, value in _fields(message) if value)
    return b"".join([*fields, b"MIME-Version: 1.0\r\n", *_Body(message).whole()])


def subject_with_tag(subject: str, tag: str) -> str:
    """The subject with `[SUP-17]` in it exactly once; in front of it one `Re: ` for all the marks of a reply."""
    if not tag:
        return subject
    rest = " ".join(subject.replace(f"[{tag}]", " ").split())
    marks = _REPLY_MARKS.match(rest)
    return f"{'Re: ' * bool(marks)}[{tag}] {rest[marks.end() if marks else 0 :]}".rstrip()


def _fields(message: OutgoingMessage) -> Iterator[tuple[str, str]]:
    is_reply = message.automatic is Automatic.REPLIED
    unsubscribe = _URL.fullmatch(message.unsubscribe_url)
    yield "From", addresses([message.sender])
    yield "To", addresses(message.to)
    yield "Cc", addresses(message.cc)
    yield "Reply-To", addresses(message.reply_to)
    yield "Subject", text(subject_with_tag(message.subject, message.tag), LINE - len("Subject: "))
    yield "Date", format_datetime(message.at.astimezone(UTC))
    yield "Message-ID", ids([message.message_id])
    yield "In-Reply-To", ids(message.references[-1:])
    yield "References", ids(message.references)
    yield "Auto-Submitted", message.automatic or ""
    yield "X-Auto-Response-Suppress", _SUPPRESSED if message.automatic else ""
    yield "Precedence", "bulk" if unsubscribe else "auto_reply" if is_reply else ""
    yield "X-Loop", text(message.loop_id)
    yield "List-Unsubscribe", f"<{unsubscribe[0]}>" if unsubscribe else ""
    yield "List-Unsubscribe-Post", "List-Unsubscribe=One-Click" if unsubscribe else ""
    yield "Content-Language", message.language if _LANGUAGE.fullmatch(message.language) else ""


class _Body:
    """The parts of a message, each with its fields; `mixed` > `related` > `alternative` as far as they are needed."""

    def __init__(self, message: OutgoingMessage) -> None:
        self._message = message
        self._hash = hashlib.sha256(message.message_id.encode(errors="replace")).hexdigest()[:32]
        self._shown = [each for each in message.attachments if _is_shown(each, message.html)]

    def whole(self) -> Pieces:
        attached = [_attachment(each) for each in self._message.attachments if each not in self._shown]
        return self._multipart("mixed", [self._readable(), *attached])

    def _readable(self) -> Pieces:
        plain = _text_part("plain", self._message.text)
        if not self._message.html:
            return plain
        html = _text_part("html", self._message.html)
        related = self._multipart(
            "related", [html, *map(_attachment_shown, self._shown)], parameter("type", "text/html")
        )
        return self._multipart("alternative", [plain, related])

    def _multipart(self, subtype: str, parts: list[Pieces], parameters: str = "") -> Pieces:
        """One part stands for itself. No line of quoted-printable or base64 begins like the boundary."""
        if len(parts) == 1:
            return parts[0]
        boundary = f"=_{subtype}_{self._hash}"
        content_type = field("Content-Type", f"multipart/{subtype}{parameters}{parameter('boundary', boundary)}")
        delimiter = f"--{boundary}\r\n".encode()
        pieces = (piece for part in parts for piece in (delimiter, *part))
        return [content_type, b"\r\n", *pieces, f"--{boundary}--\r\n".encode()]


def _is_shown(attachment: OutgoingAttachment, html: str) -> bool:
    return bool(_CONTENT_ID.fullmatch(attachment.content_id)) and f"cid:{attachment.content_id}" in html


def _text_part(subtype: str, content: str) -> Pieces:
    lines = _CONTROLS.sub("", "\n".join(content.splitlines() if subtype == "plain" else [content])) + "\n"
    body = lines.replace("\r\n", "\n").replace("\r", "\n").encode(errors="replace")
    if body.isascii() and b"=_" not in body and all(len(line) <= LINE for line in body.split(b"\n")):
        encoding = "7bit"
    elif sum(byte > 126 for byte in body) * 4 < len(body):
        encoding, body = "quoted-printable", b2a_qp(body, istext=True)
    else:
        encoding, body = "base64", encodebytes(body.replace(b"\n", b"\r\n"))
    return _part(f'text/{subtype}; charset="utf-8"', encoding, [body.replace(b"\n", b"\r\n")])


def _attachment_shown(attachment: OutgoingAttachment) -> Pieces:
    return _attachment(attachment, field("Content-ID", f"<{attachment.content_id}>"), "inline")


def _attachment(attachment: OutgoingAttachment, fields: bytes = b"", disposition: str = "attachment") -> Pieces:
    """Its bytes are never changed. Messages go as files: as such they must not be encoded (RFC 2046 section 5.2.1)."""
    content_type = attachment.content_type.partition(";")[0].strip().lower()
    name = safe_name(attachment.name) or name_by_type(content_type, 1)
    content_type = content_type if _TYPE.fullmatch(content_type) else "application/octet-stream"
    fields += field("Content-Disposition", disposition + parameter("filename", name))
    blocks = (attachment.content[start : start + _BLOCK] for start in range(0, len(attachment.content), _BLOCK))
    body = [encodebytes(block).replace(b"\n", b"\r\n") for block in blocks]
    return _part(content_type, "base64", body or [b"\r\n"], fields)


def _part(content_type: str, encoding: str, body: Pieces, fields: bytes = b"") -> Pieces:
    described = field("Content-Type", content_type) + field("Content-Transfer-Encoding", encoding)
    return [described, fields, b"\r\n", *body]
