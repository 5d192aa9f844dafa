"""Deliver what is owed: events become e-mails and webhooks, and each of them is sent, effectively once (design 4)."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.application.announcing import STEP, step
from shared.application.deliver_emails import Emails
from shared.application.notices import Notices
from shared.application.ports.platform import DeliveryRequest
from shared.application.ports.stores import Versioned
from shared.application.ports.tickets import ChangedEntry, Commit, OutboxChanged
from shared.application.services import Services
from shared.application.webhooks import deliver_webhook, webhook_entries
from shared.domain.errors import AppError, StoreUnavailable
from shared.domain.mailbox import Mailbox
from shared.domain.outbox import EntryKind, GaveUp, Later, OutboxEntry
from shared.telemetry import Event, correlated, emit

TIME_BUDGET = timedelta(minutes=4)
"""Well under the function's timeout: a message that has begun is finished after it."""

_EVENTS = 40
_EMAILS = 50
_OPERATIONS = 100
"""What a transaction may have; one is left for what the event that does not fit has counted."""


def deliver(services: Services, request: DeliveryRequest) -> None:
    """One entry, or all events of a mailbox and the e-mails that are due. What is not there any more is done.

    :raises StoreUnavailable: the request is to be handled again.
    """
    mailbox = next((each for each in services.mailboxes.cached() if each.id == request.mailbox_id), None)
    if mailbox is None:
        return
    with correlated(mailbox=mailbox.id):
        delivery = _Delivery(services, mailbox)
        if request.entry_id is None:
            delivery.all()
        elif entry := services.tickets.entry(mailbox.id, request.entry_id):
            delivery.one(entry)


@dataclass
class _Delivery:
    services: Services
    mailbox: Mailbox
    started_at: datetime = field(init=False)
    _notices: Notices = field(init=False)

    def __post_init__(self) -> None:
        self.started_at = self.services.clock()
        self._notices = Notices(self.services, self.mailbox, self.started_at)

    def all(self) -> None:
        events = self._due("event", _EVENTS)
        while events:
            self._expand(events)
            events = self._due("event", _EVENTS) if len(events) == _EVENTS and not self._is_over_budget() else ()
        with self._emails() as emails:
            due = self._due("email", _EMAILS)
            while due and emails.send(due) and len(due) == _EMAILS:
                due = self._due("email", _EMAILS)
        if self._is_over_budget():
            self.services.deliveries.put(DeliveryRequest(self.mailbox.id))

    def one(self, entry: Versioned[OutboxEntry]) -> None:
        """Unless it is not due, or somebody is at it."""
        if entry.value.state == "failed" or entry.value.due_at > self.services.clock():
            return
        if entry.value.kind == "event":
            self._expand([entry])
            self.all()
        elif entry.value.kind == "email":
            with self._emails() as emails:
                emails.send([entry])
        else:
            self._webhook(entry)

    def _emails(self) -> "closing[Emails]":
        until = self.started_at + TIME_BUDGET
        return closing(Emails(self.services, self.mailbox, self._notices, until))

    def _due(self, kind: EntryKind, limit: int) -> Sequence[Versioned[OutboxEntry]]:
        return self.services.tickets.owed(self.mailbox.id, kind, limit, due_by=self.services.clock())

    def _is_over_budget(self) -> bool:
        return self.services.clock() - self.started_at > TIME_BUDGET

    def _expand(self, events: Sequence[Versioned[OutboxEntry]]) -> None:
        """As many events as fit into one transaction; one by one where that fails, so that none holds up the others."""
        try:
            self._notices.read_ahead(each.value for each in events)
            for batch, owed in self._batches(events):
                self._store(batch, owed)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of a batch: a defect here must not hold up the others
            self._notices = Notices(self.services, self.mailbox, self.started_at)
            if len(events) > 1:
                for each in events:
                    self._expand([each])
            elif not isinstance(error, OutboxChanged):
                self._fail(events[0], error)

    def _fail(self, event: Versioned[OutboxEntry], error: Exception) -> None:
        """For a person to look at."""
        text = str(error) if isinstance(error, AppError) else "an unexpected error; the log tells where"
        emit(Event.DELIVERY_FAILED, level=logging.ERROR, entry=event.value.id)
        self._change(event, event.value.after(GaveUp(text)))

    def _change(self, entry: Versioned[OutboxEntry], after: OutboxEntry | None) -> None:
        with suppress(OutboxChanged):
            self.services.tickets.commit(self.mailbox.id, Commit(changed_outbox=[ChangedEntry(entry, after)]))

    def _webhook(self, entry: Versioned[OutboxEntry]) -> None:
        delivery = deliver_webhook(self.services, self.mailbox.id, entry.value)
        self._change(entry, entry.value.after(delivery))
        if isinstance(delivery, Later):
            self.services.deliveries.put(
                DeliveryRequest(self.mailbox.id, entry.value.id), delivery.at - self.services.clock()
            )

    def _batches(
        self, events: Sequence[Versioned[OutboxEntry]]
    ) -> Iterator[tuple[list[Versioned[OutboxEntry]], list[OutboxEntry]]]:
        batch, owed = list[Versioned[OutboxEntry]](), list[OutboxEntry]()
        for event in events:
            self._notices.note_bounces(event.value)
            caused = self._caused(event.value)
            if batch and 1 + len(batch) + 2 * len(owed + caused) + len(self._notices.sent_to) >= _OPERATIONS:
                yield batch, owed
                batch, owed = [], []
            batch.append(event)
            owed += caused
        yield batch, owed

    def _caused(self, event: OutboxEntry) -> list[OutboxEntry]:
        if event.payload["type"] == STEP:
            return step(self.services, self.mailbox, event)
        return [*self._notices.owed(event), *webhook_entries(self.services, self.mailbox.id, event)]

    def _store(self, events: Iterable[Versioned[OutboxEntry]], owed: Sequence[OutboxEntry]) -> None:
        """:raises OutboxChanged, ReceiptExists: somebody else has expanded one of them."""
        emails = [each for each in owed if each.kind == "email"]
        commit = Commit(
            changed_outbox=[ChangedEntry(each, None) for each in events],
            outbox=owed,
            receipts=[self._notices.receipt(each) for each in emails],
            sent_to=[*self._notices.sent_to.values()],
        )
        self.services.tickets.commit(self.mailbox.id, commit)
        self._notices.sent_to.clear()
        for each in owed:
            if each.kind == "webhook":
                self.services.deliveries.put(DeliveryRequest(self.mailbox.id, each.id))
