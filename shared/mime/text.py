"""Readable plain text: of HTML (req X3), and of flowed paragraphs (RFC 3676)."""

import re
from collections.abc import Iterable, Iterator
from html import unescape
from itertools import count
from urllib.parse import unquote

from shared.mime.html import INLINE, VOID, Token, attributes, well_nested

MAX_NESTING = 12
"""How many quotes, list items and cells inside each other are shown as such."""

_SPACES = re.compile(r"[ \t\r\n\f]+")
_UNMARKED = INLINE - {"a", "br", "img"}
_CONTAINERS = frozenset({"blockquote", "li", "td", "th", "tr"})
_BLANK_LINE_AROUND = frozenset({"dl", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "pre"})
_NO_MARGIN = re.compile(r"Mso(?:Normal|PlainText|ListParagraph)|margin(?:-top|-bottom)?\s*:\s*0", re.IGNORECASE)
_WEB = re.compile(r"https?://[^\s<>]+|mailto:[^\s<>?]+", re.IGNORECASE)
_SCHEME = re.compile(r"(?:https?://)?(?:www\.)?|mailto:", re.IGNORECASE)
_SAFE_LINK = re.compile(r"https://[\w.-]{1,80}\.safelinks\.protection\.outlook\.com/\?url=([^&]+)", re.IGNORECASE)
"""What Exchange puts in the place of a link."""
_FILLER = re.compile("(?:[\u00ad\u034f\u061c\u180e\u200b-\u200f\u2007\u2060\ufeff][ \xa0]*){4,}|[\u00ad\u200b\ufeff]+")
"""What newsletters put behind their preview, and characters that only say where a line may be broken."""
_DRAWN_MARK = re.compile(
    "^(?:([\u00b7\u2022\u25aa\u00a7\uf0b7\uf0a7o])|(\\w{1,3}[.)]))(?: ?\xa0){2,}[ \xa0]*", re.MULTILINE
)
"""Of a list item in Word's HTML, where it is text."""
_VERBATIM = re.compile(r"white-space\s*:\s*(?:pre|break)", re.IGNORECASE)
_BLOCK = re.compile(r"display\s*:\s*(?:block|flex|grid|list-item|table)(?![-\w])", re.IGNORECASE)
_LETTERED = re.compile(r"""type\s*[:=]\s*["']?(?:a\b|lower-(?:alpha|latin))""", re.IGNORECASE)
_PIXEL = re.compile(r"""(?<![-\w])(?:width|height)\s*[:=]\s*["']?[012](?:px)?(?![\w.%])""", re.IGNORECASE)
"""Of an image that tells the sender of its reader, or only takes up room."""
_BLANK_LINES = re.compile(r"\n{3,}")
_PARAGRAPHS = re.compile(r"\S[ \t]{0,99}\r?\n[ \t]{0,99}\r?\n\s{0,99}\S")
_RULE = "_" * 32
"""What Outlook makes of a ruler."""


def of_html(source: str) -> str:
    return of_tokens(well_nested(source))


def of_tokens(tokens: Iterable[Token]) -> str:
    tokens = list(tokens)
    renderer = _Renderer(verbatim=_is_plain(tokens))
    for token in tokens:
        match token.kind:
            case "text":
                renderer.write(unescape(token.value))
            case "start":
                renderer.start(token)
            case "end":
                renderer.end(token.value)
    return renderer.text()


def _is_plain(tokens: list[Token]) -> bool:
    """Whether it is plain text called HTML: paragraphs, and no tag that makes one."""
    return all(token.kind == "text" or token.value in INLINE - {"br"} for token in tokens) and any(
        _PARAGRAPHS.search(token.value) for token in tokens
    )


Row = list[str | None]
"""The text of its cells; None is a column that the cell behind it spans too."""


