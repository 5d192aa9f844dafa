"""What the parts of a message hold: its text, its HTML and its attachments."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape, unescape
from urllib.parse import unquote

from shared.domain.message import Attachment
from shared.mime.charsets import codec, decode
from shared.mime.contents import Contents, Segment, is_html, sort
from shared.mime.defects import Defect
from shared.mime.filenames import name_by_type, safe_name
from shared.mime.headers import characters, one_line, read_fields
from shared.mime.headers import text as field_text
from shared.mime.html import MAX_TAGS
from shared.mime.structure import Part, split, with_usual_line_ends
from shared.mime.text import of_html, unflowed

MAX_TEXT = 500_000
"""Characters of the readable body."""
MAX_SOURCE = 1_000_000
"""Bytes of all its parts that are looked at, without the images in their HTML."""
MAX_IMAGES = 16_000_000
"""Bytes of images in HTML (`data:`), as they are encoded."""
MAX_NAMED_BY_SUBJECT = 100
MAX_STUB = 400
MIN_SAME = 12
"""Letters of a text that is left out where it comes again."""
MAX_CONTENT_ID = 998

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BLANK_LINES = re.compile(r"\n(?:[ \t\xa0\u200b]*+\n){6,}+")
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([\w-]{1,40})", re.IGNORECASE)
_DATA_IMAGE = re.compile(rb"data:image/[\w.+-]{1,40}+;base64,[\w+/=%\s-]{100,}+", re.IGNORECASE)
_STUB = re.compile(r"html|browser|navigateur|navegador|multi-?part message in mime", re.IGNORECASE)
_STYLES = re.compile(r"\s*[.#@]?\w[^{}\n]{0,200}\{\s*[a-z-]{1,40}\s*:[^{}]{0,1000}\}")
_LEFT_OVER = re.compile(r"&(?:nbsp|amp|quot|[aeiou]{1,2}[a-z]{3,5}|#\d{2,5});|<br ?/?>", re.IGNORECASE)
"""Of text that a program made of HTML: styles at its beginning, characters and tags that it did not understand."""
_BREAK = re.compile(r"<br ?/?>[ \t]{0,9}(?=\n|\Z)")
"""At the ends of lines of plain text, where a program of the web put it."""
_LINKS_AND_MARKS = re.compile(r"\s*+<\S{4,}?>|\W")
_FILE_NAME = re.compile(r"[^?#]{1,1000}\.[A-Za-z0-9]{2,5}")
_ENRICHED = re.compile(r"<param>[^<]{0,1000}</param>|<(?!<)/?[a-z-]{1,60}>|<(?=<)", re.IGNORECASE)
_CID = re.compile(r"cid:([^\"'\s<>)]+)", re.IGNORECASE)
_WORD_CHARSET = re.compile(r"=\?([^?*]{1,40})")


@dataclass
class Mail:
    """A message taken apart; nothing is decoded before somebody asks for it."""

    content: bytes
    root: Part
    defects: list[Defect]
    sibling: str
    contents: Contents
    _sources: dict[int, str] = field(default_factory=dict)
    _room: int = MAX_SOURCE
    _tag_room: int = MAX_TAGS

    @property
    def has_html(self) -> bool:
        return any(segment.html for segment in self.contents.segments)

    def text(self) -> str:
        pieces = [self._segment_text(segment).strip("\n") for segment in self.contents.segments]
        joined = _CONTROLS.sub("", "\n\n".join(_once(pieces) if len(pieces) > 1 else pieces))
        joined = _BLANK_LINES.sub("\n\n\n", joined)
        if len(joined) > MAX_TEXT:
            self.defects.append(Defect.TEXT_CUT)
        return joined[:MAX_TEXT]

    def html(self) -> str:
        """The HTML of the whole body as it was sent; plain segments among it stay as they are written."""
        sources = (
            self._source(part)
            if is_html(part)
            else f'<div style="white-space: pre-wrap">{escape(self._plain(part))}</div>'
            for segment in self.contents.segments
            for part in segment.richest
        )
        return _CONTROLS.sub("", "\n".join(sources))

    def rendered(self, render: Callable[[str], str]) -> str:
        """The text of the whole body as its HTML has it, where there is some; `render` makes text of HTML."""
        parts = (part for segment in self.contents.segments for part in segment.richest)
        return _CONTROLS.sub("", "\n\n".join(self._rendered(part, render) for part in parts))[:MAX_TEXT]

    def attachments(self) -> tuple[Attachment, ...]:
        return tuple(self.attachment(index)[0] for index in range(len(self.contents.attachments)))

    def attachment(self, index: int) -> tuple[Attachment, bytes]:
        part = self.contents.attachments[index]
        data, defect = part.body(self.content)
        self._note(defect)
        content_id = one_line(characters(part.fields.first("content-id"))).strip("<> ")[:MAX_CONTENT_ID] or None
        return Attachment(
            index=index,
            name=self._name(part, data, index),
            content_type=part.type.value,
            size=len(data),
            content_id=content_id,
            inline=content_id is not None and content_id in self._shown_ids,
        ), data

    def _name(self, part: Part, data: bytes, index: int) -> str:
        declared = part.disposition.text("filename", self.sibling) or part.type.text("name", self.sibling)
        others = (unquote(field_text(part.fields.first(f"content-{field}"))) for field in ("description", "location"))
        if name := safe_name(declared or next(filter(_FILE_NAME.fullmatch, others), "")):
            return name
        if part.type.value == "message/rfc822" and index < MAX_NAMED_BY_SUBJECT:
            fields, _ = read_fields(data, 0, len(data), [])
            subject = field_text(fields.first("subject"), self.sibling)
            if name := safe_name(re.sub(r"[/\\]", "_", subject)):
                return safe_name(f"{name}.eml")
        return name_by_type(part.type.value, index + 1)

    @cached_property
    def _shown_ids(self) -> set[str]:
        sources = (self._source(part) for segment in self.contents.segments for part in segment.html if is_html(part))
        return {unquote(unescape(found)) for source in sources for found in _CID.findall(source)}

    def _segment_text(self, segment: Segment) -> str:
        plain = "\n\n".join(self._plain(part) for part in segment.plain)
        is_made = _STYLES.match(plain) or _LEFT_OVER.search(plain) or not plain.strip()
        if not segment.html or not (is_made or (len(plain) < MAX_STUB and _STUB.search(plain))):
            return plain
        rendered = "\n\n".join(map(self._rendered, segment.html))
        is_same = "".join(plain.split()[:9]) in "".join(rendered.split()) and len(rendered) < 2 * len(plain)
        return plain if is_same and not is_made else rendered or plain

    def _rendered(self, part: Part, render: Callable[[str], str] = of_html) -> str:
        if not is_html(part):
            return self._plain(part)
        source = self._source(part)
        tags = source.count("<")
        self._note(Defect.TEXT_CUT if tags > self._tag_room else None)
        rendered = render(source) if self._tag_room > 0 else ""
        self._tag_room -= tags
        return rendered

    def _plain(self, part: Part) -> str:
        source = self._source(part)
        if part.type.value in ("text/enriched", "text/richtext"):
            return _ENRICHED.sub("", source)
        if part.type.token("format").lower() == "flowed":
            return unflowed(source, delete_space=part.type.token("delsp").lower() == "yes")
        return _BREAK.sub("", source) if source.count("<br") > 1 else source

    def _source(self, part: Part) -> str:
        """A text part, decoded once."""
        if id(part) not in self._sources:
            raw, defect = part.body(self.content, limit=MAX_IMAGES if is_html(part) else 2 * self._room)
            size, images = len(raw), sum(map(len, _DATA_IMAGE.findall(raw))) if is_html(part) else 0
            raw = raw[: self._room + images]
            self._note(defect, Defect.TEXT_CUT if size > len(raw) else None)
            self._room = max(self._room + images - size, 0)
            charset = part.type.token("charset")
            if is_html(part) and not codec(charset) and (meta := _META_CHARSET.search(raw, 0, 4_096)):
                charset = meta[1].decode("ascii")
            decoded, defect = decode(raw, charset, self.sibling)
            self._note(defect)
            self._sources[id(part)] = decoded.replace("\r\n", "\n").replace("\r", "\n")
        return self._sources[id(part)]

    def _note(self, *defects: Defect | None) -> None:
        self.defects += [defect for defect in defects if defect]


def _once(pieces: list[str]) -> Iterable[str]:
    """Without the blank ones, and those that are the same again: some programs send a text, and then its HTML."""
    found: dict[str, str] = {}
    for number, piece in enumerate(filter(str.strip, pieces)):
        words = _LINKS_AND_MARKS.sub("", piece)
        found.setdefault(words if len(words) >= MIN_SAME else str(number), piece)
    return found.values()


def read(content: bytes) -> Mail:
    defects: list[Defect] = []
    content = with_usual_line_ends(content)
    root = split(content, defects)
    contents = sort(root)
    texts = (part for segment in contents.segments for part in (*segment.plain, *segment.html))
    if contents.spare and not any(content[part.start : part.end].strip() for part in texts if part.own is None):
        contents = replace(contents, segments=contents.spare)
    return Mail(content, root, defects, _sibling(root), contents)


def _sibling(root: Part) -> str:
    """A charset that the message declares somewhere, for text that declares none."""
    declared = [leaf.type.token("charset") for leaf in root.leaves() if leaf.type.value.startswith("text/")]
    declared += _WORD_CHARSET.findall(root.fields.first("subject") + root.fields.first("from"))[:1]
    return next((charset for charset in declared if codec(charset) not in (None, "ascii", "utf_8")), "")
