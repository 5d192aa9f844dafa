"""What conditions, patterns and templates can see of a message: always as it came, before anything was stripped."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field, StringConstraints

from shared.domain.contact import Contact
from shared.domain.fields import told
from shared.domain.message import Address, InboundMessage
from shared.domain.patterns import MAX_READ, Effort, Match, search

HEADER = "header:"


@dataclass(frozen=True, slots=True)
class Facts:
    """`size` is that of the whole message in bytes; `contact` is who the sender is known as, None for a guest and for a
    forged address. `effort` is spent by looking. `requester` is who asks.
    """

    message: InboundMessage
    size: int = 0
    contact: Contact | None = None
    effort: Effort = field(default_factory=Effort)
    requester: Contact | None = None


def _addresses(addresses: Iterable[Address | None]) -> tuple[str, ...]:
    return tuple(text for each in addresses if each for text in (each.address, each.name) if text)


_TEXTS: Mapping[str, Callable[[Facts], Iterable[str]]] = {
    "subject": lambda facts: [facts.message.subject],
    "body": lambda facts: [facts.message.text[: MAX_READ + 1]],
    "from": lambda facts: _addresses([facts.message.sender]),
    "to": lambda facts: _addresses(facts.message.to),
    "cc": lambda facts: _addresses(facts.message.cc),
    "address": lambda facts: _addresses(
        [facts.message.sender, *facts.message.reply_to, *facts.message.to, *facts.message.cc]
    ),
    "attachment_name": lambda facts: [each.name for each in facts.message.attachments],
    "attachment_type": lambda facts: [each.content_type for each in facts.message.attachments],
    "kind": lambda facts: [facts.message.kind],
    "sender_role": lambda facts: [facts.contact.role if facts.contact else "guest"],
    "sender_group": lambda facts: facts.contact.groups if facts.contact else [],
    "sender_company": lambda facts: [facts.contact.company] if facts.contact else [],
}
NUMBERS: Mapping[str, Callable[[Facts], int]] = {
    "size": lambda facts: facts.size,
    "attachment_count": lambda facts: len(facts.message.attachments),
}

HEADER_NAME = r"[0-9A-Za-z_.-]{1,100}"
"""RFC 5322 section 2.2 allows more, which nobody uses."""
TextField = Annotated[
    str,
    StringConstraints(pattern=rf"^({'|'.join(_TEXTS)}|{HEADER}{HEADER_NAME})$"),
    told(f"one of {', '.join(_TEXTS)}, or {HEADER} and the name of a header"),
    Field(description=f"one of {', '.join(_TEXTS)}, or `{HEADER}` and the name of any header"),
]


def texts(facts: Facts, field: str) -> tuple[str, ...]:
    """What there is of the field: several texts where a message can have several, none where it has none.

    :raises Unfit: there was too much to do before.
    """
    facts.effort.go_on()
    if field.startswith(HEADER):
        name = field.removeprefix(HEADER).lower()
        return tuple(value for key, value in facts.message.headers if key == name)
    return tuple(text for text in _TEXTS[field](facts) if text)


def found(facts: Facts, field: str, pattern: str) -> Match | None:
    """What the pattern finds in the first text of the field that has it. :raises Unfit: the pattern is none."""
    for text in texts(facts, field):
        facts.effort.go_on()
        if match := search(pattern, text):
            return match
    return None
