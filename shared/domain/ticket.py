"""Tickets, their comments, and the receipts that make intake exactly-once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.domain.contact import same_address
from shared.domain.message import Address, Attachment

MAX_PARTICIPANTS = 100
"""More people than this on one ticket are a mailing list; who comes later opens a ticket of their own."""


MAX_LINKS = 100


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
class TicketFields:
    """What a ticket has beside its messages; empty where nobody has said. `custom` holds the fields of its type by
    name; `assignee` is the address of a technician; `cc` get copies of answers.
    """

    requester: Address
    subject: str = ""
    type: str = ""
    priority: str = ""
    group: str = ""
    assignee: str = ""
    category: str = ""
    service: str = ""
    company: str = ""
    custom: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    cc: tuple[Address, ...] = ()
    external_id: str = ""

    def values(self) -> dict[str, Any]:
        """These fields by their names."""
        return {each.name: getattr(self, each.name) for each in fields(TicketFields)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket(TicketFields):
    """One ticket. `number` counts from 1 without gaps within its mailbox; `tag` is what people see and quote.

    `participants` are the keys of the addresses that wrote or received one of its messages. `closed_at` is when it was
    closed last, also where it was opened again. `linked_to` are tickets of the same mailbox. A merged ticket keeps its
    log; what comes later is for the ticket `merged_into`.
    """

    mailbox_id: str
    number: int
    prefix: str
    status: Status
    created_at: datetime
    updated_at: datetime
    comment_count: int
    participants: frozenset[str] = frozenset()
    linked_to: tuple[int, ...] = ()
    language: str = ""
    closed_at: datetime | None = None
    merged_into: int | None = None

    @property
    def tag(self) -> str:
        return f"{self.prefix}-{self.number}"

    def has_participant(self, address: Address | None) -> bool:
        """Whether that person wrote or received a message of this ticket."""
        return address is not None and same_address(address.address) in map(same_address, self.participants)

    def with_status(self, status: Status, at: datetime) -> "Ticket":
        closes = status is Status.CLOSED and self.status is not Status.CLOSED
        return replace(self, status=status, closed_at=at if closes else self.closed_at)

    def participants_with(self, people: Iterable[Address]) -> frozenset[str]:
        """Those there are and these, who come first where that makes too many."""
        new = frozenset(each.key for each in people if each.address)
        others = sorted(self.participants - new)
        return new.union(others[: max(MAX_PARTICIPANTS - len(new), 0)])


@dataclass(frozen=True, slots=True)
class Comment:
    """One entry of a ticket's log; `seq` counts from 1.

    `text` is what its author wrote; `full_text` also holds what a reply quotes, and is None where that is the same.
    `is_cut` tells that they hold only the beginning: the whole is in the raw message. `notes` are remarks of Mailroom's
    own, such as a size limit that was applied; `defects` and `protection` are those of the message.
    """

    ticket_number: int
    seq: int
    kind: CommentKind
    author: Address
    at: datetime
    text: str
    full_text: str | None = None
    is_cut: bool = False
    message_id: str | None = None
    raw: RawPointer | None = None
    attachments: tuple[Attachment, ...] = ()
    notes: tuple[str, ...] = ()
    defects: tuple[str, ...] = ()
    protection: str = ""


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

    `key` is the SHA-256 (hex) of the message key; `fingerprint` tells two messages with one Message-ID apart. `reason`
    tells why it was ignored, or the mailbox whose ticket it is for. Messages that we send have a receipt without an
    outcome, so that answers to them are recognised, and they themselves where they come back; `sent_to` are the ids of
    the contacts that they went to.
    """

    key: str
    fingerprint: str
    outcome: Outcome | None
    at: datetime
    ticket_number: int | None = None
    reason: str = ""
    sent_to: tuple[str, ...] = ()
