"""Which parts of a message are its text, and which are attachments."""

from dataclasses import dataclass, field

from shared.mime.structure import Part

_ONLY_IN_SOME_CLIENTS = frozenset({"text/watch-html", "text/x-amp-html"})


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the body, as plain text, as HTML, or as alternatives of both."""

    plain: tuple[Part, ...] = ()
    html: tuple[Part, ...] = ()

    @property
    def richest(self) -> tuple[Part, ...]:
        return self.html or self.plain


@dataclass(frozen=True, slots=True)
class Contents:
    """The leaves of a message, sorted, in the order of the message."""

    segments: list[Segment] = field(default_factory=list)
    attachments: list[Part] = field(default_factory=list)


def sort(part: Part, *, is_whole: bool = True) -> Contents:
    if part.type.value == "multipart/alternative" and part.parts:
        return _sort_alternatives(part)
    if part.parts:
        children = [sort(child, is_whole=False) for child in part.parts]
        return Contents(
            [segment for child in children for segment in child.segments],
            [attachment for child in children for attachment in child.attachments],
        )
    if not _is_text(part, is_whole=is_whole):
        return Contents(attachments=[part])
    return Contents([Segment(html=(part,)) if is_html(part) else Segment(plain=(part,))])


def _sort_alternatives(whole: Part) -> Contents:
    """The plain text is in the first alternative that has any, the HTML in the last (RFC 2046 section 5.1.4)."""
    alternatives = [sort(part, is_whole=False) for part in whole.parts]
    plain = [tuple(part for segment in each.segments for part in segment.plain) for each in alternatives]
    rich = [
        tuple(part for segment in each.segments for part in segment.richest)
        for each in alternatives
        if any(segment.html for segment in each.segments)
    ]
    segment = Segment(next(filter(None, plain), ()), rich[-1] if rich else ())
    return Contents(
        [segment] if segment.richest else [],
        [part for each in alternatives for part in each.attachments if part.type.value not in _ONLY_IN_SOME_CLIENTS],
    )


def is_html(part: Part) -> bool:
    return part.type.value == "text/html"


def _is_text(part: Part, *, is_whole: bool) -> bool:
    """A text part with a name is an attachment, unless it is all there is."""
    if part.type.value not in ("text/plain", "text/html"):
        return False
    disposition = part.disposition
    if disposition.value == "attachment":
        return False
    return is_whole or not (disposition.text("filename") or part.type.text("name"))
