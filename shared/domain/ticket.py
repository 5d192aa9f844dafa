"""Tickets, their comments, and the receipts that make intake exactly-once."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.message import Address, Attachment

MAX_PARTICIPANTS = 100
"""More people than this on one ticket are a mailing list; who comes later opens a ticket of their own."""


class Status(StrEnum):
    NEW = "new"
    OPEN = "open"
    CLOSED = "closed"


class CommentKind(StrEnum):
    PUBLIC = "public"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class RawPointer:
    """Which raw message something came from. `inline` tells that the bytes are in a row and not in a blob."""

    sha256: str
    size: int
    inline: bool


@dataclass(frozen=True, slots=True)
class Ticket:
    """One ticket. `number` counts from 1 without gaps within its mailbox; `tag` is what people see and quote.

    `participants` are the keys of the addresses that wrote or received one of its messages.
    """

    mailbox_id: str
    number: int
    prefix: str
    subject: str
    requester: Address
    status: Status
    created_at: datetime
    updated_at: datetime
    comment_count: int
    participants: frozenset[str] = frozenset()
    linked_to: int | None = None

    @property
    def tag(self) -> str:
        return f"{self.prefix}-{self.number}"

    def has_participant(self, address: Address | None) -> bool:
        """Whether that person wrote or received a message of this ticket."""
        return address is not None and address.key in self.participants


@dataclass(frozen=True, slots=True)
class Comment:
    """One entry of a ticket's log; `seq` counts from 1.

    `is_cut` tells that `text` holds only the beginning: the whole text is in the raw message.
    `notes` are remarks of Mailroom's own, such as a size limit that was applied.
    """

    ticket_number: int
    seq: int
    kind: CommentKind
    author: Address
    at: datetime
    text: str
    is_cut: bool = False
    message_id: str | None = None
    raw: RawPointer | None = None
    attachments: tuple[Attachment, ...] = ()
    notes: tuple[str, ...] = ()


class Outcome(StrEnum):
    """What became of a listed message; each ends in exactly one (req O8)."""

    CREATED = "created"
    APPENDED = "appended"
    IGNORED = "ignored"
    DUPLICATE = "duplicate"
    DEFERRED = "deferred"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The processed message id: "this message was taken in, with this outcome".

    `key` is the SHA-256 (hex) of the message key; `fingerprint` tells two messages with one Message-ID apart.
    """

    key: str
    fingerprint: str
    outcome: Outcome
    at: datetime
    ticket_number: int | None = None
