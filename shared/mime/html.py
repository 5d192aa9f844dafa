"""HTML of mail as a stream of well-nested tags.

HTML parsers repair what mail contains by copying open elements into each new paragraph, so that some thousand open
tags become gigabytes. Therefore the tags are put in order here first, in one pass over the source: whoever reads the
stream, nh3 included, finds every element closed where it ends, and none deeper than `MAX_DEPTH`.
"""

import re
from collections.abc import Container
from collections.abc import Set as AbstractSet
from html import unescape
from typing import Literal, NamedTuple

MAX_DEPTH = 60
MAX_TAGS = 50_000
"""What comes behind is left out."""
_MAX_QUOTED_ENDS = 8

_MARKUP = re.compile(r"<(?:(/?)([a-zA-Z][a-zA-Z0-9:_-]{0,40})|[!?/])")
_SIMPLE_TAG = re.compile(
    r"<(/?)([a-zA-Z][a-zA-Z0-9:_-]{0,40}+)((?:[\s/][^<>\"']*+(?:(?<==)(?:\"[^<>\"]*+\"|'[^<>']*+')[^<>\"']*+)*+)?)>"
)
"""A tag whose values are quoted as they should be, or not at all."""
_ATTRIBUTE = re.compile(r"([^\s=/>\"'][^\s=/>]{0,100})(?:\s*+=\s*+(\"[^\"]*+\"?|'[^']*+'?|[^\s>]*+))?+")
_HIDDEN = re.compile(
    r"display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden"
    r"|(?<![-\w])(?:max-height|opacity)\s{0,9}:\s{0,9}0(?![\d.]{0,9}[1-9])|\shidden(?=\s{0,9}(?:/?$|=)|\s{1,9}[\w-]{1,40}=)",
    re.IGNORECASE,
)
"""Not `mso-hide` and not `font-size:0`: newsletters have them on what all programs but Outlook show, and on layout."""

_UNSEEN = frozenset({"iframe", "noembed", "noframes", "script", "select", "style", "textarea", "title", "xmp"})
VOID = frozenset({"br", "col", "hr", "img", "wbr"})
_CELLS = frozenset({"caption", "table", "td", "th"})
_BLOCKS = frozenset(
    """
    address article aside blockquote center dd details div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6
    header hr li main nav ol p pre section summary table ul
    """.split()  # noqa: SIM905 - a list of these would fill a screen
)
INLINE = frozenset(
    """
    a abbr b bdi bdo big br cite code del dfn em font i img ins kbd mark q s samp small span strike strong sub
    sup time tt u var wbr
    """.split()  # noqa: SIM905 - a list of these would fill a screen
)
_SECTIONS = frozenset({"tbody", "tfoot", "thead"})
_TABLE_PARENTS = {
    "caption": {"table"},
    "col": {"colgroup", "table"},
    "colgroup": {"table"},
    "tbody": {"table"},
    "td": {"table", "tr", *_SECTIONS},
    "tfoot": {"table"},
    "th": {"table", "tr", *_SECTIONS},
    "thead": {"table"},
    "tr": {"table", *_SECTIONS},
}
_TABLE_ONLY = frozenset({"colgroup", "table", "tr"}) | _SECTIONS
TAGS = _BLOCKS | INLINE | _TABLE_PARENTS.keys()
# What a start tag ends, unless one of the second set is in between.
_ENDED_BY: dict[str, tuple[AbstractSet[str], AbstractSet[str]]] = {
    "a": ({"a"}, _CELLS),
    "dd": ({"dd", "dt"}, _CELLS | {"dl"}),
    "dt": ({"dd", "dt"}, _CELLS | {"dl"}),
    "li": ({"li"}, _CELLS | {"ol", "ul"}),
}
_NO_LIMITS: AbstractSet[str] = frozenset()


_ENDS = {
    name: [*([_ENDED_BY[name]] if name in _ENDED_BY else []), *([({"p"}, _CELLS)] if name in _BLOCKS else [])]
    for name in _BLOCKS | _ENDED_BY.keys()
}


class Token(NamedTuple):
    """`value` is the name of a tag in lower case, or text with its entities; `attributes` are as in the source."""

    kind: Literal["text", "start", "end"]
    value: str
    attributes: str = ""


