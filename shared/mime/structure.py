"""The tree of parts of a message (RFC 2046), as ranges of its bytes.

The standard library's parser is not used here: it recurses into whatever it is given, copies each part, and has no
limits, so that a small hostile message exhausts the stack. This one does a bounded amount of work, and costs less.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from shared.mime.defects import Defect
from shared.mime.headers import Fields, read_fields
from shared.mime.transfer import decode_transfer
from shared.mime.values import Typed, typed

MAX_PARTS = 10_000
MAX_DEPTH = 100
MAX_SCANNED = 1_000_000_000
"""Bytes searched for delimiters, all levels together; no sound message comes near it."""
_MAX_BOUNDARY_LINES = 100_000

_PLAIN = Typed("text/plain")
_MESSAGE = Typed("message/rfc822")
_FULL_TYPES = {"text": "text/plain", "plain": "text/plain", "html": "text/html", "multipart": "multipart/mixed"}
_LIKELY_BOUNDARY = re.compile(rb"\n--(\S[^\r\n]{0,200}?)[ \t]*\r?\nContent-", re.IGNORECASE)
_BEFORE_HEADER = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*")
_HTML = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its fields, and where in the message its body is. Only a multipart has `parts`."""

    fields: Fields
    type: Typed
    start: int
    end: int
    parts: tuple["Part", ...] = ()

    @property
    def disposition(self) -> Typed:
        return typed(self.fields.first("content-disposition"))

    def leaves(self) -> Iterator["Part"]:
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()

    def body(self, content: bytes, limit: int | None = None) -> tuple[bytes, Defect | None]:
        """Its bytes behind the transfer encoding, of `limit` encoded bytes at most, and what was wrong with them."""
        end = self.end if limit is None else min(self.end, self.start + limit)
        return decode_transfer(content[self.start : end], self.fields.first("content-transfer-encoding"))


def split(content: bytes, defects: list[Defect]) -> Part:
    start = _BEFORE_HEADER.match(content)
    return _Splitter(content, defects).part(start.end() if start else 0, len(content), depth=0, default=_PLAIN)


class _Splitter:
    def __init__(self, content: bytes, defects: list[Defect]) -> None:
        self._content = content
        self._defects = defects
        self._count = 0
        self._scanned = 0

    def part(self, start: int, end: int, *, depth: int, default: Typed) -> Part:
        fields, start = read_fields(self._content, start, end, self._defects)
        type_ = _type(fields, default)
        if not type_.value.startswith("multipart/"):
            return Part(fields, type_, start, end)
        self._scanned += end - start
        if depth == MAX_DEPTH or self._scanned > MAX_SCANNED:
            self._defects.append(Defect.TOO_DEEP)
            return Part(fields, type_, start, end)
        child_default = _MESSAGE if type_.value == "multipart/digest" else _PLAIN
        parts = tuple(
            self.part(*range_, depth=depth + 1, default=child_default) for range_ in self._ranges(type_, start, end)
        )
        if parts:
            return Part(fields, type_, start, end, parts)
        self._defects.append(Defect.MULTIPART_EMPTY)
        is_html = _HTML.match(self._content, start, end)
        return Part(fields, Typed("text/html") if is_html else _PLAIN, start, end)

    def _ranges(self, type_: Typed, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Where the parts of a multipart are: each from behind its delimiter line to before the next one."""
        boundary = (type_.parameters.get("boundary") or type_.text("boundary")).encode("latin-1", "replace").rstrip()
        found = False
        for found_range in self._delimited(boundary, start, end) if boundary else ():
            found = True
            yield found_range
        if not found and (likely := _LIKELY_BOUNDARY.search(self._content, max(start - 1, 0), end)):
            self._defects.append(Defect.BOUNDARY_WRONG)
            yield from self._delimited(likely[1], start, end)

    def _delimited(self, boundary: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
        opened = None
        for line_start, line_end, closes in self._delimiters(boundary, start, end):
            if opened is not None:
                self._count += 1
                yield opened, max(opened, line_start)
            opened = line_end
            if self._count >= MAX_PARTS:
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
