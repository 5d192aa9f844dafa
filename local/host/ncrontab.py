"""NCRONTAB, the six fields of a timer's schedule: second, minute, hour, day, month, day of the week.

Unlike in Unix cron a day must match both the day and the day of the week. All times are UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_FIELDS: tuple[tuple[int, int, Sequence[str]], ...] = (
    (0, 59, ()),
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
)
# No date of a given weekday is rarer: 29 February falls on one every 28 years, or 40 around a year such as 2100.
_RAREST = timedelta(days=40 * 366)


@dataclass(frozen=True, slots=True)
class Schedule:
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    def next(self, after: datetime) -> datetime:
        """The first occurrence later than `after`. :raises ValueError: there is none, as on 30 February."""
        earliest = after.replace(microsecond=0) + timedelta(seconds=1)
        day, last = earliest.date(), earliest.date() + _RAREST
        while day <= last:
            start = earliest.time() if day == earliest.date() else time()
            if self._runs_on(day) and (at := self._first_time(start)) is not None:
                return datetime.combine(day, at, earliest.tzinfo)
            day += timedelta(days=1)
        raise ValueError("the schedule has no occurrence")

    def _runs_on(self, day: date) -> bool:
        return day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays

    def _first_time(self, start: time) -> time | None:
        times = (
            time(hour, minute, second)
            for hour in self.hours
            if hour >= start.hour
            for minute in self.minutes
            if (hour, minute) >= (start.hour, start.minute)
            for second in self.seconds
        )
        return next((at for at in times if at >= start), None)


def parse(expression: str) -> Schedule:
    """:raises ValueError: it is no NCRONTAB expression of six fields."""
    texts = expression.split()
    if len(texts) != len(_FIELDS):
        raise ValueError(f"{expression!r} has {len(texts)} fields; a schedule has {len(_FIELDS)}")
    return Schedule(*(_field(text, *field) for text, field in zip(texts, _FIELDS, strict=True)))


def _field(text: str, low: int, high: int, names: Sequence[str]) -> tuple[int, ...]:
    values: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, last = _span(span, low, high, names, stepped=bool(step))
        if not low <= first <= last <= high or (step and int(step) < 1):
            raise ValueError(f"{part!r} is not within {low}-{high}")
        values.update(range(first, last + 1, int(step or 1)))
    return tuple(sorted(values))


def _span(text: str, low: int, high: int, names: Sequence[str], *, stepped: bool) -> tuple[int, int]:
    """The first and the last value that `*`, `3`, `3-5` or, with a step, `3/2` stand for."""
    if text == "*":
        return low, high
    first, dash, last = text.partition("-")
    start = _value(first, low, names)
    if dash:
        return start, _value(last, low, names)
    return start, high if stepped else start


def _value(text: str, low: int, names: Sequence[str]) -> int:
    matches = (low + index for index, name in enumerate(names) if text and name.startswith(text.lower()))
    found = next(matches, None)
    return int(text) if found is None else found
