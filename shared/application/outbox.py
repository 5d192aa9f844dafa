"""What is owed: for people to look at, to have tried again, or to give up for good; and what was left behind."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from shared.application.ports.platform import DeliveryRequest
from shared.application.ports.stores import Versioned
from shared.application.ports.tickets import ChangedEntry, Commit, OutboxChanged
from shared.application.services import Services
from shared.application.side_by_side import for_each
from shared.domain.errors import NotFound, PreconditionFailed
from shared.domain.outbox import EntryKind, OutboxEntry

_MOST = 1_000
_MOST_LEFT_BEHIND = 100
_GRACE = timedelta(minutes=1)
"""What became due just now has a request on its way."""


@dataclass(frozen=True, slots=True)
class Owed:
    """What has not been delivered. What has `failed` is not tried again by itself; `about` is the notice that an e-mail
    is, or the type of an event.
    """

    id: str
    mailbox_id: str
    kind: EntryKind
    state: Literal["waiting", "sending", "failed"]
    about: str
    ticket_number: int | None
    to: Sequence[str]
    at: datetime
    due_at: datetime
    attempts: int
    error: str

    @classmethod
    def of(cls, mailbox_id: str, entry: OutboxEntry) -> "Owed":
        told = entry.payload
        people = (*told.get("to", ()), *told.get("cc", ())) if entry.kind == "email" else ()
        return cls(
            id=entry.id,
            mailbox_id=mailbox_id,
            kind=entry.kind,
            state=entry.state,
            about=told.get("notice") or told.get("type", ""),
            ticket_number=told.get("ticket"),
            to=[address for address, _ in people],
            at=datetime.fromisoformat(told["at"]),
            due_at=entry.due_at,
            attempts=entry.attempts,
            error=entry.error,
        )


def owed(services: Services, mailbox_id: str) -> list[Owed]:
    """At most a thousand of a mailbox; those first that are not tried again by themselves."""
    found = (Owed.of(mailbox_id, each.value) for each in services.tickets.owed(mailbox_id, None, _MOST))
    return sorted(found, key=lambda each: (each.state != "failed", each.due_at, each.id))


def sweep(services: Services) -> None:
    """Ask again for what was left behind, because its request got lost or its worker died: one request for all events
    and e-mails of a mailbox, and one for each webhook.
    """
    if not (services.senders.cached() or services.subscriptions.cached()):
        return
    mailbox_ids = [each.id for each in services.mailboxes.cached()]
    due_by = services.clock() - _GRACE

    def due(mailbox_id: str) -> Sequence[Versioned[OutboxEntry]]:
        return services.tickets.owed(mailbox_id, None, _MOST_LEFT_BEHIND, due_by=due_by)

    for mailbox_id, entries in zip(mailbox_ids, for_each(mailbox_ids, due), strict=True):
        for entry_id in {each.value.id if each.value.kind == "webhook" else None for each in entries}:
            services.deliveries.put(DeliveryRequest(mailbox_id, entry_id))


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