def attributes(source: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(source):
        value = match[2] or ""
        quote = value[:1] if value[:1] in ('"', "'") else ""
        found.setdefault(match[1].lower(), unescape(value.strip(quote) if quote else value))
    return found


def well_nested(source: str) -> list[Token]:
    """The visible text and the tags of `TAGS`; each start tag but those of void elements has its end tag."""
    nesting = _Nesting()
    position = 0
    for _ in range(MAX_TAGS):
        start = source.find("<", position)
        if start != position:
            nesting.text(source[position:start] if start >= 0 else source[position:])
        if start < 0:
            break
        position = _read_markup(source, start, nesting)
    nesting.pop_to(0)
    return nesting.tokens


def _read_markup(source: str, start: int, nesting: "_Nesting") -> int:
    """Hand over what begins with this `<`; returns where it ends."""
    if tag := _SIMPLE_TAG.match(source, start):
        slash, name, inside = tag.groups()
        end = tag.end() - 1
    elif markup := _MARKUP.match(source, start):
        slash, name = markup.groups()
        if not name:
            return _declaration_end(source, start)
        end = _tag_end(source, markup.end())
        inside = source[markup.end() : end]
    else:
        nesting.text("<")
        return start + 1
    name = name.lower()
    if name in TAGS:
        if slash:
            nesting.end(name)
        else:
            nesting.start(name, inside)
    return end + 1 if slash or name not in _UNSEEN else _unseen_end(source, name, end)


class _Nesting:
    """The open elements, and the stream that was made of them so far."""

    def __init__(self) -> None:
        self.tokens: list[Token] = []
        self._open: list[str] = []
        self._hidden_from: int | None = None

    def text(self, text: str) -> None:
        if self._hidden_from is None:
            self.tokens.append(Token("text", text))

    def start(self, name: str, inside: str) -> None:
        if name in _TABLE_PARENTS:
            position = self._find(_TABLE_PARENTS[name], _NO_LIMITS)
            if position is not None:
                self.pop_to(position + 1)
        elif name in _ENDS:
            for ended, limits in _ENDS[name]:
                self._end_at(self._find(ended, limits))
        top = self._open[-1] if self._open else ""
        if (name in _TABLE_PARENTS) != (top in _TABLE_ONLY) or len(self._open) == MAX_DEPTH:
            return
        is_hidden = self._hidden_from is not None
        if not is_hidden and inside and _HIDDEN.search(inside):
            is_hidden = True
            self._hidden_from = None if name in VOID else len(self._open)
        if name not in VOID:
            self._open.append(name)
        if not is_hidden:
            self.tokens.append(Token("start", name, inside))

    def end(self, name: str) -> None:
        if self._open and self._open[-1] == name:
            self.pop_to(len(self._open) - 1)
        else:
            self._end_at(self._find((name,), _NO_LIMITS if name in _CELLS or name in _TABLE_PARENTS else _CELLS))

    def pop_to(self, size: int) -> None:
        while len(self._open) > size:
            name = self._open.pop()
            if self._hidden_from is None:
                self.tokens.append(Token("end", name))
            elif self._hidden_from == len(self._open):
                self._hidden_from = None

    def _end_at(self, position: int | None) -> None:
        if position is not None:
            self.pop_to(position)

    def _find(self, names: Container[str], limits: Container[str]) -> int | None:
        """The innermost open element of these names, unless one of the limits is further inside."""
        for position in range(len(self._open) - 1, -1, -1):
            if self._open[position] in names:
                return position
            if self._open[position] in limits:
                return None
        return None


def _declaration_end(source: str, start: int) -> int:
    """Behind a comment, a doctype or another declaration."""
    if source.startswith("<!--", start):
        end = source.find("-->", start + 2)
        return end + 3 if end >= 0 else len(source)
    return source.find(">", start) + 1 or len(source)


def _unseen_end(source: str, name: str, start: int) -> int:
    end = re.compile(f"</{name}", re.IGNORECASE).search(source, start)
    return end.start() if end else len(source)


def _tag_end(source: str, start: int) -> int:
    """Where the `>` of a tag is; one inside a quoted value is none."""
    end = source.find(">", start)
    for _ in range(_MAX_QUOTED_ENDS):
        quote = _open_quote(source[start:end]) if end >= 0 else ""
        closing = source.find(quote, end) if quote else -1
        if closing < 0:
            break
        end = source.find(">", closing)
    return end if end >= 0 else len(source)


def _open_quote(inside: str) -> str:
    """The quote that begins the last value and does not end it."""
    if not (inside.count('"') % 2 or inside.count("'") % 2):
        return ""
    *_, last = "", *(match[2] or "" for match in _ATTRIBUTE.finditer(inside))
    is_open = last[:1] in ('"', "'") and (len(last) == 1 or last[-1] != last[0])
    return last[0] if is_open else ""
