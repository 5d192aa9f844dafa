"""What is owed, for people to look at, to have tried again, or to give up for good."""

from dataclasses import replace

from shared.application.ports.platform import DeliveryRequest
from shared.application.ports.stores import Versioned
from shared.application.ports.tickets import ChangedEntry, Commit, OutboxChanged
from shared.application.services import Services
from shared.domain.errors import NotFound, PreconditionFailed
from shared.domain.outbox import OutboxEntry

MOST = 1_000


def owed(services: Services, mailbox_id: str) -> list[OutboxEntry]:
    """What has not been delivered, at most so many; those first that are not tried again by themselves."""
    found = (each.value for each in services.tickets.owed(mailbox_id, None, MOST))
    return sorted(found, key=lambda each: (each.state != "failed", each.due_at, each.id))


def retry(services: Services, mailbox_id: str, entry_id: str) -> None:
    """Have it tried again now, for as long as the first time, by whoever asked for it knowing what became of it. What a
    worker left behind half sent is looked for first, as always.

    :raises NotFound:
    :raises PreconditionFailed: it is being sent.
    """
    found, now = _found(services, mailbox_id, entry_id), services.clock()
    payload = {**found.value.payload, "retried_at": now.isoformat()}
    state = "waiting" if found.value.state == "failed" else found.value.state
    again = replace(found.value, state=state, due_at=now, attempts=0, payload=payload)
    _change(services, mailbox_id, ChangedEntry(found, again))
    services.deliveries.put(DeliveryRequest(mailbox_id, entry_id))


def drop(services: Services, mailbox_id: str, entry_id: str) -> None:
    """:raises NotFound:
    :raises PreconditionFailed: it is being sent.
    """
    _change(services, mailbox_id, ChangedEntry(_found(services, mailbox_id, entry_id), None))


def _found(services: Services, mailbox_id: str, entry_id: str) -> Versioned[OutboxEntry]:
    found = services.tickets.entry(mailbox_id, entry_id)
    if found is None:
        raise NotFound("nothing of that id is owed")
    if found.value.state == "sending" and found.value.due_at > services.clock():
        raise PreconditionFailed("it is being sent")
    return found


def _change(services: Services, mailbox_id: str, change: ChangedEntry) -> None:
    try:
        services.tickets.commit(mailbox_id, Commit(changed_outbox=[change]))
    except OutboxChanged as error:
        raise PreconditionFailed("it is being sent") from error
