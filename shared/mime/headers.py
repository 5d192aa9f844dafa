"""Header fields: found in the bytes (RFC 5322 section 2.2), read as text (RFC 2047 and what is written instead)."""

import binascii
import re
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from shared.mime.charsets import decode
from shared.mime.defects import Defect
from shared.mime.transfer import unbase64

MAX_HEADER_BYTES = 256 * 1024
"""Of one part."""
MAX_FIELDS = 1_000
MAX_VALUE = 64 * 1024
MAX_TEXT = 16 * 1024
"""Bytes of a field that are looked at, and of one that is only text."""

_FIELD = re.compile(r"([!-9;-~]{1,200})[ \t]*+:([^\n]*(?:\n[ \t][^\n]*)*)\n?")
_BLANK = re.compile(r"\r?\n")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]+")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_WORD = re.compile(
    r"=\?\"?([\w.:+-]{1,64})\"?(?:\*[\w-]{0,20})?\?([bBqQ])\?((?:[^?]|\?(?!=|\Z)){0,2000})(?:\?=|\??\Z)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Fields:
    """Names in lower case and unfolded values, in the order of the message; one character of a value is one byte."""

    pairs: tuple[tuple[str, str], ...] = ()
    _firsts: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_firsts", dict(reversed(self.pairs)))

    def first(self, name: str) -> str:
        return self._firsts.get(name, "")

    def every(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]


def read_fields(
    content: bytes, start: int, end: int, defects: list[Defect], max_bytes: int = MAX_HEADER_BYTES
) -> tuple[Fields, int]:
    """The fields that begin at `start`, and where the body behind them begins."""
    limit = min(end, start + max_bytes)
    blank_line = _BLANK_LINE.search(content, start, limit)
    block = content[start : blank_line.end() if blank_line else limit].decode("latin-1")
    pairs: list[tuple[str, str]] = []
    position, size, field_at = 0, len(block), _FIELD.match
    while position < size:
        if found := field_at(block, position):
            name, value = found.groups()
            pairs.append(
                (name.lower(), (_FOLD.sub(" ", value) if "\n" in value else value).strip(" \t\r\n")[:MAX_VALUE])
            )
            position = found.end()
            continue
        if blank := _BLANK.match(block, position):
            return Fields(tuple(pairs[:MAX_FIELDS])), start + blank.end()
        defects.append(Defect.HEADER_INVALID)
        next_line = block.find("\n", position) + 1 or len(block)
        if not _FIELD.match(block, next_line):  # the blank line is missing, or there is no header at all
            return Fields(tuple(pairs[:MAX_FIELDS])), start + position
        position = next_line
    if limit < end:
        defects.append(Defect.HEADER_TOO_LARGE)
        blank_line = _BLANK_LINE.search(content, limit - 2, end)
    return Fields(tuple(pairs[:MAX_FIELDS])), blank_line.end() if blank_line else end


def text(value: str, sibling: str = "") -> str:
    """What a field says, on one line: 8-bit characters, encoded words and white space put right."""
    value = value[:MAX_TEXT]
    if "=?" not in value and value.isascii() and value.isprintable():
        return value.strip()
    decoded = decode_words(characters(value, sibling), sibling)
    if decoded.startswith("=?") and decoded.endswith("?="):  # encoded twice
        decoded = decode_words(decoded, sibling)
    return one_line(decoded)


def characters(value: str, sibling: str = "") -> str:
    """The characters of a value that holds one byte in each (RFC 6532, or any charset without a declaration)."""
    if value.isascii() and "\x1b" not in value:
        return value
    return decode(value.encode("latin-1"), "", sibling)[0]


def one_line(value: str) -> str:
    return (value if value.isprintable() else _CONTROLS.sub(" ", value)).strip()


def decode_words(value: str, sibling: str = "") -> str:
    """Replace encoded words. The bytes of adjacent ones are joined first: many programs cut within a character."""
    if "=?" not in value:
        return value
    pieces: list[str] = []
    charset, words, end = "", list[tuple[str, str]](), 0
    for word in _WORD.finditer(value):
        gap = value[end : word.start()]
        is_adjacent = end > 0 and not gap.strip()
        if not (is_adjacent and charset == word[1].lower()):
            pieces += [decode(_bytes(words), charset, sibling)[0], "" if is_adjacent else gap]
            words = []
        charset, end = word[1].lower(), word.end()
        words.append((word[2].lower(), word[3]))
    pieces += [decode(_bytes(words), charset, sibling)[0], value[end:]]
    return "".join(pieces)


def _bytes(words: list[tuple[str, str]]) -> bytes:
    """What encoded words hold; base64 may go on from one into the next."""
    found = b""
    for encoding, group in groupby(words, key=itemgetter(0)):
        raw = [word.encode("latin-1", "replace") for _, word in group]
        if encoding == "q":
            found += b"".join(binascii.a2b_qp(word, header=True) for word in raw)
        elif any(len(word) % 4 and b"=" not in word for word in raw[:-1]):
            found += unbase64(b"".join(raw))[0]
        else:
            found += b"".join(unbase64(word)[0] for word in raw)
    return found
