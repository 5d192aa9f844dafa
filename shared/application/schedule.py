"""Finding the mailboxes that are due and putting one message each on the queue."""

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from shared.application.installation import installation
from shared.application.ports.platform import PollRequest
from shared.application.services import Services
from shared.domain.health import MailboxHealth
from shared.telemetry import Event, emit

MADE_UP_AFTER = timedelta(minutes=15)
"""A mailbox is not queued again while its request waits, so that the queue never holds more than one for each and none
is passed over, however slow the polls are. A request that got lost is made up for after this long.
"""

_TICK = timedelta(minutes=1)
_OVERDUE_A_SECOND = 20
_NEVER = datetime.min.replace(tzinfo=UTC)


def schedule_polls(services: Services) -> None:
    """Queue what is due until the next tick, each for its own second, and postpone it then: a crash in between polls a
    mailbox twice, which the lease makes cheap.

    The event is the heartbeat that an alert listens for, so it comes also when nothing is due.
    """
    now = services.clock()
    enabled = [each.value.id for each in services.mailboxes.all() if each.value.enabled]
    if not installation(services).email_to_ticket:
        enabled = []
    health = {each.mailbox_id: each for each in services.schedule.all()}
    correlation_id = uuid.uuid4().hex
    due = dict(_due(enabled, health, now))
    for mailbox_id, delay in due.items():
        failures = health[mailbox_id].consecutive_failures if mailbox_id in health else 0
        services.polls.put(PollRequest(mailbox_id, "schedule", correlation_id, failures), delay)
    services.schedule.postpone(dict.fromkeys(due, now + MADE_UP_AFTER))
    emit(Event.POLLS_SCHEDULED, correlation=correlation_id, due=len(due), enabled=len(enabled))


def _due(enabled: list[str], health: Mapping[str, MailboxHealth], now: datetime) -> Iterator[tuple[str, timedelta]]:
    """Each with how long it has to wait. What is overdue begins at once, the least recently polled first, and no more
    of it in a second than can be served: after an outage that is everything.
    """
    rows = [health.get(each) or MailboxHealth(each) for each in enabled]
    overdue = [each for each in rows if each.next_due_at is None or each.next_due_at <= now]
    for place, each in enumerate(sorted(overdue, key=lambda row: row.last_polled_at or _NEVER)):
        yield each.mailbox_id, timedelta(seconds=place // _OVERDUE_A_SECOND)
    for each in rows:
        if each.next_due_at and now < each.next_due_at < now + _TICK:
            yield each.mailbox_id, each.next_due_at - now
