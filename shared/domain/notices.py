"""What a mailbox tells people by itself: from whom, in which language, and how much of it (req M3, M5, M6)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import Field

from shared.domain.fields import DocumentId, Model
from shared.domain.templates import Language

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class AutomaticLimits(Model):
    """How many automatic messages may go to one address, and be sent for one ticket, within any hour and any day."""

    per_address_per_hour: int = Field(default=5, ge=1, le=1_000)
    per_address_per_day: int = Field(default=10, ge=1, le=10_000)
    per_ticket_per_hour: int = Field(default=5, ge=1, le=1_000)
    per_ticket_per_day: int = Field(default=10, ge=1, le=10_000)


def reasons_not_to_send(
    limits: AutomaticLimits, now: datetime, *, to_address: Sequence[datetime], on_ticket: Sequence[datetime]
) -> tuple[str, ...]:
    """Empty where one more may be sent. `to_address` and `on_ticket` are when the earlier ones were sent."""
    counted = (
        ("address", HOUR, to_address, limits.per_address_per_hour),
        ("address", DAY, to_address, limits.per_address_per_day),
        ("ticket", HOUR, on_ticket, limits.per_ticket_per_hour),
        ("ticket", DAY, on_ticket, limits.per_ticket_per_day),
    )
    reached = (
        f"limit: {most} per {what} per {'hour' if window == HOUR else 'day'}"
        for what, window, sent, most in counted
        if sum(now - at < window for at in sent) >= most
    )
    return tuple(reached)


class Notices(Model):
    """The e-mails of a mailbox. None are sent while there are no senders."""

    sender_id: DocumentId | None = Field(
        default=None,
        description="who they are from, unless an outgoing rule chooses another; unset is the primary sender",
    )
    technicians_choose_sender: bool = Field(
        default=True, description="whether a technician may choose the sender of an answer"
    )
    language: Language = Field(default="en", description="where neither a contact nor what they wrote tells another")
    acknowledge: bool = Field(default=True, description="tell requesters of their new tickets")
    notify: bool = Field(default=True, description="tell the technician or the group what has arrived for them")
    closed: bool = Field(default=True, description="tell requesters that their ticket was closed")
    reopened: bool = Field(default=True, description="tell requesters that it was opened again")
    refused: bool = Field(default=False, description="tell people that their message was refused, and not read")
    limits: AutomaticLimits = AutomaticLimits()
