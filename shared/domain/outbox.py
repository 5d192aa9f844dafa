"""What is owed to the world outside, stored in the same transaction as its cause.

An event is stored first, as one row; the deliverer makes of it the e-mails and webhooks that are owed for it, in a
transaction of its own, and then sends each of them.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from shared.domain.notices import DAY


class EventType(StrEnum):
    """What can be told to people and to other systems (req M5, M7), and what the details of such an event are.

    Of tickets: `ticket`, its number; `seq` of the comment; `by`, the address of who did it; `technician` and `internal`
    where they did or it is; `quiet` where no e-mails are owed, `unanswered` where none are to its requester;
    `reached`, the addresses that have the message already; `bounced`, those that mail came back from, and why;
    `sender`, the id of the one that a technician has chosen; `before` and `after`, the status; `message_id` of what a
    new ticket was made of. Of mail that came back without a ticket: `bounced`. Of refused messages: `to`, `name`,
    `subject`, `message_id`, `language`. Of mailboxes and senders that break: `code`, `error`, `advice`, `sender_id`.
    One event of those that are told together also has `to`, the addresses that are alerted, `subject` and `text`.
    """

    TICKET_CREATED = "ticket.created"
    TICKET_COMMENTED = "ticket.commented"
    TICKET_STATUS_CHANGED = "ticket.status_changed"
    MAILBOX_FAILING = "mailbox.failing"
    MAILBOX_RECOVERED = "mailbox.recovered"
    SENDER_FAILING = "sender.failing"
    SENDER_RECOVERED = "sender.recovered"
    MESSAGE_QUARANTINED = "message.quarantined"
    MESSAGE_REFUSED = "message.refused"
    MAIL_RETURNED = "mail.returned"


ALERTS = frozenset(
    {EventType.MAILBOX_FAILING, EventType.MAILBOX_RECOVERED, EventType.SENDER_FAILING, EventType.SENDER_RECOVERED}
)

UNTOLD = frozenset({EventType.MESSAGE_REFUSED, EventType.MAIL_RETURNED})
"""What other systems are not told of."""

EntryKind = Literal["event", "email", "webhook"]


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """What is owed; `payload` is JSON that its deliverer understands.

    `id` follows from the cause, so that a cause that is stored again owes nothing twice. `sending` is set before each
    try and taken back when its outcome is known. `failed` entries are tried again only when somebody asks for it.
    """

    id: str
    kind: EntryKind
    due_at: datetime
    payload: dict[str, Any]
    attempts: int = 0
    state: Literal["waiting", "sending", "failed"] = "waiting"
    error: str = ""

    def after(self, delivery: "Delivery") -> "OutboxEntry | None":
        """The entry as it is after a try; None where nothing is owed any more."""
        match delivery:
            case Delivered():
                return None
            case Later(at, error, payload, in_doubt):
                state = self.state if in_doubt else "waiting"
                tried = replace(self, due_at=at, error=error, payload=payload or self.payload, state=state)
            case GaveUp(error):
                tried = replace(self, state="failed", error=error)
        return replace(tried, attempts=self.attempts + 1)


def event(type_: EventType, about: str, at: datetime, **details: Any) -> OutboxEntry:
    """The event as it is stored. `about` makes it different from all others of its type in its mailbox, such as the
    number of the ticket and of the comment; `details` are JSON and hold no texts of messages.
    """
    return OutboxEntry(f"{type_}-{about}", "event", at, {"type": type_.value, "at": at.isoformat(), **details})


@dataclass(frozen=True, slots=True)
class SentTo:
    """When automatic messages went to an address, and for which ticket of the mailbox each; 0 is for none. `bounced_at`
    is when mail to it came back for good, where it has no contact that could be marked.
    """

    contact_id: str
    times: tuple[tuple[datetime, int], ...] = ()
    bounced_at: datetime | None = None

    def noted(self, now: datetime, ticket_number: int) -> "SentTo":
        """With one more, and without what no limit looks at any more."""
        return replace(self, times=(*(each for each in self.times if now - each[0] < DAY), (now, ticket_number)))


@dataclass(frozen=True, slots=True)
class Delivered:
    """Nothing is owed any more."""


@dataclass(frozen=True, slots=True)
class Later:
    """Why it did not work, and when it may. A payload takes the place of the one before. Where it is `in_doubt`, it may
    have worked, which is to be found out then.
    """

    at: datetime
    error: str
    payload: dict[str, Any] | None = None
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class GaveUp:
    """Why it did not work; waiting does not help, or has not helped."""

    error: str


Delivery = Delivered | Later | GaveUp
"""What became of one try to deliver an entry."""
