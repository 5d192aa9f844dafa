"""Readable plain text: of HTML (req X3), and of flowed paragraphs (RFC 3676)."""

import re
from collections.abc import Iterable
from html import unescape

from shared.mime.html import INLINE, Token, attributes, well_nested

MAX_NESTING = 12
"""How many quotes, list items and cells inside each other are shown as such."""

_SPACES = re.compile(r"[ \t\r\n\f]+")
_UNMARKED = INLINE - {"a", "br", "img"}
_CONTAINERS = frozenset({"blockquote", "li", "td", "th", "tr"})
_BLANK_LINE_AROUND = frozenset({"dl", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "pre"})
_NO_MARGIN = re.compile(r"MsoNormal|MsoPlainText|margin(?:-top|-bottom)?\s*:\s*0", re.IGNORECASE)
_WEB = re.compile(r"https?://[^\s<>]+|mailto:[^\s<>?]+", re.IGNORECASE)
_SCHEME = re.compile(r"https?://(?:www\.)?|mailto:", re.IGNORECASE)
_FILLER = re.compile("(?:[\u00ad\u034f\u061c\u180e\u200b-\u200f\u2007\u2060\ufeff][ \xa0]*){4,}|[\u00ad\u200b\ufeff]+")
"""What newsletters put behind their preview, and characters that only say where a line may be broken."""
_DRAWN_MARK = re.compile(
    "^(?:([\u00b7\u2022\u25aa\u00a7\uf0b7\uf0a7o])|(\\w{1,3}[.)]))(?: ?\xa0){2,}[ \xa0]*", re.MULTILINE
)
"""Of a list item in Word's HTML, where it is text."""
_RULE = "_" * 32
"""What Outlook makes of a ruler."""


def of_html(source: str) -> str:
    return of_tokens(well_nested(source))


def of_tokens(tokens: Iterable[Token]) -> str:
    renderer = _Renderer()
    for token in tokens:
        match token.kind:
            case "text":
                renderer.write(unescape(token.value))
            case "start":
                renderer.start(token)
            case "end":
                renderer.end(token.value)
    return renderer.text()


class _Container:
    """An element whose text is changed as a whole when it ends; `cells` are those of a table row."""

    def __init__(self, name: str = "", marker: str = "") -> None:
        self.marker = marker
        self.cells: list[str] | None = [] if name == "tr" else None
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

    def text(self) -> str:
        text = "".join(self._pieces)
        if not text.isascii():
            text = _DRAWN_MARK.sub(lambda mark: "- " if mark[1] else f"{mark[2]} ", _FILLER.sub("", text))
            text = text.replace("\xa0", " ")
        return "\n".join([line.rstrip() for line in text.split("\n")]).strip("\n") if "\n" in text else text.rstrip()


class _Renderer:
    def __init__(self) -> None:
        self._stack = [_Container()]
        self._too_deep = 0
        self._lists: list[int | None] = []
        self._pre = 0
        self._paragraph_gap = 2
        self._link = ""
        self._link_text: list[str] = []

    def text(self) -> str:
        return self._stack[0].text()

    def write(self, text: str) -> None:
        if self._link:
            self._link_text.append(text)
        if not self._pre:
            self._stack[-1].write(text)
        elif text:
            self._stack[-1].write_verbatim(text.replace("\r", ""))

    def start(self, token: Token) -> None:
        name, top = token.value, self._stack[-1]
        if name in _UNMARKED:
            return
        if name in _CONTAINERS:
            self._open_container(name)
        elif name == "br":
            top.add_break()
        elif name == "hr":
            self._write_block(_RULE)
        elif name == "img":
            self.write(f"[{alt}]" if (alt := attributes(token.attributes).get("alt", "").strip()) else "")
        elif name == "a":
            href = _WEB.match(attributes(token.attributes).get("href", "").strip())
            self._link, self._link_text = href[0] if href else "", []
        else:
            if name == "p":
                self._paragraph_gap = 1 if _NO_MARGIN.search(token.attributes) else 2
            top.break_line(self._gap(name))
            self._pre += name == "pre"
            if name in ("ol", "ul"):
                self._lists.append(_first_number(token) if name == "ol" else None)

    def end(self, name: str) -> None:
        if name in _UNMARKED:
            return
        if name in _CONTAINERS:
            self._close_container(name)
        elif name == "a":
            self._end_link()
        else:
            self._pre -= name == "pre"
            if name in ("ol", "ul"):
                self._lists.pop()
            self._stack[-1].break_line(self._gap(name))

    def _gap(self, name: str) -> int:
        """2 where a blank line separates an element from its neighbours."""
        return self._paragraph_gap if name == "p" else 1 + (name in _BLANK_LINE_AROUND)

    def _open_container(self, name: str) -> None:
        if len(self._stack) > MAX_NESTING:
            self._too_deep += 1
            self._stack[-1].break_line()
            return
        self._stack.append(_Container(name, self._marker() if name == "li" else ""))

    def _marker(self) -> str:
        number = self._lists[-1] if self._lists else None
        if number is None:
            return "- "
        self._lists[-1] = number + 1
        return f"{number}. "

    def _close_container(self, name: str) -> None:
        if self._too_deep:
            self._too_deep -= 1
            self._stack[-1].break_line()
            return
        closed = self._stack.pop()
        text = closed.text()
        row = self._stack[-1].cells
        if name in ("td", "th") and row is not None:
            row.append(text)
            return
        if closed.cells:
            cells = [cell for cell in (text, *closed.cells) if cell.strip()]
            text = ("\n" if any("\n" in cell for cell in cells) else " | ").join(cells)
        elif name == "li":
            text = closed.marker + text.replace("\n", "\n" + " " * len(closed.marker))
        elif name == "blockquote":
            text = "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
        self._write_block(text)

    def _write_block(self, text: str) -> None:
        self._stack[-1].break_line()
        if text:
            self._stack[-1].write_verbatim(text)
        self._stack[-1].break_line()

    def _end_link(self) -> None:
        shown = "".join(self._link_text).strip()
        if self._link and shown and _SCHEME.sub("", shown).rstrip("/") != _SCHEME.sub("", self._link).rstrip("/"):
            self._stack[-1].write(f" <{self._link}>")
        self._link = ""


def _first_number(token: Token) -> int:
    start = attributes(token.attributes).get("start", "1")
    return int(start) if start.isdecimal() and len(start) < 6 else 1


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
