"""The decision about one message: a pure function of the message and the ticket it speaks of."""

from dataclasses import dataclass

from shared.domain.message import InboundMessage
from shared.domain.ticket import Ticket


@dataclass(frozen=True, slots=True)
class OpenTicket:
    """Make a new ticket (req K1); `linked_to` is the number of a ticket it speaks of but may not enter (req R3)."""

    linked_to: int | None = None


@dataclass(frozen=True, slots=True)
class CommentOn:
    """Add the message to this ticket."""

    number: int


Decision = OpenTicket | CommentOn


@dataclass(frozen=True, slots=True)
class Match:
    """The ticket a message speaks of. A tag can be guessed or copied; a Message-ID was seen by those who have it."""

    ticket: Ticket
    by_tag: bool


def decide(message: InboundMessage, match: Match | None) -> Decision:
    if match is None:
        return OpenTicket()
    if match.by_tag and not match.ticket.has_participant(message.sender):
        return OpenTicket(linked_to=match.ticket.number)
    return CommentOn(match.ticket.number)
