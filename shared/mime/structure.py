"""The tree of parts of a message (RFC 2046), as ranges of its bytes.

The standard library's parser is not used here: it recurses into whatever it is given, copies each part, and has no
limits, so that a small hostile message exhausts the stack. This one does a bounded amount of work, and costs less.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from shared.mime.defects import Defect
from shared.mime.headers import MAX_HEADER_BYTES, Fields, read_fields
from shared.mime.tnef import open_tnef
from shared.mime.transfer import decode_transfer
from shared.mime.values import Typed, typed

MAX_PARTS = 10_000
MAX_DEPTH = 100
MAX_HEADERS = 2 * 1024 * 1024
"""Bytes of the headers of all parts together."""
MAX_SCANNED = 1_000_000_000
"""Bytes searched for delimiters, all levels together; no sound message comes near it."""
_MAX_BOUNDARY_LINES = 100_000

_PLAIN = Typed("text/plain")
_MESSAGE = Typed("message/rfc822")
_FULL_TYPES = {"text": "text/plain", "plain": "text/plain", "html": "text/html", "multipart": "multipart/mixed"}
_LIKELY_BOUNDARY = re.compile(rb"\n--(\S[^\r\n]{0,200}+)\r?\nContent-", re.IGNORECASE)
_BEFORE_HEADER = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*")
_HTML = re.compile(rb"\s{0,1000}+<(?:!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE)
_FRAGMENT = re.compile(
    rb"\s{0,1000}+<(?:p|div|table|h[1-6]|center|ul|ol|b|strong|font|span)(?:\s[^<>]{0,1000}+)?>", re.IGNORECASE
)
_UUENCODED = re.compile(rb"^begin(?:-base64)? [0-7]{3,4} ([^\r\n]{1,255})\r?\n(?=[!-`][ -`]*+\r?\n)", re.MULTILINE)
_UUENCODED_END = re.compile(rb"^(?:end|====)[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
_FIRST_LINE_END = re.compile(rb"\r*\n|\r")


@dataclass(frozen=True)
class Part:
    """One part: its fields, and where its body is: in the message, or in `own`, which was encoded in the message.

    Only what holds other parts has `parts`.
    """

    fields: Fields
    type: Typed
    start: int
    end: int
    parts: tuple["Part", ...] = ()
    own: bytes | None = None

    @cached_property
    def disposition(self) -> Typed:
        return typed(self.fields.first("content-disposition"))

    @cached_property
    def declared_name(self) -> str:
        return self.disposition.text("filename") or self.type.text("name")

    def leaves(self) -> Iterator["Part"]:
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()

    def body(self, content: bytes, limit: int | None = None) -> tuple[bytes, Defect | None]:
        """Its bytes behind the transfer encoding, of `limit` encoded bytes at most, and what was wrong with them."""
        end = self.end if limit is None else min(self.end, self.start + limit)
        raw = (content if self.own is None else self.own)[self.start : end]
        return decode_transfer(raw, self.fields.first("content-transfer-encoding"))


def split(content: bytes, defects: list[Defect]) -> Part:
    start = _BEFORE_HEADER.match(content)
    return _Splitter(content, defects).part(start.end() if start else 0, len(content), depth=0, default=_PLAIN)


def with_usual_line_ends(content: bytes) -> bytes:
    """Mail whose lines end with a single CR, or with CR CR LF, as a mail has them; other mail stays as it is."""
    match _FIRST_LINE_END.search(content.lstrip(b"\r\n")[:2_000]):
        case None:
            return content
        case found if found[0] == b"\r":
            return content.replace(b"\r", b"\n") if content.count(b"\n") * 10 < content.count(b"\r") else content
        case found if found[0].startswith(b"\r\r"):
            return content.replace(found[0], b"\r\n")
    return content


class _Splitter:
    def __init__(self, content: bytes, defects: list[Defect]) -> None:
        self._content = content
        self._own: bytes | None = None
        self._defects = defects
        self._count = 0
        self._scanned = 0
        self._header_room = MAX_HEADERS

    def part(self, start: int, end: int, *, depth: int, default: Typed) -> Part:
        limit = min(MAX_HEADER_BYTES, self._header_room)
        fields, body_start = read_fields(self._content, start, end, self._defects, limit)
        self._header_room -= min(body_start - start, limit)
        part = Part(fields, _type(fields, default), body_start, end, own=self._own)
        if part.type.value.startswith("multipart/"):
            return self._multipart(part, depth)
        if part.type.value == "text/plain":
            return self._plain(part)
        if part.type.value in ("application/ms-tnef", "application/vnd.ms-tnef") or (
            part.type.value == "application/octet-stream" and part.declared_name.lower() == "winmail.dat"
        ):
            return self._tnef(part)
        return part

    def _multipart(self, part: Part, depth: int) -> Part:
        self._scanned += part.end - part.start
        if depth == MAX_DEPTH or self._scanned > MAX_SCANNED:
            self._defects.append(Defect.TOO_DEEP)
            return part
        child_default = _MESSAGE if part.type.value == "multipart/digest" else _PLAIN
        parts = tuple(self.part(*each, depth=depth + 1, default=child_default) for each in self._ranges(part))
        if parts:
            return replace(part, parts=parts)
        self._defects.append(Defect.MULTIPART_EMPTY)
        if self._own is None and part.fields.first("content-transfer-encoding").lower() in (
            "base64",
            "quoted-printable",
        ):
            return self._encoded_multipart(part, depth)
        return replace(part, type=Typed("text/html") if self._is_html(part) else _PLAIN)

    def _encoded_multipart(self, part: Part, depth: int) -> Part:
        """A multipart that is encoded as a whole, which RFC 2045 section 6.4 forbids; not one within another."""
        message, data = self._content, b"\n" + part.body(self._content)[0]
        fields = Fields(tuple(pair for pair in part.fields.pairs if pair[0] != "content-transfer-encoding"))
        self._content = self._own = data
        part = self._multipart(Part(fields, part.type, 1, len(data), own=data), depth)
        self._content, self._own = message, None
        return part

    def _plain(self, part: Part) -> Part:
        """What is declared as plain text, or not at all, and may be HTML or hold uuencoded files."""
        is_attached = part.disposition.value == "attachment"
        if self._is_html(part) and not (is_attached or part.declared_name):
            return replace(part, type=Typed("text/html", part.type.parameters))
        if self._content.find(b"begin ", part.start, part.end) < 0 or is_attached:
            return part
        parts = tuple(self._uuencoded(part))
        return replace(part, parts=parts) if len(parts) > 1 else part

    def _is_html(self, part: Part) -> bool:
        if _HTML.match(self._content, part.start, part.end):
            return True
        end = self._content[max(part.start, part.end - 100) : part.end].rstrip()
        return end.endswith(b">") and _FRAGMENT.match(self._content, part.start, part.end) is not None

    def _uuencoded(self, part: Part) -> Iterator[Part]:
        text_start = part.start
        while self._count < MAX_PARTS and (begin := _UUENCODED.search(self._content, text_start, part.end)):
            end = _UUENCODED_END.search(self._content, begin.end(), part.end)
            if not end:
                break
            self._count += 1
            yield replace(part, start=text_start, end=begin.start())
            encoding = "base64" if begin[0].startswith(b"begin-") else "x-uuencode"
            yield Part(
                Fields((("content-transfer-encoding", encoding),)),
                Typed("application/octet-stream", {"name": begin[1].decode("latin-1").strip()}),
                begin.end(),
                end.start(),
                own=part.own,
            )
            text_start = end.end()
        yield replace(part, start=text_start)

    def _tnef(self, part: Part) -> Part:
        """Where nothing is found in it, it stays as it is."""
        data, _ = part.body(self._content)
        parts = tuple(
            Part(Fields(found.fields), Typed(found.content_type, found.parameters), found.start, found.end, own=own)
            for found in open_tnef(data)
            for own in [data if found.own is None else found.own]
        )
        self._count += len(parts)
        return replace(part, parts=parts)

    def _ranges(self, part: Part) -> Iterator[tuple[int, int]]:
        """Where the parts of a multipart are: each from behind its delimiter line to before the next one."""
        declared = part.type.parameters.get("boundary") or part.type.text("boundary")
        boundary = declared.encode("latin-1", "replace").rstrip()
        found = False
        for found_range in self._delimited(boundary, part.start, part.end) if boundary else ():
            found = True
            yield found_range
        if not found and (likely := _LIKELY_BOUNDARY.search(self._content, max(part.start - 1, 0), part.end)):
            self._defects.append(Defect.BOUNDARY_WRONG)
            yield from self._delimited(likely[1].rstrip(), part.start, part.end)

    def _delimited(self, boundary: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
        opened = None
        for line_start, line_end, closes in self._delimiters(boundary, start, end):
            if opened is not None:
                self._count += 1
                yield opened, max(opened, line_start)
            opened = line_end
            if self._count >= MAX_PARTS or self._header_room <= 0:
                self._defects.append(Defect.TOO_MANY_PARTS)
                return
            if closes:
                return
        if opened is not None:
            self._defects.append(Defect.MULTIPART_UNTERMINATED)
            self._count += 1
            yield opened, end

    def _delimiters(self, boundary: bytes, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """Each delimiter line: where the line break before it is, where it ends, and whether it is the closing one."""
        content, mark = self._content, b"\n--" + boundary
        position = max(start - 1, 0)
        for _ in range(_MAX_BOUNDARY_LINES):
            position = content.find(mark, position, end)
            if position < 0:
                return
            line_end = content.find(b"\n", position + len(mark), end) + 1 or end
            rest = content[position + len(mark) : min(line_end, position + len(mark) + 100)].strip()
            if rest in (b"", b"--"):
                before = position - 1 if content[position - 1 : position] == b"\r" else position
                yield before, line_end, rest == b"--"
            position += len(mark)


def _type(fields: Fields, default: Typed) -> Typed:
    declared = typed(fields.first("content-type"))
    if "/" in declared.value:
        return declared
    instead = "application/octet-stream" if "name" in declared.parameters else default.value
    return Typed(_FULL_TYPES.get(declared.value, instead), declared.parameters)
