"""Which parts of a message are its text, and which are attachments."""

from dataclasses import dataclass, field

from shared.mime.structure import Part

_PLAIN = frozenset({"text/enriched", "text/markdown", "text/plain", "text/richtext", "text/x-markdown"})
_TNEF = frozenset({"application/ms-tnef", "application/octet-stream", "application/vnd.ms-tnef"})
_PROTECTIONS = {
    "application/pgp-encrypted": "pgp-encrypted",
    "application/pgp-signature": "pgp-signed",
    "application/pkcs7-signature": "smime-signed",
}
_PGP_MARKS = {
    "-----BEGIN PGP MESSAGE-----": "pgp-encrypted",
    "-----BEGIN PGP SIGNED MESSAGE-----": "pgp-signed",
}
_RESOURCE_FORKS = frozenset({"application/applefile", "application/mac-binhex40"})


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
    """The leaves of a message, sorted, in the order of the message. `spare` is text that counts where no other does."""

    segments: list[Segment] = field(default_factory=list)
    attachments: list[Part] = field(default_factory=list)
    spare: list[Segment] = field(default_factory=list)


def sort(part: Part, *, is_whole: bool = True) -> Contents:
    if part.type.value == "multipart/alternative" and part.parts:
        return _sort_alternatives(part)
    if part.parts and part.type.value in _TNEF:
        bodies = [leaf for leaf in part.parts if not leaf.disposition.value]
        spare = Segment(tuple(b for b in bodies if not is_html(b)), tuple(b for b in bodies if is_html(b)))
        return Contents([], [leaf for leaf in part.parts if leaf.disposition.value], [spare] * bool(bodies))
    if part.parts:
        is_double = part.type.value == "multipart/appledouble"
        files = [child for child in part.parts if not (is_double and child.type.value in _RESOURCE_FORKS)]
        is_related = part.type.value == "multipart/related"
        children = [sort(child, is_whole=is_related and child is files[0]) for child in files]
        return Contents(
            [segment for child in children for segment in child.segments],
            [attachment for child in children for attachment in child.attachments],
            [segment for child in children for segment in child.spare],
        )
    if not _is_text(part, is_whole=is_whole):
        return Contents(attachments=[part], spare=[_segment(part)] if _is_text(part, is_whole=True) else [])
    return Contents([_segment(part)])


def _sort_alternatives(whole: Part) -> Contents:
    """The plain text is in the first alternative that has any, the HTML in the last (RFC 2046 section 5.1.4)."""
    types = [part.type.value for part in whole.parts]
    alternatives = [sort(part, is_whole=types.index(types[at]) == at) for at, part in enumerate(whole.parts)]
    plain = [tuple(part for segment in each.segments for part in segment.plain) for each in alternatives]
    rich = [
        tuple(part for segment in each.segments for part in segment.richest)
        for each in alternatives
        if any(segment.html for segment in each.segments)
    ]
    segment = Segment(next(filter(None, plain), ()), rich[-1] if rich else ())
    return Contents(
        [segment] if segment.richest else [],
        [part for each in alternatives for part in each.attachments if not _is_rendering(part)],
        [spare for each in alternatives for spare in each.spare],
    )


def _segment(part: Part) -> Segment:
    return Segment(html=(part,)) if is_html(part) else Segment(plain=(part,))


def _is_rendering(part: Part) -> bool:
    """Whether it is the same text once more, for some programs only, such as text/x-amp-html."""
    main, _, subtype = part.type.value.partition("/")
    return main == "text" and subtype not in ("calendar", "html", "plain") and not part.declared_name


def protection(root: Part, text: str) -> str:
    """How a message is signed or encrypted; its parts are kept as they are. Empty where it is neither."""
    for part in root.leaves():
        type_ = part.type.value.replace("/x-", "/")
        if type_ == "application/octet-stream" and part.declared_name.lower() == "smime.p7m":
            type_ = "application/pkcs7-mime"
        if type_ == "application/pkcs7-mime":
            return "smime-signed" if part.type.token("smime-type").lower() == "signed-data" else "smime-encrypted"
        if type_ in _PROTECTIONS:
            return _PROTECTIONS[type_]
    return next((found for mark, found in _PGP_MARKS.items() if text.startswith(mark)), "")


def is_html(part: Part) -> bool:
    return part.type.value == "text/html"


def _is_text(part: Part, *, is_whole: bool) -> bool:
    """A text part with a name is an attachment, unless it is all there is, or the text by its place."""
    if not is_html(part) and part.type.value not in _PLAIN:
        return False
    return part.disposition.value != "attachment" and (is_whole or not part.declared_name)
