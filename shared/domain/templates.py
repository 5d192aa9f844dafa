"""Templates: the texts of all messages that Mailroom sends by itself or around a technician's words (req M5).

A template is written for one kind of message in one language, for one mailbox or for all. The values that it may show
are the fields of `TemplateValues`, by the names they have here: `{{ ticket.tag }}`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from shared.domain.fields import Document, DocumentId, Settings, told


class TemplateKind(StrEnum):
    ACKNOWLEDGEMENT = "acknowledgement"
    NOTIFICATION = "notification"
    REPLY = "reply"
    NOTE_NOTIFICATION = "note_notification"
    CLOSED = "closed"
    REOPENED = "reopened"
    REFUSED = "refused"
    ANNOUNCEMENT = "announcement"
    ALERT = "alert"
    CONFIRMATION = "confirmation"


Language = Annotated[str, StringConstraints(pattern="^[a-z]{2,3}$"), told("a language such as `en`, in lower case")]


class TemplateSettings(Settings):
    """A text of the user's own, in the place of the built-in one."""

    kind: TemplateKind
    language: Language
    mailbox_id: DocumentId | None = Field(
        default=None, description="unset is for all mailboxes that have none of their own"
    )
    subject: str = Field(min_length=1, max_length=500)
    text: str = Field(min_length=1, max_length=20_000)
    html: str | None = Field(default=None, min_length=1, max_length=50_000, description="unset is made from the text")


class Template(TemplateSettings, Document):
    """A template as it is stored."""


@dataclass(frozen=True, slots=True)
class PersonValues:
    name: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class TicketValues:
    """`fields` are the custom fields; one that a ticket does not have is empty."""

    tag: str
    subject: str
    url: str = ""
    status: str = ""
    type: str = ""
    priority: str = ""
    category: str = ""
    service: str = ""
    company: str = ""
    group: str = ""
    assignee: str = ""
    tags: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommentValues:
    """`html` is sanitised, and stands in HTML as it is."""

    text: str
    html: str
    author: str = ""
    attachments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextValues:
    """What an announcement or an alert says, and where more is told or it can be unsubscribed from."""

    subject: str
    text: str
    html: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class TemplateValues:
    """None where the kind of message has no such thing (see `PARTS`)."""

    mailbox: PersonValues
    recipient: PersonValues
    requester: PersonValues | None = None
    ticket: TicketValues | None = None
    comment: CommentValues | None = None
    message: TextValues | None = None


PART_TYPES = {
    "mailbox": PersonValues,
    "recipient": PersonValues,
    "requester": PersonValues,
    "ticket": TicketValues,
    "comment": CommentValues,
    "message": TextValues,
}
_TICKET = ("mailbox", "recipient", "requester", "ticket")
PARTS: dict[TemplateKind, tuple[str, ...]] = {
    **dict.fromkeys((TemplateKind.ACKNOWLEDGEMENT, TemplateKind.CLOSED, TemplateKind.REOPENED), _TICKET),
    **dict.fromkeys(
        (TemplateKind.NOTIFICATION, TemplateKind.REPLY, TemplateKind.NOTE_NOTIFICATION), (*_TICKET, "comment")
    ),
    **dict.fromkeys(
        (TemplateKind.REFUSED, TemplateKind.ANNOUNCEMENT, TemplateKind.ALERT), ("mailbox", "recipient", "message")
    ),
    TemplateKind.CONFIRMATION: ("mailbox", "recipient"),
}
"""What each kind of message can speak of."""


def written_in(templates: Iterable[Template], mailbox_id: str, kind: TemplateKind | None = None) -> set[str]:
    """The languages that people have written texts for a mailbox in, of one kind or of any."""
    of_mailbox = (each for each in templates if each.mailbox_id in (None, mailbox_id))
    return {each.language for each in of_mailbox if kind in (None, each.kind)}


def own_template(
    templates: Iterable[Template], mailbox_id: str | None, kind: TemplateKind, language: str
) -> Template | None:
    """The template of the mailbox, else the one for all mailboxes; None means the built-in text."""
    fitting = [each for each in templates if (each.kind, each.language) == (kind, language)]
    places = (mailbox_id, None)
    return next((each for place in places for each in fitting if each.mailbox_id == place), None)


@dataclass(frozen=True, slots=True)
class Rendered:
    """`failed` says why the user's own template was not used, where it should have been; else it is empty."""

    subject: str
    text: str
    html: str
    failed: str = ""
