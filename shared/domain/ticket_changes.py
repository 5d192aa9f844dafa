"""What people ask to be done to a ticket, as they write it."""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from shared.domain.contact import Line
from shared.domain.draft import MAX_CUSTOM, Priority, TagName
from shared.domain.fields import DocumentId, EmailAddress, Model, told
from shared.domain.ticket import CommentKind, Status, Ticket

MAX_CC = 50
MAX_ATTACHED_BYTES = 20_000_000
"""Of all attachments together, decoded: what most mail servers take once it is encoded."""


def _base64(text: str) -> str:
    try:
        b64decode(text, validate=True)
    except binascii.Error:
        raise PydanticCustomError("base64", "must be base64 (RFC 4648 section 4)") from None
    return text


FileName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f\u0085\u2028\u2029]+$", max_length=255),
    told("the name of a file, of at most 255 characters"),
]
ContentType = Annotated[
    str,
    StringConstraints(pattern=r"^[a-zA-Z]{2,20}/[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,80}$"),
    told("a media type such as application/pdf"),
]
ContentId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_.%+-]{1,100}(@[A-Za-z0-9_.-]{1,100})?$"),
    told("letters, digits and _.%+-, as in image1@example.com"),
]
Subject = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f\u0085\u2028\u2029]+$", max_length=500),
    told("one line of 1 to 500 characters"),
]
Text = Annotated[
    str,
    StringConstraints(pattern=r"[^\s\x00-\x1f\x7f]", max_length=200_000),
    told("a text of at most 200,000 characters, not all of them blank"),
]
GroupOrNone = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f,;|]*$", max_length=100),
    told("the name of a group: 100 characters at most, none of them a comma, semicolon or bar"),
]
CustomValue = Annotated[str, StringConstraints(max_length=MAX_CUSTOM)]


class Recipient(Model):
    address: EmailAddress
    name: Line = ""


class NewAttachment(Model):
    """A file. It is shown where the HTML refers to its `content_id`, as in `cid:image1`."""

    name: FileName
    content_type: ContentType = "application/octet-stream"
    content: Annotated[str, AfterValidator(_base64)] = Field(description="base64")
    content_id: ContentId | None = None


class Words(Model):
    """What somebody says, as text or as HTML."""

    text: Text | None = None
    html: str | None = Field(
        default=None, min_length=1, max_length=1_000_000, description="sanitised before it is kept"
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> "Words":
        if (self.text is None) == (self.html is None):
            raise PydanticCustomError("words", "must have either `text` or `html`")
        return self


class NewComment(Words):
    """An answer to the requester and those in copy, or a note that only technicians see."""

    kind: CommentKind
    attachments: tuple[NewAttachment, ...] = Field(default=(), max_length=50)
    cc: tuple[Recipient, ...] = Field(
        default=(), max_length=MAX_CC, description="get this answer and those to come, and may answer"
    )
    author: EmailAddress | None = Field(default=None, description="a technician's address; unset is whoever calls")
    sender: DocumentId | None = Field(default=None, description="sends this answer; unset is as configured")
    status: Status | None = Field(
        default=None, description="of the ticket from then on; unset opens a new one that is answered, and keeps others"
    )


class TicketPatch(Model):
    """What a ticket shall have (RFC 7396): what is left out stays, `null` empties."""

    subject: Subject = ""
    status: Status = Status.OPEN
    assignee: str = Field(default="", max_length=254, description="a technician's address")
    group: GroupOrNone = ""
    category: Line = ""
    priority: Literal[Priority, ""] = ""
    type: str = Field(default="", max_length=63, description="the id of a ticket type")
    service: Line = ""
    company: Line = ""
    custom: Mapping[str, CustomValue | None] = Field(
        default={}, description="the fields of its type; of these, too, what is left out stays, and `null` empties"
    )
    tags: tuple[TagName, ...] = Field(default=(), max_length=50)
    cc: tuple[Recipient, ...] = Field(default=(), max_length=MAX_CC)


class OtherTicket(Model):
    """The tag of another ticket of the same mailbox."""

    tag: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9]{1,9}-[1-9][0-9]{0,9}$"), told("a tag such as SUP-17")
    ]


_CANNOT_BE_EMPTY = ("subject", "status")


def emptied(patch: Mapping[str, Any], ticket: Ticket) -> dict[str, Any]:
    """The patch with what each `null` stands for; where nothing can be empty it stays, and is found wrong."""
    empty = {name: each.default for name, each in TicketPatch.model_fields.items() if name not in _CANNOT_BE_EMPTY}
    empty["custom"] = dict.fromkeys(ticket.custom)
    return {name: empty.get(name) if value is None else value for name, value in patch.items()}
