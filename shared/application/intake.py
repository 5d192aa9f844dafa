"""Taking messages in: a batch in one transaction, exactly once, whatever goes wrong (design section 4)."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

from shared.application.plan import Arrived, Found, Plan, Taken
from shared.application.ports import (
    Clock,
    Commit,
    RawStore,
    ReceiptExists,
    TicketChanged,
    TicketStore,
    Versioned,
)
from shared.domain.errors import AppError, MessageError, StoreRejected, StoreUnavailable
from shared.domain.intake import MAX_ATTEMPTS, Deferred, MailboxState, PollRun, QuarantineEntry
from shared.domain.keys import fingerprint, id_key, message_key, reused_id_key
from shared.domain.mailbox import Mailbox
from shared.domain.message import Cursor, InboundMessage, MessageRef, RawMessage
from shared.domain.threading import referred_ids, subject_tags
from shared.domain.ticket import Outcome, Ticket

BATCH_MESSAGES = 19
"""Five rows each and the state: 96 of the 100 operations that a transaction may have."""

_LEASE = timedelta(minutes=5)
_MAX_DEFERRED = 100
_MAX_CONFLICTS = 10


def arrive(raw: RawMessage, message: InboundMessage) -> Arrived:
    return Arrived(raw, message, message_key(message, raw.content), fingerprint(message))


class Intake:
    """Takes messages into one mailbox; owns its state from `lease` to `release`.

    Everything here may raise `Fenced`: another worker owns the mailbox now, and this one must stop.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        state: Versioned[MailboxState] | MailboxState,
        *,
        owner: str,
        tickets: TicketStore,
        raws: RawStore,
        readers: ThreadPoolExecutor,
        clock: Clock,
    ) -> None:
        self._mailbox = mailbox
        self._state, self._etag = (state.value, state.etag) if isinstance(state, Versioned) else (state, None)
        self._owner = owner
        self._tickets = tickets
        self._raws = raws
        self._readers = readers
        self._clock = clock
        self._attempts = {item.ref: item.attempts for item in self._state.deferred}

    def lease(self) -> None:
        """Keep other workers from doing the same work meanwhile. What guarantees is the ETag, not the lease."""
        self._store(Commit(self._owned_state(), self._etag))

    def move_cursor(self, cursor: Cursor) -> None:
        """To be stored with the next commit."""
        self._state = replace(self._state, cursor=cursor, cursor_at=self._clock())

    def release(self, run: PollRun | None) -> None:
        """Store the cursor and the record of the run, and let others poll the mailbox."""
        state = replace(self._owned_state(), lease_owner=None, lease_until=None)
        self._store(Commit(state, self._etag, run=run))

    def settled(self, ref: MessageRef) -> None:
        """Nothing is left to do for this message."""
        self._attempts.pop(ref, None)

    def unsettled(self, ref: MessageRef) -> bool:
        """Try to settle the message again at the next poll; False when that was the last attempt."""
        attempts = self._attempts.get(ref, 0) + 1
        if attempts >= MAX_ATTEMPTS:
            self._attempts.pop(ref, None)
            return False
        self._defer(ref, attempts)
        return True

    def take_in(self, batch: Sequence[Arrived]) -> list[Taken]:
        """Commit the messages; those that were taken in before come back as duplicates."""
        fresh, taken = _without_repeats(batch)
        for _ in range(_MAX_CONFLICTS):
            if not fresh:
                return taken
            plan = self._plan(fresh)
            try:
                self._store(plan.commit(self._etag))
                return taken + plan.taken
            except ReceiptExists:
                fresh, known = self._recognised(fresh)
                taken += known
            except TicketChanged:
                continue
            except StoreRejected as error:
                return taken + self._one_by_one(fresh, error)
        raise StoreUnavailable("the batch kept running into changes by others")

    def failed(self, ref: MessageRef, error: AppError, content: bytes | None = None) -> Taken:
        """Count a failed attempt: the message is deferred, or after the last one put in quarantine."""
        attempts = self._attempts.get(ref, 0) + 1
        if attempts < MAX_ATTEMPTS:
            self._defer(ref, attempts)
            return Taken(ref, Outcome.DEFERRED, error.code)
        pointer = self._raws.keep(self._mailbox.id, content) if content is not None else None
        entry = QuarantineEntry(ref, self._clock(), attempts, error.code, str(error), pointer)
        self._attempts.pop(ref, None)
        self._store(Commit(self._owned_state(), self._etag, quarantined=[entry]))
        return Taken(ref, Outcome.QUARANTINED, error.code)

    def _defer(self, ref: MessageRef, attempts: int) -> None:
        if ref not in self._attempts and len(self._attempts) >= _MAX_DEFERRED:
            raise MessageError("too many messages fail at once", advice="Look at the errors of the deferred messages.")
        self._attempts[ref] = attempts

    def _owned_state(self) -> MailboxState:
        return replace(
            self._state,
            deferred=tuple(Deferred(ref, attempts) for ref, attempts in self._attempts.items()),
            lease_owner=self._owner,
            lease_until=self._clock() + _LEASE,
        )

    def _store(self, commit: Commit) -> None:
        self._etag = self._tickets.commit(self._mailbox.id, commit)
        self._state = commit.state

    def _plan(self, batch: Sequence[Arrived]) -> Plan:
        found = self._readers.map(self._find, [arrived.message for arrived in batch])
        plan = Plan(self._mailbox, self._owned_state(), self._clock(), self._pack)
        for arrived, ticket in zip(batch, found, strict=True):
            plan.add(arrived, ticket)
        return plan

    def _pack(self, content: bytes):
        return self._raws.pack(self._mailbox.id, content)

    def _find(self, message: InboundMessage) -> Found | None:
        """The stored ticket that the message speaks of: by the newest id that is known, then by its tag."""
        for message_id in referred_ids(message):
            key = id_key(message_id)
            receipt = self._tickets.receipts(self._mailbox.id, [key]).get(key)
            if receipt and receipt.ticket_number and (ticket := self._ticket(receipt.ticket_number)):
                return Found(ticket, by_id=message_id)
        for tag in subject_tags(message.subject):
            if tag.prefix == self._mailbox.ticket_prefix and (ticket := self._ticket(tag.number)):
                return Found(ticket, by_id=None)
        return None

    def _ticket(self, number: int) -> Versioned[Ticket] | None:
        return self._tickets.ticket(self._mailbox.id, number)

    def _recognised(self, batch: Sequence[Arrived]) -> tuple[list[Arrived], list[Taken]]:
        """Split into messages that are new after all and those with a receipt.

        A receipt of another message under the same Message-ID gives this one a key of its own (req X6).
        """
        receipts = self._tickets.receipts(self._mailbox.id, [arrived.key for arrived in batch])
        fresh, known = [], []
        for arrived in batch:
            receipt = receipts.get(arrived.key)
            if receipt is None:
                fresh.append(arrived)
            elif receipt.fingerprint == arrived.fingerprint:
                known.append(Taken(arrived.raw.ref, Outcome.DUPLICATE))
            else:
                fresh.append(_under_reused_id(arrived))
        return fresh, known

    def _one_by_one(self, batch: Sequence[Arrived], error: StoreRejected) -> list[Taken]:
        """Halve the batch until the message that the store does not take is alone, so that it holds up no other."""
        if len(batch) > 1:
            middle = len(batch) // 2
            return self.take_in(batch[:middle]) + self.take_in(batch[middle:])
        return [self.failed(batch[0].raw.ref, error, batch[0].raw.content)]


def _under_reused_id(arrived: Arrived) -> Arrived:
    return replace(arrived, key=reused_id_key(arrived.key, arrived.fingerprint))


def _without_repeats(batch: Sequence[Arrived]) -> tuple[list[Arrived], list[Taken]]:
    """A row may be written once in a transaction: copies within the batch are duplicates of the first."""
    fresh: dict[str, Arrived] = {}
    repeats = []
    for arrived in batch:
        first = fresh.get(arrived.key)
        if first and first.fingerprint == arrived.fingerprint:
            repeats.append(Taken(arrived.raw.ref, Outcome.DUPLICATE))
        else:
            one = _under_reused_id(arrived) if first else arrived
            fresh[one.key] = one
    return [*fresh.values()], repeats


def is_leased_to_other(state: MailboxState, now: datetime, owner: str) -> bool:
    return state.is_leased(now=now, to_other_than=owner)
