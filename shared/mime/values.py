"""Structured values: ids (RFC 5322 section 3.6.4), and types with parameters (RFC 2045, RFC 2231)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import unquote_to_bytes

from shared.mime.charsets import codec, decode
from shared.mime.headers import characters, one_line, text

MAX_ID = 998
MAX_IDS = 100

_BRACKETED = re.compile(r"<([^<>]*)>")
_ONE_ID = re.compile(r"<[^\s<>\x00-\x20\x7f-\xff]{1,996}>")
_BETWEEN_IDS = re.compile(r"[\s<>,;()\"']+")
_TYPE = re.compile(r"\s*([\w!#$&^.+-]+/[\w!#$&^.+-]+|[\w-]+)", re.ASCII)
_PARAMETER = re.compile(
    r"(?:;|(?<![;\s])\s)\s*+([^\s=;\"]{1,100})\s*+=\s*+(?:\"((?:[^\"\\]|\\.)*+)\"?|([^;]*))", re.DOTALL
)
_SEGMENT = re.compile(r"(.*?)\*(\d{1,4})?(\*?)")
_PERCENT_ENCODED = re.compile(
    r"(?:([\w-]{1,40})'[\w-]{0,20}'|(?=.{0,200}%[C-Fc-f][\dA-Fa-f]%[89ABab]))([^%]*+(?:%[0-9A-Fa-f]{2}[^%]*+)+)",
    re.ASCII,
)
"""An extended value under a plain name; without a charset it is UTF-8."""
_MAX_PARAMETERS = 1_000


def message_ids(value: str) -> tuple[str, ...]:
    """The ids in a Message-ID, In-Reply-To or References field, whatever stands between, before and behind them."""
    if not value or _ONE_ID.fullmatch(value):
        return (value,) if value else ()
    value = characters(value)
    found = ["".join(words) for inside in _BRACKETED.findall(value) for words in _in_one_bracket(inside.split())]
    found = found or [word for word in _BETWEEN_IDS.split(value) if "@" in word]
    ids = (one_line(id_).replace(" ", "") for id_ in found)
    return tuple(f"<{id_}>" for id_ in ids if 0 < len(id_) <= MAX_ID - 2)[-MAX_IDS:]


def _in_one_bracket(words: list[str]) -> list[list[str]]:
    """Several ids, or one that was folded in its middle."""
    return [[word] for word in words] if all("@" in word for word in words) else [words]


@dataclass(frozen=True, slots=True)
class Typed:
    """A value such as `text/plain; charset=utf-8`, in lower case, and its parameters as written, by lower-case name."""

    value: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    def token(self, name: str) -> str:
        """A parameter that is one word, such as the charset."""
        return next(iter(self.text(name).split()), "")

    def text(self, name: str, sibling: str = "") -> str:
        """A parameter as text; the extended form (RFC 2231) stands before the plain one."""
        plain = self.parameters.get(name, "")
        if "%" in plain and (encoded := _PERCENT_ENCODED.fullmatch(plain)) and codec(encoded[1] or "utf-8"):
            return one_line(decode(unquote_to_bytes(encoded[2]), encoded[1] or "utf-8", sibling)[0])
        if len(self.parameters) == (plain != ""):
            return text(plain, sibling)
        return self._extended(name, sibling) or text(plain, sibling)

    def _extended(self, name: str, sibling: str) -> str:
        if not any(f"{name}{mark}" in self.parameters for mark in ("*", "*0", "*0*")):
            return ""
        segments = sorted(
            (int(match[2] or 0), match[2] is None or match[3] == "*", value)
            for key, value in self.parameters.items()
            if (match := _SEGMENT.fullmatch(key)) and match[1] == name
        )
        charset, (number, is_encoded, first) = "", segments[0]
        if is_encoded and first.count("'") >= 2:
            charset, _, first = first.split("'", 2)
        raw = b"".join(
            unquote_to_bytes(value.encode("latin-1")) if is_encoded else value.encode("latin-1")
            for _, is_encoded, value in [(number, is_encoded, first), *segments[1:]]
        )
        return one_line(decode(raw, charset, sibling)[0]) if charset else text(raw.decode("latin-1"), sibling)


def typed(value: str) -> Typed:
    """Read a Content-Type or Content-Disposition; of a parameter that is given twice, the first counts."""
    match = _TYPE.match(value)
    parameters: dict[str, str] = {}
    for found in islice(_PARAMETER.finditer(value, match.end() if match else 0), _MAX_PARAMETERS):
        name, quoted, plain = found.groups()
        parameters.setdefault(name.lower(), plain.strip() if quoted is None else _unquoted(quoted))
    return Typed(match[1].lower() if match else "", parameters)


def _unquoted(value: str) -> str:
    """Only quotes and backslashes count as escaped: many programs write Windows paths as they are."""
    return value.replace('\\"', '"').replace("\\\\", "\\") if "\\" in value else value
