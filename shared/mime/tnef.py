"""What Outlook puts into `winmail.dat`: the files and the body of a message ([MS-OXTNEF])."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from shared.mime.charsets import decode
from shared.mime.rtf import decompress, of_rtf

MAX_ATTRIBUTES = 10_000
MAX_VALUES = 100_000
"""Of all properties together."""
MAX_FILES = 1_000

_SIGNATURE = b"\x78\x9f\x3e\x22"
_PR_BODY, _PR_RTF, _PR_HTML, _PR_CODE_PAGE = 0x1000, 0x1009, 0x1013, 0x3FDE
_PR_DATA, _PR_SHORT_NAME, _PR_NAME, _PR_TYPE, _PR_CONTENT_ID = 0x3701, 0x3704, 0x3707, 0x370E, 0x3712
_SIZES = {0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16}
_STRING, _UNICODE, _OBJECT, _SEVERAL = 0x1E, 0x1F, 0x0D, 0x1000
_OBJECT_ID_SIZE = 16

Range = tuple[int, int, int]
"""The type of a value, and where it is."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file, or a body (without a disposition); its bytes are a range of what was opened, or of `own`."""

    content_type: str
    parameters: dict[str, str]
    fields: tuple[tuple[str, str], ...]
    start: int
    end: int
    own: bytes | None = None


@dataclass(slots=True)
class _File:
    name: str = ""
    data: tuple[int, int] | None = None
    properties: dict[int, Range] = field(default_factory=dict)


def open_tnef(data: bytes) -> list[Found]:
    """Nothing where it is damaged before anything is found."""
    if not data.startswith(_SIGNATURE):
        return []
    opened = _Opened(data)
    for id_, start, end in _attributes(data):
        opened.take(id_, start, end)
    return [*opened.body(), *opened.files()]


class _Opened:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._charset = "windows-1252"
        self._files: list[_File] = []
        self._message: dict[int, Range] = {}
        self._room = MAX_VALUES

    def take(self, id_: int, start: int, end: int) -> None:
        match id_:
            case 0x9007:  # attOemCodepage
                self._charset = f"cp{_number(self._data, start)}"
            case 0x9002 if len(self._files) < MAX_FILES:  # attAttachRendData begins each attachment
                self._files.append(_File())
            case 0x800C:  # attBody
                self._message.setdefault(_PR_BODY, (_STRING, start, end))
            case 0x9003:  # attMsgProps
                self._message |= self._properties(start, end)
            case 0x8010 if self._files:  # attAttachTitle
                self._files[-1].name = self._text(_STRING, start, end)
            case 0x800F if self._files:  # attAttachData
                self._files[-1].data = start, end
            case 0x9005 if self._files:  # attAttachment
                self._files[-1].properties |= self._properties(start, end)

    def body(self) -> Iterator[Found]:
        """The richest that there is, and the plain text."""
        if _PR_BODY in self._message:
            type_, start, end = self._message[_PR_BODY]
            plain = self._text(type_, start, end).encode()
            yield Found("text/plain", {"charset": "utf-8"}, (), 0, len(plain), plain)
        if _PR_HTML in self._message:
            type_, start, end = self._message[_PR_HTML]
            page = self._message.get(_PR_CODE_PAGE)
            charset = f"cp{_number(self._data, page[1])}" if page else self._charset
            yield Found("text/html", {"charset": "utf-8" if charset == "cp65001" else charset}, (), start, end)
        elif _PR_RTF in self._message:
            _, start, end = self._message[_PR_RTF]
            text, is_html = of_rtf(decompress(self._data[start:end]))
            own = text.encode()
            if is_html or _PR_BODY not in self._message:
                yield Found(f"text/{'html' if is_html else 'plain'}", {"charset": "utf-8"}, (), 0, len(own), own)

    def files(self) -> Iterator[Found]:
        for file in self._files:
            where = file.data
            if not where and (value := file.properties.get(_PR_DATA)):
                where = value[1] + _OBJECT_ID_SIZE * (value[0] == _OBJECT), value[2]
            if not where:
                continue
            names = [self._property(file, _PR_NAME), file.name, self._property(file, _PR_SHORT_NAME)]
            fields = [("content-disposition", "attachment")]
            if content_id := self._property(file, _PR_CONTENT_ID):
                fields.append(("content-id", f"<{quote(content_id, safe='@.$+-_')}>"))
            type_ = self._property(file, _PR_TYPE).lower()
            name = next(filter(None, names), "")
            yield Found(
                type_ if type_.isascii() and type_.count("/") == 1 else "application/octet-stream",
                {"name*": f"utf-8''{quote(name)}"} if name else {},
                tuple(fields),
                *where,
            )

    def _properties(self, start: int, end: int) -> dict[int, Range]:
        """MAPI properties, by id; what is cut off is left out. Of several values, the first counts."""
        found: dict[int, Range] = {}
        position = start + 4
        for _ in range(min(_number(self._data, start), MAX_ATTRIBUTES)):
            if position + 4 > end or self._room <= 0:
                break
            type_, id_ = struct.unpack_from("<HH", self._data, position)
            position += 4
            if id_ >= 0x8000:  # a named property: a GUID, the kind of its name, and the name
                by_name = _number(self._data, position + 16)
                position += 24 + (_padded(_number(self._data, position + 20)) if by_name else 0)
            found[id_], position = self._values(type_, position, end)
        return found

    def _values(self, type_: int, position: int, end: int) -> tuple[Range, int]:
        """The first value, and where the last one ends."""
        base = type_ & ~_SEVERAL
        size = _SIZES.get(base)
        count = 1
        if not size or type_ & _SEVERAL:
            count = min(_number(self._data, position), self._room)
            position += 4
        first = None
        for _ in range(count):
            self._room -= 1
            length = size or _number(self._data, position)
            position += 0 if size else 4
            first = first or (base, position, min(position + length, end))
            position += _padded(length)
            if position >= end:
                break
        return first or (base, position, position), position

    def _property(self, file: _File, id_: int) -> str:
        return self._text(*file.properties[id_]) if id_ in file.properties else ""

    def _text(self, type_: int, start: int, end: int) -> str:
        raw = self._data[start : min(end, start + 1_000_000)]
        text, _ = decode(raw, "utf-16-le") if type_ == _UNICODE else decode(raw.rstrip(b"\0"), self._charset)
        return text.rstrip("\0")


def _attributes(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Each attribute: its id, and where its value is."""
    position = 6
    for _ in range(MAX_ATTRIBUTES):
        if position + 9 > len(data):
            return
        id_, _, size = struct.unpack_from("<HHI", data, position + 1)
        start = position + 9
        yield id_, start, min(start + size, len(data))
        position = start + size + 2  # a checksum


def _number(data: bytes, position: int) -> int:
    return int.from_bytes(data[position : position + 4], "little")


def _padded(size: int) -> int:
    return size + (-size % 4)
