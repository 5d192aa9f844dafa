"""What the parts of a message hold: its text, its HTML and its attachments."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from html import escape, unescape
from urllib.parse import unquote

from shared.domain.message import Attachment
from shared.mime import text
from shared.mime.charsets import codec, decode
from shared.mime.contents import Contents, Segment, is_html, sort
from shared.mime.defects import Defect
from shared.mime.filenames import name_by_type, safe_name
from shared.mime.headers import characters, one_line, read_fields
from shared.mime.headers import text as field_text
from shared.mime.html import MAX_TAGS
from shared.mime.structure import Part, split

MAX_TEXT = 500_000
"""Characters of the readable body."""
MAX_SOURCE = 1_000_000
"""Bytes of all its parts, as they are encoded, that are looked at."""
MAX_CONTENT_ID = 998

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([\w-]{1,40})", re.IGNORECASE)
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

    @property
    def has_html(self) -> bool:
        return any(segment.html for segment in self.contents.segments)

    def text(self) -> str:
        pieces = (self._segment_text(segment).strip("\n") for segment in self.contents.segments)
        joined = _CONTROLS.sub("", "\n\n".join(piece for piece in pieces if piece.strip()))
        if len(joined) > MAX_TEXT:
            self.defects.append(Defect.TEXT_CUT)
        return joined[:MAX_TEXT]

    def html(self) -> str:
        """The HTML of the whole body as it was sent; plain segments among it stay as they are written."""
        return "\n".join(
            self._source(part)
            if part.type.value == "text/html"
            else f'<div style="white-space: pre-wrap">{escape(self._plain(part))}</div>'
            for segment in self.contents.segments
            for part in segment.richest
        )

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
        if name := safe_name(declared):
            return name
        if part.type.value == "message/rfc822":
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
        if plain.strip() or not segment.html:
            return plain
        return "\n\n".join(map(self._rendered, segment.html))

    def _rendered(self, part: Part) -> str:
        if not is_html(part):
            return self._plain(part)
        source = self._source(part)
        self._note(Defect.TEXT_CUT if source.count("<") > MAX_TAGS else None)
        return text.of_html(source)

    def _plain(self, part: Part) -> str:
        source = self._source(part)
        if part.type.token("format").lower() == "flowed":
            return text.unflowed(source, delete_space=part.type.token("delsp").lower() == "yes")
        return source

    def _source(self, part: Part) -> str:
        """A text part, decoded once."""
        if part.start not in self._sources:
            raw, defect = part.body(self.content, limit=self._room)
            size = part.end - part.start
            self._note(defect, Defect.TEXT_CUT if size > self._room else None)
            self._room = max(self._room - size, 0)
            charset = part.type.token("charset")
            if is_html(part) and not codec(charset) and (meta := _META_CHARSET.search(raw, 0, 4_096)):
                charset = meta[1].decode("ascii")
            decoded, defect = decode(raw, charset, self.sibling)
            self._note(defect)
            self._sources[part.start] = decoded.replace("\r\n", "\n").replace("\r", "\n")
        return self._sources[part.start]

    def _note(self, *defects: Defect | None) -> None:
        self.defects += [defect for defect in defects if defect]


def read(content: bytes) -> Mail:
    defects: list[Defect] = []
    root = split(content, defects)
    return Mail(content, root, defects, _sibling(root), sort(root))


def _sibling(root: Part) -> str:
    """A charset that the message declares somewhere, for text that declares none."""
    declared = [leaf.type.token("charset") for leaf in root.leaves() if leaf.type.value.startswith("text/")]
    declared += _WORD_CHARSET.findall(root.fields.first("subject") + root.fields.first("from"))[:1]
    return next((charset for charset in declared if codec(charset) not in (None, "ascii", "utf_8")), "")
