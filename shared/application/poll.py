"""One pass over one mailbox: list, fetch, take in, settle, and only then move the cursor."""

import logging
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.application import push
from shared.application.arrivals import Arrived, Item, Taken, arrivals, batches, tell
from shared.application.installation import installation
from shared.application.intake import Intake
from shared.application.ports.connections import Page, Source
from shared.application.ports.platform import PollRequest
from shared.application.ports.tickets import Fenced
from shared.application.services import Services
from shared.domain.errors import AppError, CursorExpired, SourceUnavailable, StoreError
from shared.domain.fields import secret_names
from shared.domain.health import Backlog, MailboxHealth
from shared.domain.intake import MailboxState, PollRun, RunCounts
from shared.domain.mailbox import Mailbox
from shared.domain.message import Cursor, Listed, MessageRef
from shared.domain.processing import header_names
from shared.domain.schedule import next_due
from shared.domain.settlement import Delete, Keep, MarkRead, Move, Settled, Settlement
from shared.domain.ticket import Outcome
from shared.telemetry import Event, correlated, emit

PAGE_MESSAGES = 100
TIME_BUDGET = timedelta(minutes=4)
"""Well under the function's timeout: a page that has begun is finished after it."""

PAGE_BUDGET = timedelta(minutes=7)
"""A page that takes longer is given up before the function's timeout ends everything else in the process too."""

_SMALL_STEP = 10
"""Messages a page after a poll that failed or died: it may have been too much at once."""

FAILING_AFTER = 3
"""From so many failures in a row on each is announced, so that an alert can last; what heals before is not."""

_OTHER_WORKER = timedelta(seconds=10)
"""So long after it gave way a poll that push asked for is tried again."""

_IDLE_CURSOR_AGE = timedelta(hours=1)
"""An idle poll stores a new cursor no more often than this: until then the old one lists the same nothing."""


def poll(services: Services, request: PollRequest) -> None:
    """Poll the mailbox, unless it or all polls are switched off, and put down how it went; failures are not raised."""
    mailbox = next((each for each in services.mailboxes.cached() if each.id == request.mailbox_id), None)
    if mailbox is None or not mailbox.enabled or not installation(services).email_to_ticket:
        return
    with correlated(mailbox=mailbox.id, correlation=request.correlation_id):
        _Poll(services, mailbox, request).run()


