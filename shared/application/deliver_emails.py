"""Send the e-mails that are owed, effectively once: marked before each try, removed after it, and where its outcome is
unknown, looked for before it is tried again (design section 4).
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.application.contacts import mark_bounced
from shared.application.deliver_senders import Admission, Senders
from shared.application.notices import Notices
from shared.application.notices_written import people_left, written
from shared.application.ports.platform import DeliveryRequest
from shared.application.ports.stores import Versioned
from shared.application.ports.tickets import ChangedEntry, ChangedTicket, Commit, OutboxChanged, TicketChanged
from shared.application.services import Services
from shared.domain.errors import (
    AppError,
    MailboxError,
    MessageRefused,
    OutcomeUnknown,
    SendError,
    SourceError,
    StoreUnavailable,
)
from shared.domain.mailbox import Mailbox
from shared.domain.message import Address
from shared.domain.outbox import Delivered, Delivery, EventType, GaveUp, Later, OutboxEntry, event
from shared.domain.outgoing import OutgoingMail, RefusedRecipient, SendResult
from shared.domain.schedule import doubled
from shared.domain.senders import Sender
from shared.domain.templates import TemplateKind
from shared.domain.ticket import Comment, CommentKind, Ticket
from shared.telemetry import Event, emit

_TRY = timedelta(minutes=10)
"""Functions are ended after it: what is marked for longer was left behind by a worker that died."""

_FIRST_WAIT, _LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=4)
_GIVES_UP_AFTER = timedelta(days=3)
_NOTES = 10
_DEAD = "5.1."
"""Statuses that say that there is no such address (RFC 3463 section 3.2)."""

_UNKNOWN = (
    "It is not known whether this e-mail was sent: the connection ended before the server answered, and the server "
    "cannot be asked. Have it sent again only if it has not arrived."
)
_NO_SENDER = "No sender that it may go through is enabled and works."
_MAILROOM = Address("", "Mailroom")


@dataclass
class Emails:
    """Those of one mailbox, through connections that stay open from one to the next.

    What is removed waits for the next mark, and both are one transaction: nothing lies between them. None is begun
    after `until`.
    """

    services: Services
    mailbox: Mailbox
    notices: Notices
    until: datetime
    _senders: Senders = field(init=False)
    _done: list[ChangedEntry] = field(default_factory=list)
    _goes_on: bool = False

    def __post_init__(self) -> None:
        self._senders = Senders(self.services, self.mailbox)

    def close(self) -> None:
        try:
            self._store_done()
        finally:
            self._senders.close()

    def send(self, due: Sequence[Versioned[OutboxEntry]]) -> bool:
        """False where some of them have to wait, for a sender or for the next worker."""
        handled = [
            self.services.clock() < self.until and self._handle(entry, len(due) - index)
            for index, entry in enumerate(due)
        ]
        self._store_done()
        return all(handled)

    def _handle(self, entry: Versioned[OutboxEntry], wanted: int) -> bool:
        number = entry.value.payload.get("ticket")
        ticket = self.notices.ticket(number) if number else None
        if entry.value.state == "sending":
            if known := self._known(entry):
                self._settle(entry, known, ticket)
                return True
            entry = replace(entry, value=replace(entry.value, state="waiting"))
        if number and ticket is None:
            self._settle(entry, Delivered(), None)  # erased meanwhile: there is nothing to tell
            return True
        sender = self._admitted(entry, ticket, wanted)
        if sender is None:
            return False
        try:
            mail, failed = written(self.services, self.mailbox, sender, entry.value, ticket)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of one e-mail: a defect must not hold up the others
            text = str(error) if isinstance(error, AppError) else "It could not be written; the log tells why."
            self._settle(entry, GaveUp(text), ticket)
            return True
        if claimed := self._claim(entry, sender):
            self._try(claimed, sender, mail, ticket, failed=failed)
        return True

    def _admitted(self, entry: Versioned[OutboxEntry], ticket: Ticket | None, wanted: int) -> Sender | None:
        """The sender that it goes through now; None where it waits for one, which it does not for ever."""
        for sender in self._senders.fitting(entry.value, ticket):
            match self._senders.admit(sender, wanted):
                case Admission.GRANTED:
                    return sender
                case Admission.LIMITED:
                    self._go_on_next_minute()
                    return None
        if self._is_overdue(entry.value):
            self._settle(entry, Later(self.services.clock(), _NO_SENDER), ticket)
        return None

    def _claim(self, entry: Versioned[OutboxEntry], sender: Sender) -> Versioned[OutboxEntry] | None:
        """Mark it, so that nobody else sends it, and what this worker leaves behind is known; None if others did."""
        due_at = self.services.clock() + _TRY
        marked = replace(
            entry.value, state="sending", due_at=due_at, payload={**entry.value.payload, "tried": sender.id}
        )
        change = ChangedEntry(entry, marked)
        with suppress(OutboxChanged):
            etag = self._commit(Commit(changed_outbox=[change, *self._done]))
            self._done.clear()
            return Versioned(marked, etag)
        self._store_done()
        with suppress(OutboxChanged):
            return Versioned(marked, self._commit(Commit(changed_outbox=[change])))
        return None

    def _try(
        self, entry: Versioned[OutboxEntry], sender: Sender, mail: OutgoingMail, ticket: Ticket | None, *, failed: str
    ) -> None:
        try:
            result = self._senders.connection(sender).send(mail)
        except MessageRefused as error:
            self._settle(entry, GaveUp(f"{error} {error.advice}".strip()), ticket)
        except OutcomeUnknown:
            self._settle_unknown(entry, ticket)
        except AppError as error:
            self._settle(entry, self._not_sent(entry.value, sender, error, ticket), ticket)
        except Exception:  # noqa: BLE001 - the boundary of one e-mail: it may be out or not
            emit(Event.DELIVERY_FAILED, level=logging.ERROR, entry=entry.value.id, error="unexpected")
            self._settle_unknown(entry, ticket)
        else:
            self._senders.works(sender)
            rest = people_left(entry.value.payload)[len(mail.recipients) :]
            self._settle_result(entry, result, ticket, rest=rest, failed=failed if result.accepted else "")

    def _settle_result(
        self,
        entry: Versioned[OutboxEntry],
        result: SendResult,
        ticket: Ticket | None,
        *,
        rest: Sequence[str],
        failed: str,
    ) -> None:
        """`rest` are those beyond what the server takes at once: it is their turn now."""
        refused = [each for each in result.refused if each.permanent]
        later = [each for each in result.refused if not each.permanent]
        for each in refused:
            if each.status.startswith(_DEAD):
                mark_bounced(self.services, each.address, f"refused with {each.status}")
        if result.accepted:
            emit(Event.EMAIL_SENT, notice=entry.value.payload["notice"], recipients=len(result.accepted))
        if later or rest:
            payload = {**entry.value.payload, "left": [*rest, *(each.address for each in later)]}
            at = self.services.clock() if rest else self._next_try(entry.value)
            delivery: Delivery = Later(at, _told(later), payload)
        else:
            delivery = Delivered() if result.accepted else GaveUp(_told(refused))
        self._settle(entry, delivery, ticket, note="; ".join(filter(None, (failed, _told(refused)))))

    def _settle_unknown(self, entry: Versioned[OutboxEntry], ticket: Ticket | None) -> None:
        """Where the provider has not found it yet, it stays marked until that is asked again."""
        known = self._known(entry)
        if known is None or isinstance(known, Later):
            known = Later(self.services.clock() + _TRY, "its outcome is not known yet", in_doubt=True)
        self._settle(entry, known, ticket)

    def _known(self, entry: Versioned[OutboxEntry]) -> Delivery | None:
        """What became of a try whose outcome nobody knows; None where nothing was sent."""
        sender = self._senders.get(entry.value.payload["tried"])
        try:
            connection = self._senders.connection(sender) if sender else None
            was_sent = connection.find_sent(entry.value.payload["message_id"]) if connection else None
        except (MailboxError, SourceError, SendError) as error:
            return Later(self._next_try(entry.value), str(error), in_doubt=True)
        if was_sent is None:
            return GaveUp(_UNKNOWN)
        return Delivered() if was_sent else None

    def _not_sent(self, entry: OutboxEntry, sender: Sender, error: AppError, ticket: Ticket | None) -> Later:
        """Through another sender at once, where this one is not to be used for a while."""
        is_over = isinstance(error, MailboxError | SourceError) and self._senders.failed(sender, error)
        if is_over and len([*self._senders.fitting(entry, ticket)]) > 1:
            return Later(self.services.clock(), str(error))
        return Later(self._next_try(entry), str(error))

    def _next_try(self, entry: OutboxEntry) -> datetime:
        return self.services.clock() + doubled(_FIRST_WAIT, entry.attempts, _LONGEST_WAIT)

    def _settle(
        self, entry: Versioned[OutboxEntry], delivery: Delivery, ticket: Ticket | None, *, note: str = ""
    ) -> None:
        now = self.services.clock()
        if isinstance(delivery, Later) and self._is_overdue(entry.value):
            delivery = GaveUp(f"Tried for {_GIVES_UP_AFTER.days} days. {delivery.error}")
        if isinstance(delivery, GaveUp):
            note = delivery.error
            emit(Event.DELIVERY_FAILED, level=logging.WARNING, entry=entry.value.id)
        change = ChangedEntry(entry, entry.value.after(delivery))
        if note and ticket:
            self._store_with_note(change, ticket, note)
        else:
            self._done.append(change)
        if isinstance(delivery, Later):
            self._store_done()
            emit(Event.DELIVERY_POSTPONED, entry=entry.value.id, attempts=entry.value.attempts + 1)
            wait = max(delivery.at - now, timedelta())
            self.services.deliveries.put(DeliveryRequest(self.mailbox.id, entry.value.id), wait)

    def _is_overdue(self, entry: OutboxEntry) -> bool:
        since = datetime.fromisoformat(entry.payload.get("retried_at") or entry.payload["at"])
        return self.services.clock() - since > _GIVES_UP_AFTER

    def _store_with_note(self, change: ChangedEntry, ticket: Ticket, note: str) -> None:
        """Tell those who work on the ticket, in the transaction that changes the entry."""
        told = change.before.value.payload
        names = ", ".join(address for address, _ in told["to"])
        text = f"The {told['notice'].replace('_', ' ')} to {names} could not be delivered as it should: {note}"
        for _ in range(_NOTES):
            current = self.services.tickets.ticket(self.mailbox.id, ticket.number)
            if current is None:
                break
            with suppress(TicketChanged):
                self._commit(_noted(current, change, text, self.services.clock()))
                self.services.deliveries.put(DeliveryRequest(self.mailbox.id))
                return
        self._done.append(change)

    def _store_done(self) -> None:
        """What was changed by others meanwhile stays as they made it."""
        done, self._done = self._done, []
        if not done:
            return
        try:
            self._commit(Commit(changed_outbox=done))
        except OutboxChanged:
            for each in done if len(done) > 1 else ():
                with suppress(OutboxChanged):
                    self._commit(Commit(changed_outbox=[each]))

    def _commit(self, commit: Commit) -> str:
        return self.services.tickets.commit(self.mailbox.id, commit)

    def _go_on_next_minute(self) -> None:
        """One request for all that has to wait; one for each would cause as many again."""
        if not self._goes_on:
            wait = timedelta(seconds=60 - self.services.clock().second)
            self.services.deliveries.put(DeliveryRequest(self.mailbox.id), wait)
            self._goes_on = True


def _told(refused: Sequence[RefusedRecipient]) -> str:
    return "; ".join(f"{each.address} was refused by the server with {each.status or 'no status'}" for each in refused)


def _noted(current: Versioned[Ticket], change: ChangedEntry, text: str, now: datetime) -> Commit:
    """A technician whose answer was not delivered is told of it; of notices it is enough that it can be read."""
    ticket = current.value
    seq = ticket.comment_count + 1
    is_reply = change.before.value.payload["notice"] == TemplateKind.REPLY
    told = event(
        EventType.TICKET_COMMENTED,
        f"{ticket.number}-{seq}",
        now,
        ticket=ticket.number,
        seq=seq,
        internal=True,
        quiet=not is_reply,
    )
    return Commit(
        changed_tickets=[ChangedTicket(current, replace(ticket, comment_count=seq, updated_at=now))],
        comments=[Comment(ticket.number, seq, CommentKind.INTERNAL, _MAILROOM, now, text)],
        changed_outbox=[change],
        outbox=[told],
    )
