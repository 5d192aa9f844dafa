"""HTML of mail as a stream of well-nested tags, and sanitised for people to look at (req X3).

HTML parsers repair what mail contains by copying open elements into each new paragraph, so that some thousand open
tags become gigabytes. Therefore the tags are put in order here first, in one pass over the source: whoever reads the
stream, nh3 included, finds every element closed where it ends, and none deeper than `MAX_DEPTH`.
"""

import re
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from html import escape, unescape
from typing import Literal, NamedTuple
from urllib.parse import unquote

MAX_DEPTH = 60
MAX_TAGS = 50_000
"""What comes behind is left out."""

_MARKUP = re.compile(r"<(?:(/?)([a-zA-Z][a-zA-Z0-9:_-]{0,40})|[!?/])")
_ATTRIBUTE = re.compile(r"([^\s=/>\"'][^\s=/>]{0,100})(?:\s*+=\s*+(\"[^\"]*+\"?|'[^']*+'?|[^\s>]*+))?+")
_HIDDEN = re.compile(r"(?:display\s*:\s*none|mso-hide\s*:\s*all)", re.IGNORECASE)
_LINK = re.compile(r"\s*(?:https?://|mailto:|tel:)", re.IGNORECASE)
_DATA_IMAGE = re.compile(r"\s*data:image/(?:png|gif|jpe?g|webp);", re.IGNORECASE)
_ACTIVE_STYLE = re.compile(r"[\\@]|url|image|expression", re.IGNORECASE)

