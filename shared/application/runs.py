"""What the polls did: the runs that found mail or failed, and what they come to, hour by hour (req O8)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from shared.application.services import Services
from shared.application.side_by_side import for_each, newest_first
from shared.domain.errors import Invalid, Problem
from shared.domain.intake import PollRun, RunFilter, RunSums

LONGEST = timedelta(days=31)
"""What one request may ask for."""
_YEARS = range(2000, 2200)


@dataclass(frozen=True, slots=True)
class Run:
    """A run and whose it is."""

    mailbox_id: str
    run: PollRun

    @property
    def place(self) -> tuple[datetime, str]:
        return self.run.started_at, self.mailbox_id


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
) -> tuple[list[Run], str | None]:
    """The next runs of these mailboxes, newest first, and where to continue; None says that there are no more.

    :raises Invalid: the continuation is none of ours.
    """
    last = _read(continuation) if continuation else None
    past = timedelta(microseconds=1)

    def page(mailbox_id: str, before: Run | None, size: int) -> Sequence[Run]:
        until = wanted.until
        if before:
            until = before.run.started_at
        elif last:
            until = min(until, last[0] + past * (mailbox_id < last[1]))
        found = services.tickets.runs(mailbox_id, size, replace(wanted, until=until))
        return [Run(mailbox_id, run) for run in found]

    merged = newest_first(mailbox_ids, limit, page, key=lambda run: run.place)
    listed = list(islice(merged, limit))
    more = next(merged, None) is not None
    return listed, _written(listed[-1]) if more else None


def sums(services: Services, mailbox_ids: Sequence[str], wanted: RunFilter) -> list[RunSums]:
    """What the runs of all these mailboxes come to, oldest hour first; hours without runs are left out."""
    hours: dict[datetime, RunSums] = {}
    for of_mailbox in for_each(mailbox_ids, lambda each: services.tickets.sums(each, wanted.since, wanted.until)):
        for each in of_mailbox:
            hours[each.hour] = hours[each.hour].plus(each) if each.hour in hours else each
    return [hours[hour] for hour in sorted(hours)]


def _written(run: Run) -> str:
    return f"{run.run.started_at.isoformat()}|{run.mailbox_id}"


def _read(continuation: str) -> tuple[datetime, str]:
    moment, _, mailbox_id = continuation.partition("|")
    try:
        return datetime.fromisoformat(moment).astimezone(UTC), mailbox_id
    except (ValueError, OverflowError) as error:
        raise Invalid([Problem("query.continuation", "is not the continuation of a list")]) from error
