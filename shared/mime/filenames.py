"""Names of attachments that every file system takes and nobody is deceived by."""

import re
import tomllib
import unicodedata
from pathlib import Path

MAX_BYTES = 200

_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
_FORBIDDEN = re.compile(r'[<>:"|?*]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)
_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


def safe_name(name: str) -> str:
    """The name without its path and without characters that are invisible, forbidden or reserved; may be empty."""
    name = unicodedata.normalize("NFC", _INVISIBLE.sub("", name[:4_000]))
    name = name[1:-1] if name[:1] == name[-1:] == "'" else name
    name = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    name = _FORBIDDEN.sub("_", name).strip(" .\u3000\xa0")
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension.encode()) > 20:
        stem, dot, extension = name, "", ""
    if _RESERVED.fullmatch(name.split(".", 1)[0].strip()):
        stem = f"_{stem}"
    room = MAX_BYTES - len((dot + extension).encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(" " if dot else " .\u3000\xa0") + dot + extension


def name_by_type(content_type: str, number: int) -> str:
    """A name for an attachment that has none; `number` counts from 1."""
    main, _, subtype = content_type.partition("/")
    subtype = subtype.removeprefix("x-")
    extension = _TABLES["extensions"].get(subtype) or (subtype if re.fullmatch("[a-z0-9]{2,4}", subtype) else "")
    extension = extension or ("txt" if main == "text" else "bin")
    return str(_TABLES["names"].get(subtype) or safe_name(f"{main}-{number}.{extension}"))