class _Container:
    """An element whose text is changed as a whole when it ends; `cells` are those of a table row, `span` is of one."""

    def __init__(self, name: str = "", marker: str = "", span: int = 1) -> None:
        self.name = name
        self.marker = marker
        self.span = span
        self.cells: Row | None = [] if name == "tr" else None
        self._pieces: list[str] = []
        self._breaks = 0
        self._is_blank = False

    def break_line(self, lines: int = 1) -> None:
        """Begin a new line, behind a blank one where `lines` is 2, unless that has been done already."""
        self._breaks = max(self._breaks + self._is_blank, lines)
        self._is_blank = False

    def add_break(self) -> None:
        self._breaks += 1
        self._is_blank = False

    def write(self, text: str) -> None:
        if not text.isprintable() or "  " in text:
            text = _SPACES.sub(" ", text)
        at_start = self._breaks or not self._pieces
        if at_start or self._pieces[-1][-1] == " ":
            text = text.removeprefix(" ")
        if at_start and not text.strip(" \xa0"):  # a paragraph of a non-breaking space is a blank line
            self._is_blank = self._is_blank or bool(text)
        elif text:
            self.write_verbatim(text)

    def write_verbatim(self, text: str) -> None:
        if self._pieces:
            self._pieces.append("\n" * min(self._breaks, 2))
        self._pieces.append(text)
        self._breaks, self._is_blank = 0, False

    def attach(self, text: str) -> None:
        """Put it behind the text that is there, even where a new line has begun since."""
        last = ""
        while self._pieces and not last:
            last = self._pieces.pop().rstrip(" \xa0")
        self._pieces += [last, text]

    def ends_with(self, mark: str) -> bool:
        return bool(self._pieces) and not self._breaks and self._pieces[-1].endswith(mark)

    def text(self) -> str:
        text = "".join(self._pieces)
        if not text.isascii():
            text = _DRAWN_MARK.sub(lambda mark: "- " if mark[1] else f"{mark[2]} ", _FILLER.sub("", text))
            text = text.replace("\xa0", " ")
        return "\n".join([line.rstrip() for line in text.split("\n")]).strip("\n") if "\n" in text else text.rstrip()


class _Renderer:
    def __init__(self, *, verbatim: bool) -> None:
        self._stack = [_Container()]
        self._tables: list[list[Row]] = []
        self._lists: list[Iterator[str]] = []
        self._depth = 0
        self._styled: list[tuple[int, bool]] = []
        """The open elements that are verbatim, or blocks, by their style: how deep they are, and whether verbatim."""
        self._pre = int(verbatim)
        self._paragraph_gap = 2
        self._link = ""
        self._link_text: list[str] = []

    def text(self) -> str:
        return _BLANK_LINES.sub("\n\n", self._stack[0].text())

    def write(self, text: str) -> None:
        if self._link:
            self._link_text.append(text)
        if not self._pre:
            self._stack[-1].write(text)
        elif text:
            self._stack[-1].write_verbatim(text.replace("\r", ""))

    def start(self, token: Token) -> None:
        name = token.value
        if name not in VOID:
            self._depth += 1
            if token.attributes:
                self._start_styled(name, token.attributes)
        if name in _UNMARKED:
            return
        if name in _CONTAINERS:
            self._open_container(name, token.attributes)
        elif name == "br":
            self._stack[-1].add_break()
        elif name == "hr":
            self._write_block(_RULE)
        elif name == "img":
            self.write(_instead_of_image(token.attributes))
        elif name == "a":
            self._start_link(token.attributes)
        else:
            self._start_block(name, token.attributes)

    def _start_styled(self, name: str, source: str) -> None:
        if _VERBATIM.search(source):
            self._styled.append((self._depth, True))
            self._pre += 1
        elif name in INLINE and _BLOCK.search(source):
            self._styled.append((self._depth, False))
            self._stack[-1].break_line()

    def _start_block(self, name: str, source: str) -> None:
        if name == "p":
            self._paragraph_gap = 1 if _NO_MARGIN.search(source) else 2
        self._stack[-1].break_line(self._gap(name))
        if name == "pre":
            self._pre += 1
        elif name == "table":
            self._tables.append([])
        elif name in ("ol", "ul"):
            self._lists.append(_markers(name, source))

    def end(self, name: str) -> None:
        if name in _CONTAINERS:
            self._close_container()
        elif name == "a":
            self._end_link()
        elif name not in _UNMARKED:
            self._end_block(name)
        if self._styled and self._styled[-1][0] == self._depth:
            _, is_verbatim = self._styled.pop()
            self._pre -= is_verbatim
            self._stack[-1].break_line(0 if is_verbatim else 1)
        self._depth -= 1

    def _end_block(self, name: str) -> None:
        if name == "pre":
            self._pre -= 1
        elif name == "table":
            self._write_rows(self._tables.pop())
        elif name in ("ol", "ul"):
            self._lists.pop()
        self._stack[-1].break_line(self._gap(name))

    def _gap(self, name: str) -> int:
        """2 where a blank line separates an element from its neighbours."""
        return self._paragraph_gap if name == "p" else 1 + (name in _BLANK_LINE_AROUND)

    def _open_container(self, name: str, source: str) -> None:
        name = name if len(self._stack) <= MAX_NESTING else ""
        marker = next(self._lists[-1], "- ") if name == "li" and self._lists else "- "
        self._stack.append(_Container(name, marker, _number(source, "colspan") if "colspan" in source else 1))

    def _close_container(self) -> None:
        closed = self._stack.pop()
        text = closed.text()
        if not closed.name:
            self._write_block(text)
        elif closed.cells is not None:
            self._tables[-1].append([text, *closed.cells] if text.strip() else closed.cells)
        elif closed.name in ("td", "th"):
            row = self._stack[-1].cells
            cells: Row = [*[None] * (min(closed.span, MAX_NESTING) - 1), text]
            self._tables[-1].append(cells) if row is None else row.extend(cells)
        elif closed.name == "li":
            self._write_block(closed.marker + text.replace("\n", "\n" + " " * len(closed.marker)))
        else:
            self._write_block("\n".join(f"> {line}".rstrip() for line in text.split("\n")))

    def _write_rows(self, rows: list[Row]) -> None:
        """A column that is empty from top to bottom is a margin; in others an empty cell keeps its place."""
        used = {column for row in rows for column, cell in enumerate(row) if cell and cell.strip()}
        for number, row in enumerate(rows):
            line = _line([cell for column, cell in enumerate(row) if cell is not None and column in used])
            self._write_block(line.lstrip(" |") if number else line)

    def _write_block(self, text: str) -> None:
        self._stack[-1].break_line()
        if text:
            self._stack[-1].write_verbatim(text)
        self._stack[-1].break_line()

    def _start_link(self, source: str) -> None:
        href = _WEB.match(attributes(source).get("href", "").strip())
        self._link, self._link_text = href[0] if href else "", []
        if self._stack[-1].ends_with(">"):
            self._stack[-1].write(" ")

    def _end_link(self) -> None:
        shown = "".join(self._link_text).strip()
        if self._link and shown and _bare(shown) != _bare(self._link):
            self._stack[-1].attach(f" <{self._link}>")
        self._link = ""


