"""Whether one more automatic message may be sent, so that two machines never talk to each other for ever (req M6)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import Field

from shared.domain.fields import Model

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class AutomaticLimits(Model):
    """How many automatic messages may go to one address, and be sent for one ticket, within any hour and any day."""

    per_address_per_hour: int = Field(default=5, ge=1, le=1_000)
    per_address_per_day: int = Field(default=10, ge=1, le=10_000)
    per_ticket_per_hour: int = Field(default=5, ge=1, le=1_000)
    per_ticket_per_day: int = Field(default=10, ge=1, le=10_000)


def reasons_not_to_send(
    limits: AutomaticLimits,
    now: datetime,
    *,
    to_address: Sequence[datetime],
    on_ticket: Sequence[datetime],
) -> tuple[str, ...]:
    """Empty where one more automatic message may be sent.

    `to_address` and `on_ticket` are when the earlier ones were sent.
    """
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