@dataclass
class _Poll:
    services: Services
    mailbox: Mailbox
    request: PollRequest
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)
    counts: RunCounts = field(default_factory=RunCounts)
    untold: deque[Taken] = field(default_factory=deque)
    last_arrival: datetime | None = None
    step: int = field(init=False)
    started_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.step = PAGE_MESSAGES
        self.started_at = self.services.clock()

    def run(self) -> None:
        try:
            with closing(self.services.open_source(self.mailbox)) as source:
                more = self._pass(source)
        except Fenced:
            emit(Event.POLL_GAVE_WAY)
            due = next_due(self.mailbox.schedule, self.mailbox.id, self.started_at)
            self.services.schedule.postpone({self.mailbox.id: due})
            if self.request.reason == "push":  # what it was asked for may have come after the other's last look
                push.ask_for_poll(self.services, self.mailbox.id, _OTHER_WORKER)
        except AppError as error:
            self._note_failure(error)
        except Exception:  # noqa: BLE001 - the boundary of one mailbox: a defect here must not stop the others
            self._note_failure(AppError("an unexpected error; the log tells where"), level=logging.ERROR)
        else:
            self._note_success(self._backlog() if more else None)
            if more:
                self.services.polls.put(replace(self.request, reason="more", failures=0))
        finally:
            self._tell()

    def _pass(self, source: Source) -> bool:
        """True where messages are left waiting."""
        state, etag = self.services.tickets.state(self.mailbox.id)
        if state.is_leased(now=self.services.clock(), to_other_than=self.owner):
            raise Fenced
        if state.lease_owner or self.request.failures:
            self.step = _SMALL_STEP
        intake = Intake(self.services, self.mailbox, state, etag, owner=self.owner)
        with closing(intake), ThreadPoolExecutor(1, thread_name_prefix="commit") as committer:
            try:
                return self._take_in_all(source, intake, state, committer)
            except Fenced:
                raise
            except AppError as error:
                committer.shutdown()
                with suppress(StoreError):
                    intake.release(self._record(error.code))
                raise

    def _take_in_all(self, source: Source, intake: Intake, state: MailboxState, committer: ThreadPoolExecutor) -> bool:
        page = self._list(source, state.cursor)
        if not page.messages and not state.deferred:
            if self._is_worth_storing(state, page):
                intake.move_cursor(page.cursor)
                intake.release(None)
            return page.more
        intake.lease()
        waiting = [Listed(item.ref) for item in state.deferred]
        while True:
            once = {listed.ref: listed for listed in (*waiting, *page.messages)}
            self._take_in(source, intake, list(once.values()), committer)
            intake.move_cursor(page.cursor)
            if not page.more or self._is_over(TIME_BUDGET):
                break
            page, waiting = self._list(source, page.cursor), []
        intake.release(self._record(None))
        return page.more

    def _list(self, source: Source, cursor: Cursor | None) -> Page:
        """The next page that holds messages, or the last one."""
        try:
            page = source.changes(cursor, self.step)
        except CursorExpired:
            page = source.changes(None, self.step)
        while page.more and not page.messages and not self._is_over(TIME_BUDGET):
            page = source.changes(page.cursor, self.step)
        return page

    def _is_worth_storing(self, state: MailboxState, page: Page) -> bool:
        if state.lease_owner:  # a worker died after everything was settled
            return True
        if page.cursor == state.cursor:
            return False
        is_old = state.cursor_at is None or self.started_at - state.cursor_at > _IDLE_CURSOR_AGE
        return page.more or is_old

    def _is_over(self, budget: timedelta) -> bool:
        return self.services.clock() - self.started_at > budget

    def _take_in(
        self, source: Source, intake: Intake, messages: Sequence[Listed], committer: ThreadPoolExecutor
    ) -> None:
        """Fetch and parse one batch while the one before is being committed."""
        self.counts.listed += len(messages)
        pending: Future[list[Taken]] | None = None
        for batch in batches(arrivals(source.fetch(messages), header_names(self.mailbox))):
            if pending:
                self._settle(source, intake, pending.result())
            if self._is_over(PAGE_BUDGET):
                raise SourceUnavailable("the mail server takes too long", advice="Smaller steps come next.")
            pending = committer.submit(self._commit, intake, batch)
        if pending:
            self._settle(source, intake, pending.result())

    def _commit(self, intake: Intake, batch: Sequence[Item]) -> list[Taken]:
        taken = intake.take_in(batch)
        times = (item.raw.received_at for item in batch if isinstance(item, Arrived))
        self.last_arrival = max(filter(None, times), default=self.last_arrival)
        for each in taken:
            self.counts.add(each.outcome, each.reason)
        self.untold.extend(taken)
        return taken

    def _tell(self) -> None:
        """Say what was not taken in; not where it is committed, because that is another thread."""
        while self.untold:
            tell([self.untold.popleft()])

    def _settle(self, source: Source, intake: Intake, taken: Sequence[Taken]) -> None:
        self._tell()
        self._set_aside(source, [each.ref for each in taken if each.outcome is Outcome.QUARANTINED])
        for settlement, refs in self._settlements(taken):
            if isinstance(settlement, Keep):
                for ref in refs:
                    intake.settled(ref)
                continue
            for settled in source.settle(refs, settlement) if refs else ():
                if settled.error is None:
                    intake.settled(settled.ref)
                elif not intake.unsettled(settled.ref):
                    _tell_unsettled(settled)

    def _settlements(self, taken: Sequence[Taken]) -> Iterator[tuple[Settlement, list[MessageRef]]]:
        """What was ignored is nowhere but in the mailbox: it is never deleted."""
        settlement = self.mailbox.settlement
        spared = [each.ref for each in taken if each.outcome is Outcome.IGNORED and isinstance(settlement, Delete)]
        yield settlement, [each.ref for each in taken if each.is_stored and each.ref not in spared]
        yield MarkRead(), spared

    def _set_aside(self, source: Source, quarantined: Sequence[MessageRef]) -> None:
        """Move what is in quarantine out of the way of people who read the mailbox (req D5)."""
        if self.mailbox.failed_folder and quarantined:
            for settled in source.settle(quarantined, Move(folder=self.mailbox.failed_folder)):
                _tell_unsettled(settled)

    def _record(self, error_code: str | None) -> PollRun:
        if error_code:
            self.counts.defer_rest()
        if not self.counts.add_up:
            emit(Event.COUNTS_WRONG, level=logging.ERROR, listed=self.counts.listed, **self.counts.outcomes)
        return PollRun(
            started_at=self.started_at,
            ended_at=self.services.clock(),
            reason=self.request.reason,
            listed=self.counts.listed,
            outcomes=dict(self.counts.outcomes),
            ignored=dict(self.counts.ignored),
            error_code=error_code,
        )

    def _backlog(self) -> Backlog:
        """Compared with how it was when the polls began to leave mail waiting."""
        before = self.services.schedule.get(self.mailbox.id)
        wait = self.started_at - self.last_arrival if self.last_arrival else None
        began = before.backlog if before else None
        return Backlog(began.since, began.first_wait, wait) if began else Backlog(self.started_at, wait, wait)

    def _note_success(self, backlog: Backlog | None) -> None:
        self.services.schedule.put(
            MailboxHealth(
                mailbox_id=self.mailbox.id,
                next_due_at=next_due(self.mailbox.schedule, self.mailbox.id, self.started_at),
                last_polled_at=self.started_at,
                last_success_at=self.started_at,
                secret_expires_at=self._first_expiry(),
                last_outcomes=dict(self.counts.outcomes),
                backlog=backlog,
            )
        )
        emit(Event.POLL_FINISHED, reason=self.request.reason, listed=self.counts.listed, **self.counts.outcomes)
        if self.request.failures >= FAILING_AFTER:
            emit(Event.MAILBOX_RECOVERED, failures=self.request.failures)

    def _first_expiry(self) -> datetime | None:
        """Of the secrets that the poll has read (req S2)."""
        expiries = map(self.services.secrets.expires_at, secret_names(self.mailbox))
        return min((each for each in expiries if each), default=None)

    def _note_failure(self, error: AppError, level: int = logging.WARNING) -> None:
        before = self.services.schedule.get(self.mailbox.id)
        failures = 1 + (before.consecutive_failures if before else 0)
        retry_after = error.retry_after if isinstance(error, SourceUnavailable) else None
        self.services.schedule.put(
            MailboxHealth(
                mailbox_id=self.mailbox.id,
                next_due_at=next_due(self.mailbox.schedule, self.mailbox.id, self.started_at, failures, retry_after),
                last_polled_at=self.started_at,
                consecutive_failures=failures,
                error_code=error.code,
                error=str(error),
                advice=error.advice,
                last_outcomes=dict(self.counts.outcomes),
                backlog=before.backlog if before else None,
            )
        )
        emit(Event.POLL_FAILED, level=level, error=error.code, failures=failures)
        if failures >= FAILING_AFTER:
            emit(Event.MAILBOX_FAILING, level=logging.ERROR, error=error.code)


def _tell_unsettled(settled: Settled) -> None:
    if settled.error:
        emit(Event.MESSAGE_UNSETTLED, level=logging.ERROR, message=settled.ref.key, error=settled.error.code)
