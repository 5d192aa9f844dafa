"""Bytes -> text, whatever charset is declared (req X2). The names are those of the WHATWG Encoding Standard and of
what mail programs write in their place; where one charset extends another, the larger one is taken.
"""

import re
import tomllib
from encodings.aliases import aliases
from functools import lru_cache
from pathlib import Path

from shared.mime.defects import Defect
from shared.mime.guessing import likely_charset

_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
_TAKEN_AS = {name: codec for codec, names in _TABLES["names"].items() for name in names.split()}
_CODE_PAGE = re.compile(r"(?:x_)?(?:cp|ibm|ms|win|windows)_?(\d{3,4})")
_ISO = re.compile(r"(?:cs)?iso_?8859_?(\d{1,2})(?:_?[ei])?")
_MACINTOSH = re.compile(r"(?:x_)?mac_?([a-z]+)")
_TEXT_CODECS = frozenset(aliases.values()) - {
    "base64_codec", "bz2_codec", "hex_codec", "mbcs", "quopri_codec", "rot_13", "uu_codec", "zlib_codec",
} | {"cp720", "cp737", "cp874", "cp1252", "koi8_u", "mac_cyrillic"}  # fmt: skip
_NOT_ASCII_BELOW_128 = frozenset(
    {"utf_7", "hz", "utf_16", "utf_16_be", "utf_16_le", "utf_32", "utf_32_be", "utf_32_le"}
)
_SAYS_NOTHING = frozenset({"", "unknown", "unknown_8bit", "x_unknown", "8bit", "binary", "default", "x_user_defined"})
_MULTIBYTE = frozenset({"gb18030", "big5hkscs", "cp949", "cp932", "euc_jp", "johab", "cp874"})
_CUT = re.compile(rb"[\xc3-\xf4][\x80-\xbf]{1,2}\Z")
"""At the end: a character of UTF-8 without its last bytes."""
_EUC = re.compile(rb"\x8e([\xa1-\xdf])|(?:[\xa1-\xfe]{2})++")
_JAPANESE_SHIFT = re.compile(rb"\x1b(\$[@B]|\([BJI])")


@lru_cache(maxsize=256)
def codec(charset: str) -> str | None:
    """The Python codec that reads a charset by its name in mail; None where the name is unknown."""
    name = re.sub(r"[^a-z0-9]+", "_", charset[:64].lower()).strip("_")
    if code_page := _CODE_PAGE.fullmatch(name):
        name = _TABLES["code_pages"].get(code_page[1], f"cp{code_page[1]}")
    if iso := _ISO.fullmatch(name):
        name = f"iso8859_{iso[1]}"
    if macintosh := _MACINTOSH.fullmatch(name):
        name = _TABLES["macintosh"].get(macintosh[1], f"mac_{macintosh[1]}")
    name = _TAKEN_AS.get(name) or aliases.get(name, name)
    name = _TAKEN_AS.get(name, name)
    return name if name in _TEXT_CODECS else None


def decode(raw: bytes, charset: str = "", sibling: str = "") -> tuple[str, Defect | None]:
    """Text, and what was wrong with the charset that was declared for it.

    `sibling` is a charset declared elsewhere in the message: the best guess where this one is of no use.
    """
    name = codec(charset)
    if raw.isascii() and name not in _NOT_ASCII_BELOW_128 and b"\x1b" not in raw:
        return raw.decode("ascii"), None
    if name is None:
        named = re.sub(r"[^a-z0-9]+", "_", charset.lower()).strip("_") not in _SAYS_NOTHING
        return _guess(raw, sibling), Defect.CHARSET_UNKNOWN if named else Defect.CHARSET_MISSING
    if _is_evidently_wrong(raw, name):
        return _guess(raw, sibling), Defect.CHARSET_WRONG
    try:
        return _without_surrogates(raw.decode(name)).removeprefix("\ufeff"), None
    except UnicodeDecodeError:
        return _rescue(raw, name, sibling)


