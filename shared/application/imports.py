"""Importing older mail: counted first, then taken in part by part, after new mail each time (req D6).

Each part is one request on the queue of polls. It begins with a poll, so that new mail waits for one part at most; then
some pages of the import are taken in, and the rest is left to the next request. Receipts make a part that is repeated
harmless.
"""

import logging
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta

from shared.application.arrivals import Arrived, Item, arrivals, batches, tell
from shared.application.auditing import audited
from shared.application.installation import installation
from shared.application.intake import taking_in
from shared.application.poll import poll
from shared.application.ports.connections import Page, Source
from shared.application.ports.platform import PollRequest
from shared.application.ports.stores import Versioned
from shared.application.ports.tickets import Fenced
from shared.application.services import Services
from shared.application.validation import read
from shared.domain.errors import AppError, Conflict, CursorExpired, Invalid, NotFound, Problem, SourceUnavailable
from shared.domain.imports import UNDER_WAY, Import, ImportSettings, ImportState
from shared.domain.intake import Terms
from shared.domain.mailbox import Mailbox
from shared.domain.message import Cursor, Listed
from shared.domain.processing import header_names
from shared.domain.settlement import Keep
from shared.telemetry import Event, correlated, emit

_PAGE_MESSAGES = 100
_PAGES = 2
"""In one part; when counting, as many as there is time for."""

_TIME = timedelta(minutes=1)
_PAUSE = timedelta(seconds=5)
_STANDS_STILL = timedelta(minutes=30)
"""Longer than a part and any pause take; a request that comes twice does nothing."""
_PAUSE_WHILE_OFF = timedelta(minutes=5)
_MAX_FAILURES = 10
_NOUN = "import"


def find(services: Services, mailbox_id: str, import_id: str) -> Versioned[Import]:
    """:raises NotFound:"""
    found = services.imports.get(import_id)
    if found is None or found.value.mailbox_id != mailbox_id:
        raise NotFound("there is no such import")
    return found


def of_mailbox(services: Services, mailbox_id: str) -> list[Import]:
    """The newest first."""
    found = [each.value for each in services.imports.all() if each.value.mailbox_id == mailbox_id]
    return sorted(found, key=lambda each: each.created_at, reverse=True)


def create(services: Services, mailbox: Mailbox, data: object) -> Import:
    """Begin to count.

    :raises Invalid: with every problem.
    :raises Conflict: another import of the mailbox is under way.
    """
    now = services.clock()
    asked = read(ImportSettings, data)
    until = asked.until or now
    if found := [*_problems(mailbox, asked, until, now)]:
        raise Invalid(found)
    if any(each.state in UNDER_WAY for each in of_mailbox(services, mailbox.id)):
        raise Conflict("another import of this mailbox is under way")
    new = Import(
        **asked.model_dump(exclude={"until"}),
        until=until,
        id=f"import-{secrets.token_hex(6)}",
        name=f"Import into {mailbox.id}",
        created_at=now,
        mailbox_id=mailbox.id,
    )
    with audited(services, _NOUN, new.id, "created", after=asked.model_dump(mode="json") | {"mailbox": mailbox.id}):
        services.imports.add(new)
    _go_on(services, new)
    return new


def _problems(mailbox: Mailbox, asked: ImportSettings, until: datetime, now: datetime) -> Iterator[Problem]:
    for name, moment in (("since", asked.since), ("until", until)):
        if moment > now:
            yield Problem(f"$.{name}", "must not be in the future")
    if until < asked.since <= now:
        yield Problem("$.until", "must not be before `since`")
    if asked.folders and mailbox.source.kind == "pop3":
        yield Problem("$.folders", "must be unset: POP3 has one folder")


def start(services: Services, found: Versioned[Import]) -> Import:
    """Take in what was counted, or go on where it failed. :raises Conflict: it is in no state for that."""
    if found.value.state not in (ImportState.PLANNED, ImportState.FAILED):
        raise Conflict(f"the import is {found.value.state}")
    state = ImportState.RUNNING if found.value.is_counted else ImportState.COUNTING
    part = found.value.part + 1
    started = _changed(
        services, found, "started", state=state, part=part, failures=0, error_code=None, error=None, ended_at=None
    )
    _go_on(services, started)
    return started


def cancel(services: Services, found: Versioned[Import]) -> Import:
    """What was taken in stays. :raises Conflict: it has ended."""
    if found.value.state not in (*UNDER_WAY, ImportState.FAILED):
        raise Conflict(f"the import is {found.value.state}")
    return _changed(services, found, "cancelled", state=ImportState.CANCELLED, cursor=None, ended_at=services.clock())


def _changed(services: Services, found: Versioned[Import], action: str, **changes: object) -> Import:
    after = found.value.model_copy(update=changes)
    was, now = {"state": found.value.state}, {"state": after.state}
    with audited(services, _NOUN, after.id, action, before=was, after=now):
        services.imports.replace(after, found.etag)
    return after


def _go_on(services: Services, ours: Import, delay: timedelta = timedelta()) -> None:
    services.polls.put(PollRequest(ours.mailbox_id, "import", ours.next_part, import_id=ours.id), delay)


