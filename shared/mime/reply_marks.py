"""The HTML of a reply as text in which quotes are lines with `>`, however their mail program marks them."""

import re
from collections.abc import Iterable, Iterator

from shared.mime.html import VOID, Token, attributes, well_nested
from shared.mime.text import of_tokens
from shared.mime.wordings import words

QUOTED_BEHIND = "\ufdd0"
SIGNATURE_STARTS = "\ufdd1"
SIGNATURE_ENDS = "\ufdd2"
"""Each on a line of its own; noncharacters, which no text holds."""
MARKS = re.compile("[\ufdd0-\ufdd2]")

_MAX_ATTRIBUTES = 10_000
"""Characters of a tag that are looked at. Longer are only images within the HTML."""
_NAMES = re.compile(r"[\w-]+")
_PREFIXES = re.compile(r"^(?:(?:x|m|zm)_-?\d{0,20}_?|ydp[0-9a-f]{1,12}|ecx|yiv\d{1,20})+(?=[a-z_])")
_SIGNATURE = re.compile(r"signature(?!_prefix)|(?:^|[_-])(?:sig|sgn)$")
_NO_SIGNATURE = re.compile(r"linebreak|empty")
_OUTLOOK_LINE = re.compile(
    r"border:\s*none;\s*border-top:\s*solid\s+(?:#[0-9a-f]{6}|windowtext)\s+1\.0pt;\s*padding:\s*3\.0pt 0"
    r"|border-top:\s*1(?:\.0)?pt solid rgb\(225, 225, 225\)"
    r"|padding-top:\s*5px;\s*border-top-color:\s*rgb\(229, 229, 229\)",
    re.IGNORECASE,
)
_QUOTE_LINE = re.compile(r"border-left(?:-style)?:\s*(?:[\w#.(),]+\s+){0,3}?(?:solid|[1-9])", re.IGNORECASE)
_INDENT = re.compile(r"border:\s*(?:none|0|medium none)|margin:\s*0(?:px)?\s+0(?:px)?\s+0(?:px)?\s+40px", re.IGNORECASE)
_BOXES = frozenset({"article", "blockquote", "div", "p", "section", "span"})


def marked(source: str) -> str:
    return of_tokens(_mark(well_nested(MARKS.sub("", source))))


def _mark(tokens: Iterable[Token]) -> Iterator[Token]:
    ends: list[list[Token]] = []
    for token in tokens:
        match token.kind:
            case "text":
                yield token
            case "end":
                yield from ends.pop()
            case "start":
                before, after = _replaced(token)
                yield from before
                if token.value not in VOID:
                    ends.append(after)


def _replaced(token: Token) -> tuple[list[Token], list[Token]]:
    """What stands for an element: the tokens where it starts, and those where it ends."""
    name, same = token.value, ([token], [Token("end", token.value)])
    if name == "blockquote" and _INDENT.search(token.attributes, 0, _MAX_ATTRIBUTES) and "cite" not in token.attributes:
        return [Token("start", "div")], [Token("end", "div")]
    if not token.attributes:
        return same
    values = attributes(token.attributes[:_MAX_ATTRIBUTES])
    names = _names(values)
    style = values.get("style", "")
    if names & words("names_above_quotes") or (name == "div" and _OUTLOOK_LINE.search(style)):
        return [*_line(QUOTED_BEHIND), token], [Token("end", name)]
    if name in _BOXES and (names & words("quote_names") or (name == "div" and _QUOTE_LINE.search(style))):
        return [Token("start", "blockquote")], [Token("end", "blockquote")]
    if name in _BOXES | {"table"} and any(_SIGNATURE.search(n) and not _NO_SIGNATURE.search(n) for n in names):
        return [*_line(SIGNATURE_STARTS), token], [Token("end", name), *_line(SIGNATURE_ENDS)]
    return same


def _names(values: dict[str, str]) -> set[str]:
    """Its id, classes and names in lower case, without what mail programs put before those of others."""
    written = " ".join(values.get(key, "") for key in ("id", "class", "name", "data-marker", "data-smartmail")).lower()
    signature = {"data-signatureblock"} if "data-signatureblock" in values else set()
    return {_PREFIXES.sub("", name) for name in _NAMES.findall(written)} | signature


def _line(mark: str) -> list[Token]:
    return [Token("start", "div"), Token("text", mark), Token("end", "div")]
