"""Taking messages in: a batch in one transaction, exactly once, whatever goes wrong (design section 4)."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import cached_property, partial
from typing import Any

from shared.application.arrivals import Arrived, Item, Taken, arrived, record
from shared.application.finding import Finder, Found
from shared.application.intake_events import IntakeEvents
from shared.application.plan import Plan
from shared.application.ports.connections import FetchFailure
from shared.application.ports.platform import DeliveryRequest
from shared.application.ports.stores import Versioned
from shared.application.ports.tickets import ChangedQuarantine, Commit, Fenced, ReceiptExists, TicketChanged
from shared.application.services import Services
from shared.domain.decision import Elsewhere, Facts
from shared.domain.errors import (
    AppError,
    MailboxError,
    MessageError,
    MessageGone,
    StoreError,
    StoreRejected,
    StoreUnavailable,
)
from shared.domain.intake import MAX_ATTEMPTS, Deferred, MailboxState, PollRun, QuarantineEntry, Terms, with_run
from shared.domain.mailbox import Mailbox
from shared.domain.message import Cursor, MessageRef
from shared.domain.processing import header_names
from shared.domain.recognition import reused_id_key
from shared.domain.ticket import Outcome, Receipt

_LEASE = timedelta(minutes=5)
_MAX_DEFERRED = 100
_MAX_CONFLICTS = 10
_MAX_OPERATIONS = 100
_POLLED = Terms()


class Intake:
    """Takes messages into one mailbox; owns its state from `lease` to `release`.

    Everything here may raise `Fenced`: another worker owns the mailbox now, and this one must stop.
    """

    def __init__(
        self,
        services: Services,
        mailbox: Mailbox,
        state: MailboxState,
        etag: str | None,
        *,
        owner: str | None,
        terms: Terms = _POLLED,
        retried: Mapping[MessageRef, Versioned[QuarantineEntry]] | None = None,
    ) -> None:
        """Without an owner it takes no lease: it adds to a mailbox that somebody else may be polling. With `retried`,
        what fails goes to quarantine at once, because no poll comes back to it; entries that are there stay there.
        """
        self._services = services
        self._tickets = services.tickets
        self._raws = services.raws
        self._clock = services.clock
        self._mailbox = mailbox
        self._state = state
        self._etag = etag
        self._owner = owner
        self._terms = terms
        self._retried = retried
        self._attempts = {item.ref: item.attempts for item in state.deferred}
        self._owes = False
        self.taken: list[Taken] = []
        self._readers = ThreadPoolExecutor(8, thread_name_prefix="find")

    @cached_property
    def _finder(self) -> Finder:
        """It reads people and senders, which idle polls have no use for."""
        return Finder(self._services, self._mailbox, is_passed_on=self._owner is None)

    def close(self) -> None:
        """Have what is owed now delivered; should that get lost, the sweep makes up for it."""
        self._readers.shutdown()
        if self._owes:
            with suppress(StoreError):
                self._services.deliveries.put(DeliveryRequest(self._mailbox.id))

    def lease(self) -> None:
        """Keep other workers from doing the same work meanwhile. What guarantees is the ETag, not the lease."""
        self._store(Commit(self._owned_state(), self._etag))

    def move_cursor(self, cursor: Cursor) -> None:
        """To be stored with the next commit."""
        self._state = replace(self._state, cursor=cursor, cursor_at=self._clock())

    def release(self, run: PollRun | None) -> None:
        """Store the cursor and the record of the run, and let others poll the mailbox. What was handled when it was
        tried again leaves quarantine.
        """
        state = replace(self._owned_state(), lease_owner=None, lease_until=None)
        if run:
            state = replace(state, sums=with_run(state.sums, run))
        handled, retried = (
            (each.ref for each in self.taken if each.outcome is not Outcome.QUARANTINED),
            self._retried or {},
        )
        left = [ChangedQuarantine(retried[ref], None) for ref in handled if ref in retried]
        self._store(Commit(state, self._etag, run=run, changed_quarantine=left))

    def put_back(self, ref: MessageRef) -> bool:
        """Have the next poll fetch the message, with all its attempts before it; False where too many wait for that."""
        if len(self._attempts) >= _MAX_DEFERRED:
            return False
        self._attempts[ref] = 0
        return True

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

    def take_in(self, batch: Sequence[Item]) -> list[Taken]:
        """Commit the messages; those that were taken in before come back as duplicates."""
        failed = [self._not_fetched(item) for item in batch if isinstance(item, FetchFailure)]
        taken = failed + self._commit([item for item in batch if isinstance(item, Arrived)])
        self.taken += taken
        return taken

    def _not_fetched(self, failure: FetchFailure) -> Taken:
        if isinstance(failure.error, MessageGone):
            self._attempts.pop(failure.ref, None)
            return Taken(failure.ref, Outcome.IGNORED, failure.error.code)
        return self._failed(failure.ref, failure.error, failure.content)

    def _commit(self, batch: Sequence[Arrived]) -> list[Taken]:
        firsts, repeats = _without_repeats(batch)
        taken = self._commit_firsts(firsts)
        receipts = self._tickets.receipts(self._mailbox.id, [each.key for each in repeats])
        return taken + [_duplicate(each, receipts.get(each.key)) for each in repeats]

    def _commit_firsts(self, fresh: list[Arrived]) -> list[Taken]:
        taken: list[Taken] = []
        for _ in range(_MAX_CONFLICTS):
            if not fresh:
                return taken
            try:
                plan = self._plan(fresh)
                commit = plan.commit(self._etag)
                if commit.operations > _MAX_OPERATIONS:
                    return taken + self._by_halves(fresh)
                self._store(commit)
                return taken + plan.taken
            except ReceiptExists:
                fresh, known = self._recognised(fresh)
                taken += known
            except TicketChanged:
                continue
            except (StoreRejected, MessageError) as error:
                return taken + self._one_by_one(fresh, error)
        raise StoreUnavailable("the batch kept running into changes by others")

    def _failed(self, ref: MessageRef, error: AppError, content: bytes | None = None) -> Taken:
        """Count a failed attempt: the message is deferred, or after the last one put in quarantine."""
        attempts = self._attempts.get(ref, 0) + 1
        if self._retried is None and attempts < MAX_ATTEMPTS:
            self._defer(ref, attempts)
            return Taken(ref, Outcome.DEFERRED, error.code)
        before = self._retried.get(ref) if self._retried else None
        if before:
            attempts = before.value.attempts + 1
            entry = replace(before.value, attempts=attempts, error_code=error.code, error=str(error))
            again = [ChangedQuarantine(before, entry)]
            self._store(Commit(self._owned_state(), self._etag, changed_quarantine=again))
        else:
            self._quarantine(ref, attempts, error, content)
        return Taken(ref, Outcome.QUARANTINED, error.code)

    def _quarantine(self, ref: MessageRef, attempts: int, error: AppError, content: bytes | None) -> None:
        pointer = self._raws.keep(self._mailbox.id, content) if content is not None else None
        entry = QuarantineEntry(ref, self._clock(), attempts, error.code, str(error), pointer, terms=self._terms)
        self._attempts.pop(ref, None)
        events = self._events()
        owed = [events.quarantined(entry)] if events else []
        self._services.schedule.mark_quarantined(self._mailbox.id, self._clock())
        self._store(Commit(self._owned_state(), self._etag, quarantined=[entry], outbox=owed))

    def _events(self) -> IntakeEvents | None:
        return None if self._terms.silent else IntakeEvents.of(self._services, self._mailbox)

    def _defer(self, ref: MessageRef, attempts: int) -> None:
        if ref not in self._attempts and len(self._attempts) >= _MAX_DEFERRED:
            raise MailboxError("too many messages fail at once", advice="Look at the errors of the deferred messages.")
        self._attempts[ref] = attempts

    def _owned_state(self) -> MailboxState:
        if self._owner is None:
            return self._state
        return replace(
            self._state,
            deferred=tuple(Deferred(ref, attempts) for ref, attempts in self._attempts.items()),
            lease_owner=self._owner,
            lease_until=self._clock() + _LEASE,
        )

    def _store(self, commit: Commit) -> None:
        assert commit.state, "intake is fenced by the state"
        self._etag = self._tickets.commit(self._mailbox.id, commit)
        self._state = commit.state
        self._owes = self._owes or bool(commit.outbox)

    def _plan(self, batch: Sequence[Arrived]) -> Plan:
        state, insiders = self._owned_state(), self._finder.insiders  # made here, before many ask for it at once
        looked_up = self._readers.map(self._look_up, batch)
        dates, pack = self._terms.original_dates, partial(self._raws.pack, self._mailbox.id)
        plan = Plan(self._mailbox, state, self._clock(), pack, insiders, self._events(), has_original_dates=dates)
        for item, (facts, found) in zip(batch, looked_up, strict=True):
            with of_one_message():
                decision = plan.decide(facts, found).decision
                if isinstance(decision, Elsewhere):
                    plan.add_from_elsewhere(item, decision.mailbox_id, self._pass_on(item, decision.mailbox_id))
                else:
                    plan.add(item, decision, facts)
        return plan

    def _look_up(self, item: Arrived) -> tuple[Facts, Found | None]:
        with of_one_message():
            return self._finder.look_up(item, self._clock())

    def _pass_on(self, item: Arrived, mailbox_id: str) -> Taken:
        """Take the message into another mailbox first: where the receipt here is then not stored, a repeat finds the
        one there (design section 4).
        """
        mailbox = next((each for each in self._services.mailboxes.cached() if each.id == mailbox_id), None)
        if mailbox is None:
            raise MessageError("the mailbox that its ticket is in is not there any more")
        for _ in range(_MAX_CONFLICTS):
            state, etag = self._tickets.state(mailbox.id)
            there = Intake(self._services, mailbox, state, etag, owner=None, terms=self._terms)
            with suppress(Fenced), closing(there):
                taken = there.take_in([arrived(item.raw, header_names(mailbox))])[0]
                if taken.is_stored:
                    return taken
                break
        raise MessageError("the mailbox that its ticket is in cannot take it now")

    def _recognised(self, batch: Sequence[Arrived]) -> tuple[list[Arrived], list[Taken]]:
        """Split into messages that are new after all and those with a receipt.

        A receipt of another message under the same Message-ID gives this one a key of its own (req X6).
        """
        receipts = self._tickets.receipts(self._mailbox.id, [item.key for item in batch])
        fresh, known = [], []
        for item in batch:
            receipt = receipts.get(item.key)
            if receipt is None:
                fresh.append(item)
            elif receipt.outcome is None:
                known.append(Taken(item.raw.ref, Outcome.IGNORED, "own_message"))
            elif receipt.fingerprint == item.fingerprint:
                known.append(_duplicate(item, receipt))
            else:
                fresh.append(_under_reused_id(item))
        return fresh, known

    def _one_by_one(self, batch: Sequence[Arrived], error: AppError) -> list[Taken]:
        """The message that cannot be stored ends up alone, so that it holds up no other."""
        if len(batch) > 1:
            return self._by_halves(batch)
        return [self._failed(batch[0].raw.ref, error, batch[0].raw.content)]

    def _by_halves(self, batch: Sequence[Arrived]) -> list[Taken]:
        middle = len(batch) // 2
        return self._commit(batch[:middle]) + self._commit(batch[middle:])


@contextmanager
def taking_in(services: Services, mailbox: Mailbox, reason: str, **how: Any) -> Iterator[Intake]:
    """Take messages in between polls; what was taken in is recorded in the end. :raises Fenced: it is polled."""
    owner, started_at = uuid.uuid4().hex, services.clock()
    state, etag = services.tickets.state(mailbox.id)
    if state.is_leased(now=services.clock(), to_other_than=owner):
        raise Fenced
    with closing(Intake(services, mailbox, state, etag, owner=owner, **how)) as intake:
        try:
            yield intake
            if intake.taken:
                intake.release(record(reason, started_at, services.clock(), intake.taken))
        except Fenced:
            raise
        except AppError:
            with suppress(StoreError):
                intake.release(None)
            raise


@contextmanager
def of_one_message() -> Iterator[None]:
    """A defect of ours in deciding on one message must not hold up the others."""
    try:
        yield
    except AppError:
        raise
    except Exception as error:
        raise MessageError("no decision could be made about the message") from error


def _under_reused_id(item: Arrived) -> Arrived:
    return replace(item, key=reused_id_key(item.key, item.fingerprint))


def _duplicate(item: Arrived, receipt: Receipt | None) -> Taken:
    return Taken(item.raw.ref, Outcome.DUPLICATE, ticket_number=receipt.ticket_number if receipt else None)


def _without_repeats(batch: Sequence[Arrived]) -> tuple[list[Arrived], list[Arrived]]:
    """A row may be written once in a transaction: copies within the batch are duplicates of the first."""
    fresh: dict[str, Arrived] = {}
    repeats = []
    for item in batch:
        first = fresh.get(item.key)
        one = item if first is None or first.fingerprint == item.fingerprint else _under_reused_id(item)
        if one.key in fresh:
            repeats.append(one)
        else:
            fresh[one.key] = one
    return [*fresh.values()], repeats