def work(services: Services, request: PollRequest) -> None:
    """The next part of an import; its failures are not raised. An import that somebody has cancelled ends here."""
    found = services.imports.get(request.import_id or "")
    mailbox = next((each for each in services.mailboxes.cached() if each.id == request.mailbox_id), None)
    if found is None or mailbox is None or not found.value.is_going_on:
        return
    if request.correlation_id != found.value.next_part:  # it was delivered a second time
        return
    if not installation(services).email_to_ticket:
        _go_on(services, found.value, _PAUSE_WHILE_OFF)
        return
    poll(services, PollRequest(mailbox.id, "demand", request.correlation_id))
    with correlated(mailbox=mailbox.id, correlation=request.correlation_id):
        after, delay = _Part(services, mailbox, found.value.model_copy(update={"part": found.value.part + 1})).run()
    after = after.model_copy(update={"worked_at": services.clock()})
    with suppress(Conflict):  # it was cancelled meanwhile
        services.imports.replace(after, found.etag)
        if after.is_going_on:
            _go_on(services, after, delay)


def wake(services: Services) -> None:
    """Go on with imports that stand still, because a request was lost or a worker died after it had stored a part."""
    if not installation(services).email_to_ticket:
        return
    long_ago = services.clock() - _STANDS_STILL
    for ours in services.imports.cached():
        if ours.is_going_on and (ours.worked_at or ours.created_at) < long_ago:
            _go_on(services, ours)


class _Part:
    """`ours` is the import as it is so far."""

    def __init__(self, services: Services, mailbox: Mailbox, ours: Import) -> None:
        self._services = services
        self._mailbox = mailbox
        self.ours = ours
        self._until = services.clock() + _TIME

    def run(self) -> tuple[Import, timedelta]:
        """The import after it, and how long to wait for the next one."""
        try:
            with closing(self._services.open_source(_reader(self._mailbox, self.ours))) as source:
                if self.ours.state is ImportState.COUNTING:
                    self._count(source)
                else:
                    self._take_in(source)
        except Fenced:  # a poll is longer than its message on the queue
            return self.ours, _PAUSE
        except CursorExpired:
            self._change(cursor=None, found=self.ours.found if self.ours.is_counted else 0)
        except AppError as error:
            return self._failed(error)
        except Exception:  # noqa: BLE001 - the boundary of one import: it must not go on in vain, or stop without a word
            emit(Event.IMPORT_FAILED, level=logging.ERROR)
            return self._failed(AppError("an unexpected error; the log tells where"))
        self._change(failures=0, error_code=None, error=None)
        return self.ours, _PAUSE

    def _change(self, **changes: object) -> None:
        self.ours = self.ours.model_copy(update=changes)

    def _failed(self, error: AppError) -> tuple[Import, timedelta]:
        failures = self.ours.failures + 1
        self._change(failures=failures, error_code=error.code, error=str(error))
        if failures >= _MAX_FAILURES:
            self._change(state=ImportState.FAILED, ended_at=self._services.clock())
        asked = error.retry_after if isinstance(error, SourceUnavailable) else None
        return self.ours, max(asked or timedelta(), timedelta(minutes=failures))

    def _pages(self, source: Source) -> Iterator[Page]:
        """Pages after the cursor, which moves when the next one is asked for."""
        while True:
            cursor = Cursor(self.ours.cursor) if self.ours.cursor else None
            page = source.changes(cursor, _PAGE_MESSAGES)
            yield page
            self._change(cursor=page.cursor)
            if not page.more:
                self._finish()
                return

    def _finish(self) -> None:
        if self.ours.is_counted:
            self._change(state=ImportState.DONE, cursor=None, ended_at=self._services.clock())
        else:
            state = ImportState.PLANNED if self.ours.plan else ImportState.RUNNING
            self._change(state=state, is_counted=True, cursor=None)

    def _fitting(self, page: Page) -> list[Listed]:
        return [each for each in page.messages if each.received_at is None or self.ours.covers(each.received_at)]

    def _count(self, source: Source) -> None:
        for page in self._pages(source):
            is_exact = self.ours.found_is_exact and all(each.received_at for each in page.messages)
            self._change(found=self.ours.found + len(self._fitting(page)), found_is_exact=is_exact)
            if page.more and self._services.clock() > self._until:
                self._change(cursor=page.cursor)
                return

    def _take_in(self, source: Source) -> None:
        for number, page in enumerate(self._pages(source), 1):
            self._take_in_page(source, page)
            if page.more and (number >= _PAGES or self._services.clock() > self._until):
                self._change(cursor=page.cursor)
                return

    def _take_in_page(self, source: Source, page: Page) -> None:
        wanted = self._fitting(page)
        if not wanted:
            return
        terms = Terms(silent=self.ours.silent, original_dates=True)
        with taking_in(self._services, self._mailbox, "import", terms=terms, retried={}) as intake:
            for batch in batches(self._within(arrivals(source.fetch(wanted), header_names(self._mailbox)))):
                intake.take_in(batch)
        tell(intake.taken)
        outcomes = Counter(self.ours.outcomes) + Counter(each.outcome.value for each in intake.taken)
        self._change(listed=self.ours.listed + len(intake.taken), outcomes=dict(outcomes))

    def _within(self, items: Iterator[Item]) -> Iterator[Item]:
        """Those of that time, now that all say when they came; or were written, where the provider does not tell."""
        for item in items:
            moment = (item.raw.received_at or item.message.sent_at) if isinstance(item, Arrived) else self.ours.since
            if moment and self.ours.covers(moment):
                yield item
            else:
                self._change(left_out=self.ours.left_out + 1)


def _reader(mailbox: Mailbox, ours: Import) -> Mailbox:
    """The mailbox as its source shall see it. POP3 tells no dates: all of it is listed."""
    start_from = "beginning" if mailbox.source.kind == "pop3" else ours.since
    intake = mailbox.intake.model_copy(update={"start_from": start_from, "unread_only": False})
    folders = {"folders": ours.folders} if ours.folders else {}
    source = mailbox.source.model_copy(update=folders)
    return mailbox.model_copy(update={"intake": intake, "settlement": Keep(), "source": source})