def _without_surrogates(text: str) -> str:
    """UTF-7 can spell half a character; no other codec lets one through."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _is_evidently_wrong(raw: bytes, name: str) -> bool:
    if name == "ascii":
        return True
    if name.startswith(("utf_16", "utf_32")):
        return b"\0" not in raw and _is_utf8(raw)
    return name not in _MULTIBYTE and name != "utf_8" and not raw.isascii() and _is_utf8(raw)


def _is_utf8(raw: bytes, errors: str = "strict") -> bool:
    try:
        raw.decode("utf-8", errors)
    except UnicodeDecodeError:
        return False
    return True


def _rescue(raw: bytes, name: str, sibling: str) -> tuple[str, Defect]:
    """Text of bytes that are not all of the charset they should be in."""
    if name.startswith("iso2022_jp"):
        return _japanese(raw), Defect.CHARSET_DAMAGED
    if name == "euc_jp":
        return _EUC.sub(_euc_to_shift_jis, raw).decode("cp932", "replace"), Defect.CHARSET_DAMAGED
    if _is_utf8(raw):
        return raw.decode("utf-8"), Defect.CHARSET_WRONG
    if name == "utf_8":
        return _rescue_utf8(raw, sibling)
    return _without_surrogates(raw.decode(name, "replace")).removeprefix("\ufeff"), Defect.CHARSET_DAMAGED


def _rescue_utf8(raw: bytes, sibling: str) -> tuple[str, Defect]:
    if _is_utf8(raw, "surrogatepass"):  # each half of a character by itself (CESU-8)
        return _without_surrogates(raw.decode("utf-8", "surrogatepass")), Defect.CHARSET_DAMAGED
    if (cut := _CUT.search(raw, len(raw) - 3)) and _is_utf8(raw[: cut.start()]):
        return f"{raw[: cut.start()].decode('utf-8')}\ufffd", Defect.CHARSET_DAMAGED
    text = raw.decode("utf-8", "replace")
    sample = [character for character in text[:10_000] if character > "\x7f"]
    if sample.count("\ufffd") * 3 > len(sample):
        return _guess(raw, sibling), Defect.CHARSET_WRONG
    return text.removeprefix("\ufeff"), Defect.CHARSET_DAMAGED


def _guess(raw: bytes, sibling: str) -> str:
    if _JAPANESE_SHIFT.search(raw):
        return _japanese(raw)
    for name in ("utf_8", codec(sibling)):
        if name not in (None, "ascii"):
            try:
                return _without_surrogates(raw.decode(name)).removeprefix("\ufeff")
            except UnicodeDecodeError:
                continue
    return raw.decode(likely_charset(raw), "replace")


def _japanese(raw: bytes) -> str:
    """ISO-2022-JP as it is written: with the NEC and IBM characters of code page 932, and single 8-bit characters."""
    pieces = _JAPANESE_SHIFT.split(raw)
    text = [pieces[0].decode("cp932", "replace")]
    for shift, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        if shift in (b"$B", b"$@"):
            piece = _jis_to_shift_jis(piece)  # noqa: PLW2901 - the same piece in another encoding
        elif shift == b"(I":
            piece = bytes(byte | 0x80 if byte > 0x20 else byte for byte in piece)  # noqa: PLW2901 - as above
        text.append(piece.decode("cp932", "replace"))
    return "".join(text)


def _euc_to_shift_jis(found: re.Match[bytes]) -> bytes:
    return found[1] or _jis_to_shift_jis(bytes(byte & 0x7F for byte in found[0]))


def _jis_to_shift_jis(piece: bytes) -> bytes:
    shifted = bytearray()
    position = 0
    while position < len(piece):
        row, cell = piece[position], piece[position + 1] if position + 1 < len(piece) else 0
        if not (0x21 <= row <= 0x7E and 0x21 <= cell <= 0x7E):
            shifted.append(row)
            position += 1
            continue
        shifted.append(((row + 1) >> 1) + (0x70 if row <= 0x5E else 0xB0))
        shifted.append(cell + (0x1F if cell <= 0x5F else 0x20) if row & 1 else cell + 0x7E)
        position += 2
    return bytes(shifted)
