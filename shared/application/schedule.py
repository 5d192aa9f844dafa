"""Finding the mailboxes that are due and putting one message each on the queue."""

import uuid

from shared.application.ports import PollRequest
from shared.application.services import Services
from shared.telemetry import Event, emit


def schedule_polls(services: Services) -> None:
    """Queue first, postpone then: a crash in between polls a mailbox twice, which the lease makes cheap.

    A request that gets lost is made up for one interval later. The event is the heartbeat that an alert listens for,
    so it comes also when nothing is due.
    """
    now = services.clock()
    health = {each.mailbox_id: each for each in services.schedule.all()}
    enabled = [each.value for each in services.mailboxes.all() if each.value.enabled]
    due = [each for each in enabled if each.id not in health or health[each.id].next_due_at <= now]
    correlation_id = uuid.uuid4().hex
    for mailbox in due:
        failures = health[mailbox.id].consecutive_failures if mailbox.id in health else 0
        services.polls.put(PollRequest(mailbox.id, "schedule", correlation_id, failures))
    services.schedule.postpone({mailbox.id: now + mailbox.schedule.interval for mailbox in due})
    emit(Event.POLLS_SCHEDULED, correlation=correlation_id, due=len(due), enabled=len(enabled))