def _line(row: list[str]) -> str:
    """A row of a table on one line where it can be; below it what a single cell of a few lines has more."""
    filled = [cell for cell in row if cell.strip()]
    several = [cell for cell in filled if "\n" in cell]
    if len(filled) < 2 or "".join(several).count("\n") > 3 or len(several) > 1 or several == filled[1:2] == filled[-1:]:
        return "\n".join(filled)
    line = " |".join(f" {first}" if (first := cell.partition("\n")[0]) else "" for cell in row)
    return "\n".join([line.strip().rstrip(" |"), *(cell.partition("\n")[2] for cell in several)])


def _instead_of_image(source: str) -> str:
    """What its sender says that it shows; smileys without brackets."""
    alt = " ".join(attributes(source).get("alt", "").split())
    if not alt or _PIXEL.search(source):
        return ""
    return f"[{alt}]" if any(map(str.isalnum, alt)) else alt


def _bare(link: str) -> str:
    if wrapped := _SAFE_LINK.match(link):
        link = unquote(wrapped[1])
    return _SCHEME.sub("", link.lower()).rstrip("/")


def _markers(name: str, source: str) -> Iterator[str]:
    if name == "ul":
        return iter(())
    is_lettered = _LETTERED.search(source)
    return (
        f"{chr(96 + number) if is_lettered and 0 < number < 27 else number}. "
        for number in count(_number(source, "start"))
    )


def _number(source: str, attribute: str) -> int:
    value = attributes(source).get(attribute, "1")
    return int(value) if value.isdecimal() and len(value) < 6 else 1


def unflowed(text: str, *, delete_space: bool) -> str:
    """Join the lines of format=flowed text to paragraphs; `delete_space` is its parameter DelSp."""
    paragraphs: list[tuple[int, list[str]]] = []
    goes_on = False
    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")
        is_signature = content == "-- "
        if not (goes_on and paragraphs[-1][0] == depth and not is_signature):
            paragraphs.append((depth, []))
        goes_on = content.endswith(" ") and not is_signature
        paragraphs[-1][1].append(content[:-1] if goes_on and delete_space else content)
    return "\n".join((">" * depth + " " * bool(depth and any(lines)) + "".join(lines)) for depth, lines in paragraphs)
