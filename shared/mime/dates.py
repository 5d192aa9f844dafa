"""Dates as RFC 5322 has them (sections 3.3, 4.3), and as they are written."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_tz
from typing import Any

from shared.mime.headers import text
from shared.mime.wordings import lines

_UNREAD = re.compile(r"\b(?:GMT|UTC?)(?=[+-]\d)|(?<=:\d\d:\d\d)\.\d+|(?<=[+-]\d\d):(?=\d\d)")
"""What the standard library does not read: `GMT+0200`, parts of seconds, `+02:00`."""
_HALF = re.compile(r"\d\s?[ap]m\b", re.IGNORECASE)
_CLOCK = re.compile(r"(?<!\d)(\d{1,2})[:h.](\d{2})(?::(\d{2}))?(?![.\d])(?:\s?([ap]m)\b)?", re.IGNORECASE)
_OFFSET = re.compile(r"(?<!\d)([+-])(\d{2}):?(\d{2})(?!\d)")
_WORD = re.compile(r"[^\W\d_]{2,20}")
_ZONES = {"AEDT": 11, "AEST": 10, "CEST": 2, "CET": 1, "EEST": 3, "EET": 2, "JST": 9, "KST": 9, "MEST": 2, "MET": 1,
          "MSK": 3, "NZDT": 13, "NZST": 12, "WEST": 1, "WET": 0}  # fmt: skip


def moment(value: str) -> datetime | None:
    """The UTC time of a Date field; None where it says none between 1970 and 2100."""
    value = text(value[:200])
    for read in (_by_the_standard, _iso, _by_words):
        try:
            year, month, day, hour, minute, second, *_, offset = read(value)
            at = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC) - timedelta(seconds=offset or 0)
        except (ValueError, TypeError, IndexError, OverflowError, StopIteration):  # all that bad dates raise
            continue
        return at if 1970 <= at.year <= 2100 else None
    return None


def _by_the_standard(value: str) -> tuple[Any, ...]:
    value = _UNREAD.sub("", value)
    read = parsedate_tz(value) or ()
    if value[-5:-4] in ("+", "-") and value[-4:].isdigit() and not _HALF.search(value):
        return read
    zone = _zone(value)
    if (zone and _OFFSET.search(value)) or not read:
        return read
    if _HALF.search(value):
        raise ValueError
    return (*read[:-1], zone) if zone else read


def _zone(value: str) -> int:
    """Seconds east of Greenwich of the zone that it names; 0 where it names none that is known."""
    return next((_ZONES[word] * 3_600 for word in value.upper().split() if word in _ZONES), 0)


def _iso(value: str) -> tuple[int, ...]:
    at = datetime.fromisoformat(value.strip()[:40])
    return (*at.timetuple()[:6], int((at.utcoffset() or timedelta()).total_seconds()))


def _by_words(value: str) -> tuple[int, ...]:
    """A date as people write it, in the languages that `months` has."""
    clock = _CLOCK.search(value)
    hour, minute, second, half = clock.groups() if clock else ("0", "0", "0", "")
    rest = f"{value[: clock.start()]} {value[clock.end() :]}" if clock else value
    offset = _OFFSET.search(rest)
    seconds = int(f"{offset[1]}1") * (int(offset[2]) * 60 + int(offset[3])) * 60 if offset else _zone(rest)
    if half:
        hour = str(int(hour) % 12 + 12 * (half.lower() == "pm"))
    return *_day(rest[: offset.start()] if offset else rest), int(hour), int(minute), int(second or 0), seconds


def _day(value: str) -> tuple[int, int, int]:
    numbers = [int(number) for number in re.findall(r"\d{1,4}", value)]
    if numbers[0] > 31:  # 2026/3/9, 2026年3月9日
        year, month, day = numbers[:3]
    elif months := [month for word in _WORD.findall(_folded(value)) if (month := _month(word))]:
        (day, year), month = numbers[:2], months[-1]
    else:  # 9.3.2026, 3/25/2026
        day, month, year = numbers[:3]
        day, month = (month, day) if month > 12 else (day, month)
    if year < 1970:
        raise ValueError
    return year, month, day


def _folded(value: str) -> str:
    """In lower case, without accents."""
    return "".join(mark for mark in unicodedata.normalize("NFKD", value.casefold()) if not unicodedata.combining(mark))


def _month(word: str) -> int:
    """The number of the month whose longest name it begins with; 0 where it is none."""
    months = enumerate(map(str.split, lines("months")), 1)
    found = ((len(name), number) for number, names in months for name in names if word.startswith(name))
    return max(found, default=(0, 0))[1]
