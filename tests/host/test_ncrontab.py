from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host.ncrontab import parse


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("* * * * * *", "2026-11-21 10:00:00", "2026-11-21 10:00:01"),
        ("0 * * * * *", "2026-11-21 10:00:00", "2026-11-21 10:01:00"),
        ("0 */5 * * * *", "2026-11-21 10:58:30", "2026-11-21 11:00:00"),
        ("0 3/20 * * * *", "2026-11-21 10:03:00", "2026-11-21 10:23:00"),
        ("0 3/20 * * * *", "2026-11-21 10:43:00", "2026-11-21 11:03:00"),
        ("15,45 10-20/5 9 * * *", "2026-11-21 09:15:15", "2026-11-21 09:15:45"),
        ("15,45 10-20/5 9 * * *", "2026-11-21 09:20:45", "2026-11-22 09:10:15"),
        ("59 59 23 * * *", "2026-11-21 23:59:59", "2026-11-22 23:59:59"),
        ("0 0 0 * * *", "2026-12-31 23:59:59", "2027-01-01 00:00:00"),
        ("0 30 2 31 * *", "2026-01-31 02:30:00", "2026-03-31 02:30:00"),
        ("0 0 0 1 */3 *", "2026-10-01 00:00:00", "2027-01-01 00:00:00"),
        ("0 0 0 29 2 *", "2026-11-21 00:00:00", "2028-02-29 00:00:00"),
        ("0 0 0 29 2 *", "2096-02-29 00:00:00", "2104-02-29 00:00:00"),
        ("0 0 0 29 Feb Mon", "2080-01-01 00:00:00", "2112-02-29 00:00:00"),
        ("0 0 8 * * Mon-Fri", "2026-11-20 08:00:00", "2026-11-23 08:00:00"),
        ("0 0 8 * * sunday", "2026-11-21 00:00:00", "2026-11-22 08:00:00"),
        ("0 0 8 * * 0,6", "2026-11-16 00:00:00", "2026-11-21 08:00:00"),
        ("0 0 8 * jan-mar *", "2026-11-21 00:00:00", "2027-01-01 08:00:00"),
    ],
)
def test_the_next_occurrence_is_the_first_one_later(expression: str, after: str, expected: str):
    assert parse(expression).next(moment(after)) == moment(expected)


def test_a_day_must_match_both_its_day_and_its_weekday():
    assert parse("0 0 0 13 * Fri").next(moment("2026-11-13 00:00:00")) == moment("2027-08-13 00:00:00")


def test_a_part_of_a_second_does_not_matter():
    assert parse("* * * * * *").next(moment("2026-11-21 10:00:00.999999")) == moment("2026-11-21 10:00:01")


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * * *",
        "* * * * * * *",
        "60 * * * * *",
        "* * 24 * * *",
        "* * * 0 * *",
        "* * * * 13 *",
        "* * * * * 7",
        "* * * * * Fri-Mon",
        "*/0 * * * * *",
        "*/-1 * * * * *",
        "1-  * * * * *",
        ", * * * * *",
        "Mon * * * * *",
        "* * * * Monday *",
        "? * * * * *",
    ],
)
def test_what_is_no_schedule_is_refused(expression: str):
    with pytest.raises(ValueError, match=r".+"):
        parse(expression)


def test_a_day_that_never_comes_has_no_next_occurrence():
    with pytest.raises(ValueError, match="no occurrence"):
        parse("0 0 0 30 2 *").next(moment("2026-11-21 00:00:00"))


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001 - the time zone is added below
    st.sets(st.integers(0, 59), min_size=1),
    st.sets(st.integers(0, 23), min_size=1),
    st.sets(st.integers(0, 6), min_size=1),
)
def test_the_next_occurrence_fits_and_nothing_is_skipped(
    after: datetime, minutes: set[int], hours: set[int], weekdays: set[int]
):
    after = after.replace(tzinfo=UTC)
    schedule = parse(f"30 {_list(minutes)} {_list(hours)} * * {_list(weekdays)}")

    found = schedule.next(after)

    assert found > after
    assert (found.second, found.minute in minutes, found.hour in hours) == (30, True, True)
    assert found.isoweekday() % 7 in weekdays
    assert schedule.next(found.replace(second=29)) == found
    between = after + (found - after) / 2
    assert schedule.next(between) == found


def _list(values: set[int]) -> str:
    return ",".join(map(str, values))
