"""What the polls did: the runs that found mail or failed, and what they come to, hour by hour (req O8)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, Field

from shared.application.continuations import Continuation
from shared.application.services import Services
from shared.application.side_by_side import for_each, newest_first
from shared.domain.errors import Invalid, Problem
from shared.domain.intake import PollRun, RunFilter, RunSums

LONGEST = timedelta(days=31)
"""What one request may ask for."""
_YEARS = range(2000, 2200)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxRun(PollRun):
    """A run and whose it is."""

    mailbox_id: str

    @property
    def place(self) -> tuple[datetime, str]:
        return self.started_at, self.mailbox_id


_Moment = Annotated[AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))]
_PLACES = Continuation[tuple[datetime, str]](tuple[_Moment, str])


def time_range(since: datetime | None, until: datetime | None, now: datetime, usual: timedelta) -> RunFilter:
    """The usual time before `until`, which is now unless given. :raises Invalid: it makes no sense, or is too much."""
    until = until or now
    if until.year not in _YEARS:
        raise Invalid([Problem("query.until", f"must be in the years {_YEARS[0]} to {_YEARS[-1]}")])
    since = since or until - usual
    if not timedelta(0) < until - since <= LONGEST:
        raise Invalid([Problem("query.since", f"must be before `until`, by {LONGEST.days} days at most")])
    return RunFilter(since.astimezone(UTC), until.astimezone(UTC))


def newest(
    services: Services, mailbox_ids: Sequence[str], wanted: RunFilter, limit: int, continuation: str | None
) -> tuple[list[MailboxRun], str | None]:
    """The next runs of these mailboxes, newest first, and where to continue; None says that there are no more.

    :raises Invalid: the continuation is none of ours.
    """
    last = _PLACES.read(continuation) if continuation else None
    past = timedelta(microseconds=1)

    def page(mailbox_id: str, before: MailboxRun | None, size: int) -> Sequence[MailboxRun]:
        until = wanted.until
        if before:
            until = before.started_at
        elif last:
            until = min(until, last[0] + past * (mailbox_id < last[1]))
        found = services.tickets.runs(mailbox_id, size, replace(wanted, until=until))
        return [MailboxRun(**asdict(run), mailbox_id=mailbox_id) for run in found]

    listed, has_more = newest_first(mailbox_ids, limit, page, key=lambda run: run.place)
    return listed, _PLACES.write(listed[-1].place) if has_more else None


def sums(services: Services, mailbox_ids: Sequence[str], wanted: RunFilter) -> list[RunSums]:
    """What the runs of all these mailboxes come to, oldest hour first; hours without runs are left out."""
    hours: dict[datetime, RunSums] = {}
    for of_mailbox in for_each(mailbox_ids, lambda each: services.tickets.sums(each, wanted.since, wanted.until)):
        for each in of_mailbox:
            hours[each.hour] = hours[each.hour].plus(each) if each.hour in hours else each
    return [hours[hour] for hour in sorted(hours)]
