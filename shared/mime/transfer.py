"""Transfer encodings (RFC 2045 section 6), with the damage that mail takes on its way repaired."""

import binascii
import re
import string
from collections.abc import Iterator
from contextlib import suppress

from shared.mime.defects import Defect

_BASE64 = f"{string.ascii_letters}{string.digits}+/=".encode()
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64))
_BASE64_LINE = re.compile(rb"\s*+[A-Za-z0-9+/]++={0,2}[ \t]*+(?:[\r\n]|$)")
_SPACE_BEHIND_SOFT_BREAK = re.compile(rb"=[ \t]++(?=\r?\n)")
_GAP = re.compile(rb"\n[ \t\r]*+(?:\n\s*+|(?=[_*#-]{4}))")
"""Behind it, a mailing list may have appended plain text."""
_CHUNK = 1024 * 1024
_MAX_CHUNKS = 1_000


def unbase64(raw: bytes) -> tuple[bytes, bool]:
    """What can be read of it, and whether it was valid."""
    padding = raw.find(b"=")
    if padding >= 0 and raw[padding:].strip(b"=\r\n\t "):  # decoding would stop there
        goes_on = not raw[padding:].translate(None, _BASE64 + b"\r\n")
        return _mend(raw if goes_on else raw[:padding]), False
    try:
        return binascii.a2b_base64(raw), True
    except binascii.Error:
        return _mend(raw), False


def _mend(raw: bytes) -> bytes:
    """Decode each padded chunk of it, without the characters that are too many."""
    chunks = raw.translate(None, _NOT_BASE64).split(b"=", _MAX_CHUNKS)
    chunks[-1] = chunks[-1].replace(b"=", b"")
    whole = (chunk[:-1] if len(chunk) % 4 == 1 else chunk for chunk in chunks)
    return b"".join(binascii.a2b_base64(chunk + b"=" * (-len(chunk) % 4)) for chunk in whole)


def _unquote(chunk: bytes) -> bytes:
    return binascii.a2b_qp(_SPACE_BEHIND_SOFT_BREAK.sub(b"=", chunk))


def _lines(raw: bytes) -> Iterator[bytes]:
    """Many lines at a time."""
    start = 0
    while start < len(raw):
        end = raw.find(b"\n", start + _CHUNK) + 1 or len(raw)
        yield raw[start:end]
        start = end


def _unuuencode(raw: bytes) -> bytes:
    data = bytearray()
    for line in raw.splitlines():
        try:
            data += binascii.a2b_uu(line)
        except binascii.Error:  # also the lines around; some programs pad lines wrongly, so only what counts is read
            size = ((line[0] - 32) & 63) * 4 // 3 + 2 if line and not line.startswith((b"begin ", b"end")) else 0
            with suppress(binascii.Error):
                data += binascii.a2b_uu(line[:size])
    return bytes(data)


def decode_transfer(raw: bytes, encoding: str) -> tuple[bytes, Defect | None]:
    """The content behind a Content-Transfer-Encoding; what is not encoded as declared stays as it is."""
    match "".join(filter(str.isalnum, encoding.lower())):
        case name if name.startswith("base64"):
            first = _BASE64_LINE.match(raw, 0, 1_000)
            if not first:
                return raw, Defect.BASE64_INVALID if raw.strip() else None
            gap = _GAP.search(raw, first.end() - 1)
            is_appended = gap and gap.end() < len(raw) and not _BASE64_LINE.match(raw, gap.end(), gap.end() + 1_000)
            data, valid = unbase64(raw[: gap.start()] if gap and is_appended else raw)
            return data, None if valid and not is_appended else Defect.BASE64_INVALID
        case name if name.startswith("quotedprintable"):
            is_damaged = _SPACE_BEHIND_SOFT_BREAK.search(raw)
            data = b"".join(_unquote(chunk) for chunk in _lines(raw)) if is_damaged else binascii.a2b_qp(raw)
            return data, Defect.QUOTED_PRINTABLE_INVALID if is_damaged else None
        case "xuuencode" | "uuencode" | "xuue" | "uue":
            return _unuuencode(raw), None
        case "" | "7bit" | "8bit" | "binary":
            return raw, None
        case _:
            return raw, Defect.TRANSFER_ENCODING_UNKNOWN