_UNSEEN = frozenset({"iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp"})
_VOID = frozenset({"br", "col", "hr", "img", "wbr"})
_CELLS = frozenset({"caption", "table", "td", "th"})
_BLOCKS = frozenset(
    """
    address article aside blockquote center dd details div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6
    header hr li main nav ol p pre section table ul
    """.split()  # noqa: SIM905 - a list of these would fill a screen
)
INLINE = frozenset(
    """
    a abbr b bdi bdo big br cite code del dfn em font i img ins kbd mark q s samp small span strike strong sub
    summary sup time tt u var wbr
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
_NOTHING: tuple[AbstractSet[str], AbstractSet[str]] = (frozenset(), frozenset())


_ATTRIBUTES = {
    "*": {"align", "bgcolor", "dir", "height", "lang", "style", "title", "valign", "width"},
    "a": {"href"},
    "col": {"span"},
    "colgroup": {"span"},
    "font": {"color", "face", "size"},
    "img": {"alt", "src"},
    "ol": {"start", "type"},
    "table": {"border", "cellpadding", "cellspacing"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}
_STYLES = set(
    """
    background-color border border-bottom border-collapse border-color border-left border-right border-spacing
    border-style border-top border-width color direction font-family font-size font-style font-variant
    font-weight height letter-spacing line-height list-style-type margin margin-bottom margin-left margin-right
    margin-top max-width min-width padding padding-bottom padding-left padding-right padding-top table-layout
    text-align text-decoration text-indent text-transform unicode-bidi vertical-align white-space width
    """.split()  # noqa: SIM905 - a list of these would fill a screen
)


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


def well_nested(source: str) -> Iterator[Token]:
    """The visible text and the tags of `TAGS`; each start tag but those of void elements has its end tag."""
    nesting = _Nesting()
    for token in _tokens(source):
        if token.kind == "text":
            if not nesting.hidden:
                yield token
        elif token.kind == "end":
            yield from nesting.end(token.value)
        else:
            yield from nesting.start(token)
    yield from nesting.pop_to(0)


class _Nesting:
    """The open elements."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._hidden_from: int | None = None

    @property
    def hidden(self) -> bool:
        return self._hidden_from is not None

    def start(self, token: Token) -> Iterator[Token]:
        name = token.value
        yield from self._implied_ends(name)
        top = self._open[-1] if self._open else ""
        if (name in _TABLE_PARENTS) != (top in _TABLE_ONLY) or len(self._open) == MAX_DEPTH:
            return
        if name not in _VOID:
            if not self.hidden and token.attributes and _HIDDEN.search(token.attributes):
                self._hidden_from = len(self._open)
            self._open.append(name)
        if not self.hidden:
            yield token

    def end(self, name: str) -> Iterator[Token]:
        position = self._find({name}, frozenset() if name in _CELLS or name in _TABLE_PARENTS else _CELLS)
        if position is not None:
            yield from self.pop_to(position)

    def pop_to(self, size: int) -> Iterator[Token]:
        while len(self._open) > size:
            name = self._open.pop()
            if not self.hidden:
                yield Token("end", name)
            elif self._hidden_from == len(self._open):
                self._hidden_from = None

    def _implied_ends(self, name: str) -> Iterator[Token]:
        if parents := _TABLE_PARENTS.get(name):
            position = self._find(parents, frozenset())
            if position is not None:
                yield from self.pop_to(position + 1)
            return
        for ended, limits in (_ENDED_BY.get(name, _NOTHING), ({"p"}, _CELLS) if name in _BLOCKS else _NOTHING):
            position = self._find(ended, limits)
            if position is not None:
                yield from self.pop_to(position)

    def _find(self, names: AbstractSet[str], limits: AbstractSet[str]) -> int | None:
        """The innermost open element of these names, unless one of the limits is further inside."""
        for position in range(len(self._open) - 1, -1, -1):
            if self._open[position] in names:
                return position
            if self._open[position] in limits:
                return None
        return None


def _tokens(source: str) -> Iterator[Token]:
    """Text and tags in the order of the source, without comments and what no reader sees."""
    position = 0
    for _ in range(MAX_TAGS):
        markup = _MARKUP.search(source, position)
        start = markup.start() if markup else len(source)
        if start > position:
            yield Token("text", source[position:start])
        if markup is None:
            return
        slash, name = markup[1], (markup[2] or "").lower()
        if not name:
            position = _declaration_end(source, start)
            continue
        end = _tag_end(source, markup.end())
        if name in TAGS:
            yield Token("end" if slash else "start", name, source[markup.end() : end])
        position = end + 1 if slash or name not in _UNSEEN else _unseen_end(source, name, end)


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
    for _ in range(8):
        inside = source[start:end]
        if end < 0 or not (inside.count('"') % 2 or inside.count("'") % 2):
            break
        *_, last = "", *(match[2] or "" for match in _ATTRIBUTE.finditer(inside))
        closing = (
            source.find(last[0], end) if last[:1] in ('"', "'") and (len(last) == 1 or last[-1] != last[0]) else -1
        )
        if closing < 0:
            break
        end = source.find(">", closing)
    return end if end >= 0 else len(source)


def sanitise(source: str, image_url: Callable[[str], str | None]) -> str:
    """The HTML without scripts, forms and everything that loads something from elsewhere.

    `image_url` says where the image with this Content-ID is; None leaves it out.
    """
    import nh3  # only needed when somebody looks

    def keep(tag: str, name: str, value: str) -> str | None:
        match tag, name:
            case "img", "src":
                return _image(value, image_url)
            case _, "href":
                return value if _LINK.match(value) else None
            case _, "style":
                return ";".join(part for part in value.split(";") if not _ACTIVE_STYLE.search(part))
        return value

    return nh3.clean(
        "".join(map(_written, well_nested(source))),
        tags=set(TAGS),
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
        set_tag_attribute_values={"a": {"target": "_blank"}},
        link_rel="noopener noreferrer nofollow",
        filter_style_properties=_STYLES,
    )


def _image(value: str, image_url: Callable[[str], str | None]) -> str | None:
    if value.strip()[:4].lower() == "cid:":
        return image_url(unquote(value.strip()[4:]))
    return value if _DATA_IMAGE.match(value) else None


def _written(token: Token) -> str:
    match token.kind:
        case "text":
            return token.value.replace("<", "&lt;")
        case "start":
            written = (f' {name}="{escape(value)}"' for name, value in attributes(token.attributes).items())
            return f"<{token.value}{''.join(written)}>"
        case "end":
            return f"</{token.value}>"
