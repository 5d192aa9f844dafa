"""Bodies in Rich Text Format, as Outlook writes them: compressed ([MS-OXRTFCP]), with HTML inside ([MS-OXRTFEX])."""

import re

from shared.mime.charsets import decode

MAX_RTF = 500_000
"""Bytes that are looked at, decompressed."""

_KNOWN = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans Serif"
    rb"SymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
"""What the window of the decompressor holds at first."""
_TOKEN = re.compile(
    rb"\\([a-z]{1,32}+)(-?\d{1,10}+)? ?|((?:\\'[0-9a-f]{2})+)|\\([^a-z])|([{}])|[\r\n]++|([^\\{}\r\n]++)", re.IGNORECASE
)
_NO_TEXT = frozenset({b"fonttbl", b"colortbl", b"stylesheet", b"info", b"pict", b"object", b"header", b"footer"})
_CHARACTERS = {
    b"par": "\n", b"line": "\n", b"row": "\n", b"tab": "\t", b"cell": "\t", b"emdash": "\u2014", b"endash": "\u2013",
    b"bullet": "\u2022", b"lquote": "\u2018", b"rquote": "\u2019", b"ldblquote": "\u201c", b"rdblquote": "\u201d",
}  # fmt: skip
_SYMBOLS = {b"\\": "\\", b"{": "{", b"}": "}", b"~": "\xa0", b"_": "-", b"\n": "\n", b"\r": "\n"}


def decompress(data: bytes) -> bytes:
    """What was compressed; its beginning, where it is damaged or too long."""
    if data[8:12] == b"MELA":
        return data[16 : 16 + MAX_RTF]
    window = bytearray(_KNOWN)
    position = 16
    while data[8:12] == b"LZFu" and position < len(data) and len(window) < MAX_RTF:
        flags = data[position]
        position += 1
        for bit in range(8):
            if not flags >> bit & 1:
                window += data[position : position + 1]
                position += 1
                continue
            reference = int.from_bytes(data[position : position + 2], "big")
            position += 2
            at = len(window) % 4096
            if reference >> 4 == at or position > len(data):
                return bytes(window[len(_KNOWN) :])
            distance = (at - (reference >> 4)) % 4096
            for _ in range((reference & 15) + 2):
                window.append(window[-distance] if distance <= len(window) else 32)
    return bytes(window[len(_KNOWN) :])


def of_rtf(source: bytes) -> tuple[str, bool]:
    """Its text, and whether that is HTML."""
    is_html = b"\\fromhtml" in source[:1_000]
    page = re.search(rb"\\ansicpg(\d{1,5})", source[:1_000])
    reader = _Reader(f"cp{page[1].decode()}" if page else "cp1252", is_html=is_html)
    for token in _TOKEN.finditer(source, 0, MAX_RTF):
        reader.take(token)
    text = "".join(reader.pieces).encode("utf-16", "surrogatepass")
    return text.decode("utf-16", "replace"), is_html


class _Reader:
    def __init__(self, charset: str, *, is_html: bool) -> None:
        self.pieces: list[str] = []
        self._charset = charset
        self._is_html = is_html
        self._groups: list[tuple[bool, int]] = []
        self._unseen = False
        self._instead = 1
        """How many characters behind a Unicode one stand in for it, where that cannot be shown."""
        self._skip = 0

    def take(self, token: re.Match[bytes]) -> None:
        word, number, encoded, symbol, brace, text = token.groups()
        if brace == b"{":
            self._groups.append((self._unseen, self._instead))
        elif brace and self._groups:
            self._unseen, self._instead = self._groups.pop()
        elif word:
            self._word(word, int(number) if number else None)
        elif symbol == b"*":
            self._unseen = True  # until a word is known
        elif encoded:
            self._write(decode(bytes.fromhex(encoded.replace(b"\\'", b"").decode()), self._charset)[0])
        elif symbol:
            self._write(_SYMBOLS.get(symbol, ""))
        elif text:
            self._write(decode(text, self._charset)[0])

    def _word(self, word: bytes, number: int | None) -> None:
        if word == b"htmltag":
            self._unseen = False
        elif word == b"htmlrtf" and self._is_html:
            self._unseen = number != 0
        elif word in _NO_TEXT:
            self._unseen = True
        elif word == b"uc":
            self._instead = max(number or 0, 0)
        elif word == b"u" and number is not None:
            self._write(chr(number % 65536))
            self._skip = self._instead
        elif word in _CHARACTERS:
            self._write(_CHARACTERS[word])

    def _write(self, text: str) -> None:
        skipped = min(self._skip, len(text))
        self._skip -= skipped
        if not self._unseen:
            self.pieces.append(text[skipped:])
