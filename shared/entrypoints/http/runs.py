"""What the polls did, over one mailbox or all of them (req O8)."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel

from shared.application import mailboxes, runs
from shared.application.services import Services
from shared.domain.fields import DocumentId
from shared.entrypoints.http import models
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import Ready, ready

router = APIRouter(prefix="/api/runs", tags=["mailboxes"], dependencies=[Depends(ready)])

_A_DAY, _A_WEEK = timedelta(days=1), timedelta(days=7)


class MailboxRun(models.PollRun):
    """A run and whose it is."""

    mailbox_id: str


class MailboxRuns(BaseModel):
    """Newest first; `continuation` asks for the next page, None says that there is none."""

    runs: list[MailboxRun]
    continuation: str | None


class HourOfRuns(BaseModel):
    """What the runs that began in an hour come to; `listed` is the sum of `outcomes`."""

    hour: datetime
    runs: int
    failed: int
    listed: int
    outcomes: dict[str, int]


class HoursOfRuns(BaseModel):
    """Oldest first; hours without such runs are left out."""

    since: datetime
    until: datetime
    hours: list[HourOfRuns]


Mailbox = Annotated[DocumentId | None, Query(description="the id of a mailbox; all of them unless given")]
Since = Annotated[AwareDatetime | None, Query(description="31 days before `until` at most")]
Until = Annotated[AwareDatetime | None, Query(description="not part of the time; now unless given")]


@router.get("", responses=described(404, 422))
def list_all_runs(
    services: Ready,
    *,
    mailbox: Mailbox = None,
    since: Since = None,
    until: Until = None,
    failed: Annotated[bool | None, Query(description="only those that failed, or only those that did not")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    continuation: Annotated[str | None, Query(description="from the answer before; opaque")] = None,
) -> MailboxRuns:
    """The runs that found mail or failed, of the last seven days unless told otherwise."""
    wanted = replace(runs.time_range(since, until, services.clock(), _A_WEEK), failed=failed)
    found, more = runs.newest(services, _ids(services, mailbox), wanted, limit, continuation)
    shown = [MailboxRun(**asdict(each.run), mailbox_id=each.mailbox_id) for each in found]
    return MailboxRuns(runs=shown, continuation=more)


@router.get("/hours", responses=described(404, 422))
def list_hours_of_runs(
    services: Ready, mailbox: Mailbox = None, since: Since = None, until: Until = None
) -> HoursOfRuns:
    """For charts: the last 24 hours unless told otherwise. Costs one query a mailbox."""
    wanted = runs.time_range(since, until, services.clock(), _A_DAY)
    hours = [HourOfRuns(**asdict(each)) for each in runs.sums(services, _ids(services, mailbox), wanted)]
    return HoursOfRuns(since=wanted.since, until=wanted.until, hours=hours)


def _ids(services: Services, mailbox: str | None) -> Sequence[str]:
    if mailbox:
        return [mailboxes.find_mailbox(services, mailbox).value.id]
    return [each.id for each in services.mailboxes.cached()]
