"""When a mailbox is due: at an interval or by a cron expression, each mailbox at a place of its own (req O1)."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from shared.domain.fields import Model

LONGEST_BACKOFF = timedelta(hours=1)
"""A mailbox that fails is tried at least this often, however often it failed and however far apart its times are."""
LONGEST_ASKED = timedelta(days=1)
"""What a provider asks to wait counts up to here: a wrong date in an answer must not stop a mailbox for ever."""

_MINUTE = timedelta(minutes=1)
_CRON_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_ANY_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
_JITTER = 0.25
_EARLY = timedelta(seconds=30)
"""A poll so long before its time counts as the one of that time: clocks differ, and ticks are not exact."""


def _is_cron(expression: str) -> bool:
    try:
        return next(CronSim(expression, _ANY_MOMENT), None) is not None
    except CronSimError:
        return False


@lru_cache(maxsize=1000)
def _cron_problem(expression: str) -> str:
    """What is wrong with it, all of it at once; empty where nothing is."""
    parts = expression.split()
    if len(parts) != len(_CRON_FIELDS):
        return "must have five fields: minute, hour, day of month, month and day of week"
    alone = [" ".join([*"*" * place, part, *"*" * (4 - place)]) for place, part in enumerate(parts)]
    wrong = [
        f"{part} as its {name}" for name, part, one in zip(_CRON_FIELDS, parts, alone, strict=True) if not _is_cron(one)
    ]
    if wrong:
        return f"cannot have {' nor '.join(wrong)}"
    return "" if _is_cron(expression) else "names a day that never comes"


def _cron(expression: str) -> str:
    if problem := _cron_problem(expression):
        raise PydanticCustomError("cron", "{problem}", {"problem": problem})
    return " ".join(expression.split())


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # a path, a folder of zones, an unknown zone
        raise PydanticCustomError("time_zone", "must be a time zone such as Europe/Berlin or UTC") from None
    return name


class Schedule(Model):
    """How often the mailbox is polled."""

    interval_seconds: int = Field(default=300, ge=10, le=86_400, description="from one poll to the next")
    cron: Annotated[str, StringConstraints(max_length=200), AfterValidator(_cron)] | None = Field(
        default=None,
        description="five fields, as in `*/10 8-18 * * MON-FRI`; takes the place of the interval. Each mailbox has a "
        "second of the minute that is its own",
    )
    time_zone: Annotated[str, StringConstraints(max_length=60), AfterValidator(_zone)] = Field(
        default="UTC", description="of the cron expression; what daylight saving time skips or repeats happens once"
    )

    def after(self, moment: datetime, mailbox_id: str) -> datetime:
        """The first time after the moment."""
        return next(self._times(moment, mailbox_id))

    def gap(self, moment: datetime, mailbox_id: str) -> timedelta:
        """How far apart its times are."""
        times = self._times(moment, mailbox_id)
        return -(next(times) - next(times))

    def _times(self, moment: datetime, mailbox_id: str) -> Iterator[datetime]:
        place = share(mailbox_id)
        if self.cron:
            offset = timedelta(seconds=int(60 * place))
            for time in CronSim(self.cron, (moment - offset).astimezone(ZoneInfo(self.time_zone))):
                found = time.astimezone(UTC) + offset
                if found > moment:  # within the hour that is repeated it may be the one before
                    yield found
        interval = timedelta(seconds=self.interval_seconds)
        start = datetime.fromtimestamp(int(self.interval_seconds * place), UTC)
        found = start + ((moment - start) // interval + 1) * interval
        while True:
            yield found
            found += interval


def share(text: str) -> float:
    """From 0 to 1, always the same for a text, and evenly spread over many."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / (1 << 32)


def doubled(first: timedelta, times: int, longest: timedelta) -> timedelta:
    """The wait after so many failures more than the first."""
    return min(first * (1 << min(times, 10)), longest)


def next_due(
    schedule: Schedule,
    mailbox_id: str,
    started_at: datetime,
    failures: int = 0,
    retry_after: timedelta | None = None,
) -> datetime:
    """The next time of the schedule after a success. After failures there is a wait instead that doubles each time, of
    `retry_after` at least; a jitter keeps mailboxes that failed together from coming back together.
    """
    gap = schedule.gap(started_at, mailbox_id)
    if failures == 0:
        return schedule.after(started_at + min(gap / 2, _EARLY), mailbox_id)
    jitter = share(f"{mailbox_id} {failures}")
    wait = doubled(gap, failures - 1, LONGEST_BACKOFF) * (1 - _JITTER * jitter)
    asked = min(retry_after, LONGEST_ASKED) + _MINUTE * jitter if retry_after else timedelta()
    return started_at + max(wait, asked)
