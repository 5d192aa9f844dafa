"""Who wrote the message that somebody passes on (req P6)."""

import re
from collections.abc import Iterable, Iterator
from html import escape

from shared.domain.message import Address
from shared.mime.addresses import addresses
from shared.mime.body import Mail, read
from shared.mime.headers import read_fields
from shared.mime.headers import text as field_text
from shared.mime.html import Token, attributes, well_nested
from shared.mime.introductions import Text, is_forward
from shared.mime.text import of_tokens
from shared.mime.wordings import pattern

_MAX_SENDER = 1_000
_QUOTE_MARKS = re.compile(r"\A(?:\s{0,3}>)+ ?")
_MAILTO = re.compile(r"\s*mailto:([^?\s]{1,320})", re.IGNORECASE)
_SQUARE = re.compile(r"\[(?:mailto:)?([^\s\[\]@]{1,64}@[^\s\[\]]{1,255})\]")


def original_sender(content: bytes) -> Address | None:
    """The author of the message that this one forwards in its text, or as its only attached message."""
    mail = read(content)
    if mail.root.type.value == "multipart/report":
        return None
    is_named = is_forward(field_text(mail.root.fields.first("subject"), mail.sibling))
    texts = [mail.rendered(_shown)] if mail.has_html else []
    for text in [*texts, mail.text()]:
        if sender := _sender_in(text, is_named=is_named):
            return sender
    return _sender_of_attached(mail)


def _sender_in(text: str, *, is_named: bool) -> Address | None:
    """`is_named` is whether the subject says that it is a forward; without it, only the text can say so."""
    lines = Text("\n".join(_QUOTE_MARKS.sub("", line, count=1) for line in text.split("\n")))
    for index, line in enumerate(lines.plain):
        if line and (introduction := lines.introduction(index)):
            return _address(introduction.sender) if introduction.is_forward or is_named else None
    return None


def _address(sender: str) -> Address | None:
    """The address of an author as a header in a text has it; behind `on behalf of`, where it says so."""
    *_, author = pattern("on_behalf_of").split(_SQUARE.sub(r"<\1>", sender[:_MAX_SENDER]))
    found = addresses([author.encode("utf-8", "replace").decode("latin-1")])
    return next((address for address in found if "@" in address.address), None)


def _sender_of_attached(mail: Mail) -> Address | None:
    attached = [part for part in mail.contents.attachments if part.type.value == "message/rfc822"]
    if len(attached) != 1:
        return None
    data, _ = attached[0].body(mail.content)
    fields, _ = read_fields(data, 0, len(data), [])
    found = addresses(fields.every("from"), mail.sibling)
    return next((address for address in found if "@" in address.address), None)


def _shown(source: str) -> str:
    return of_tokens(_with_addresses(well_nested(source)))


def _with_addresses(tokens: Iterable[Token]) -> Iterator[Token]:
    """The address of a `mailto:` link is shown behind it, where its text shows only a name."""
    address, shown = "", ""
    for token in tokens:
        yield token
        if token.kind == "text":
            shown += token.value if address else ""
        elif token.value == "a":
            if address and "@" not in shown:
                yield Token("text", escape(f" <{address}>"))
            link = _MAILTO.match(attributes(token.attributes).get("href", "")) if token.kind == "start" else None
            address, shown = link[1] if link else "", ""
