"""What the polls did, over one mailbox or all of them (req O8)."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel

from shared.application import runs
from shared.domain.intake import RunSums
from shared.entrypoints.http.answers import Page
from shared.entrypoints.http.mailboxes import Chosen
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import Continuation, Limit, Ready, ready

router = APIRouter(prefix="/api/runs", tags=["mailboxes"], dependencies=[Depends(ready)])

_A_DAY, _A_WEEK = timedelta(days=1), timedelta(days=7)


class MailboxRuns(Page):
    """Newest first."""

    runs: list[runs.MailboxRun]


class HoursOfRuns(BaseModel):
    """Oldest first; hours without such runs are left out."""

    since: datetime
    until: datetime
    hours: list[RunSums]


Since = Annotated[AwareDatetime | None, Query(description="31 days before `until` at most")]
Until = Annotated[AwareDatetime | None, Query(description="not part of the time; now unless given")]


@router.get("", responses=described(404))
def list_all_runs(
    services: Ready,
    ids: Chosen,
    *,
    since: Since = None,
    until: Until = None,
    failed: Annotated[bool | None, Query(description="only those that failed, or only those that did not")] = None,
    limit: Limit = 50,
    continuation: Continuation = None,
) -> MailboxRuns:
    """The runs that found mail or failed, of the last seven days unless told otherwise."""
    wanted = replace(runs.time_range(since, until, services.clock(), _A_WEEK), failed=failed)
    found, more = runs.newest(services, ids, wanted, limit, continuation)
    return MailboxRuns(runs=found, continuation=more)


@router.get("/hours", responses=described(404))
def list_hours_of_runs(services: Ready, ids: Chosen, since: Since = None, until: Until = None) -> HoursOfRuns:
    """For charts: the last 24 hours unless told otherwise. Costs one query a mailbox."""
    wanted = runs.time_range(since, until, services.clock(), _A_DAY)
    hours = runs.sums(services, ids, wanted)
    return HoursOfRuns(since=wanted.since, until=wanted.until, hours=hours)
