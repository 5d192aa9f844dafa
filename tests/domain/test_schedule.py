from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.domain.schedule import Schedule, next_due

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def times(schedule: Schedule, start: datetime, count: int, mailbox_id: str = "support-1") -> list[datetime]:
    """With the second that is the mailbox's own cut off."""
    found = []
    for _ in range(count):
        start = schedule.after(start, mailbox_id)
        found.append(start.replace(second=0))
    return found


def problems(**settings) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Schedule(**settings)
    return [each["msg"] for each in caught.value.errors()]


def test_a_mailbox_keeps_its_interval_however_late_it_was_polled():
    schedule = Schedule(interval_seconds=300)
    first = schedule.after(NOON, "support-1")

    assert schedule.after(first, "support-1") == first + timedelta(minutes=5)
    assert schedule.after(first + timedelta(minutes=4), "support-1") == first + timedelta(minutes=5)


@pytest.mark.parametrize(("schedule", "seconds"), [(Schedule(), 300), (Schedule(cron="0 8 * * *"), 60)])
def test_a_thousand_mailboxes_do_not_start_in_the_same_second(schedule: Schedule, seconds: int):
    found = Counter(schedule.after(NOON, f"mailbox-{number}") for number in range(1000))

    assert len(found) > 0.9 * min(seconds, 1000)
    assert max(found.values()) <= 4 * 1000 / seconds
    assert max(found) - min(found) < timedelta(seconds=seconds)


def test_a_cron_expression_is_read_in_its_time_zone():
    schedule = Schedule(cron="0,30 8-9 * * MON-FRI", time_zone="Europe/Berlin")

    assert times(schedule, NOON, 5) == [
        datetime(2026, 11, 23, 7, 0, tzinfo=UTC),
        datetime(2026, 11, 23, 7, 30, tzinfo=UTC),
        datetime(2026, 11, 23, 8, 0, tzinfo=UTC),
        datetime(2026, 11, 23, 8, 30, tzinfo=UTC),
        datetime(2026, 11, 24, 7, 0, tzinfo=UTC),
    ]


@pytest.mark.parametrize("start", [datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)])
def test_what_daylight_saving_time_skips_or_repeats_happens_once_a_day(start):
    schedule = Schedule(cron="30 2 * * *", time_zone="Europe/Berlin")

    found = times(schedule, start, 3)

    assert [each.date() for each in found] == [(start + timedelta(days=day)).date() for day in (1, 2, 3)]


@given(
    st.sampled_from(["*/7 * * * *", "30 2 * * *", "15,45 1-3 * * *", "0 0 L * *", "0 0 29 2 *"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2040, 1, 1)),  # noqa: DTZ001 - made aware below
    st.text(max_size=5),
)
def test_the_next_time_is_always_ahead(cron: str, time_zone: str, moment: datetime, mailbox_id: str):
    moment = moment.replace(tzinfo=UTC)

    assert Schedule(cron=cron, time_zone=time_zone).after(moment, mailbox_id) > moment


@given(st.text(max_size=30) | st.text("0123456789*/-,#LW MONFRI", max_size=30))
def test_any_text_is_a_cron_expression_or_refused(text: str):
    try:
        schedule = Schedule(cron=text)
    except ValidationError:
        return

    assert schedule.after(NOON, "support-1") > NOON


@pytest.mark.parametrize(
    ("cron", "problem"),
    [
        ("* * * *", "must have five fields: minute, hour, day of month, month and day of week"),
        ("0 0 * * * *", "must have five fields: minute, hour, day of month, month and day of week"),
        ("@daily", "must have five fields: minute, hour, day of month, month and day of week"),
        ("", "must have five fields: minute, hour, day of month, month and day of week"),
        ("61 * 40 * *", "cannot have 61 as its minute nor 40 as its day of month"),
        ("*/0 * * * FUNDAY", "cannot have */0 as its minute nor FUNDAY as its day of week"),
        ("0 0 31 2,4 *", "names a day that never comes"),
        ("0 0 */31 2 MON#5", "names a day that never comes"),
    ],
)
def test_all_that_is_wrong_with_a_cron_expression_is_told(cron: str, problem: str):
    assert problems(cron=cron) == [problem]


@pytest.mark.parametrize(
    "name", ["", "Berlin", "Europe", "../../etc/passwd", "/etc/passwd", "Europe/Berlin\0", "zone.tab"]
)
def test_what_is_no_time_zone_is_refused(name: str):
    assert problems(time_zone=name) == ["must be a time zone such as Europe/Berlin or UTC"]


def test_all_problems_of_a_schedule_are_told_at_once():
    assert len(problems(interval_seconds=5, cron="x", time_zone="y")) == 3


@pytest.mark.parametrize("schedule", [Schedule(interval_seconds=60), Schedule(cron="* * * * *")])
def test_a_poll_that_begins_a_little_before_its_time_is_not_repeated_at_it(schedule: Schedule):
    due = schedule.after(NOON, "support-1")

    assert next_due(schedule, "support-1", due - timedelta(seconds=20)) == due + timedelta(minutes=1)


@pytest.mark.parametrize(("failures", "minutes"), [(1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (10_000, 60)])
def test_each_failure_doubles_the_wait_up_to_an_hour_less_a_jitter(failures, minutes):
    waits = [next_due(Schedule(), f"mailbox-{number}", NOON, failures) - NOON for number in range(100)]

    assert timedelta(minutes=0.75 * minutes) <= min(waits) < timedelta(minutes=0.8 * minutes)
    assert timedelta(minutes=0.95 * minutes) < max(waits) <= timedelta(minutes=minutes)


@pytest.mark.parametrize("schedule", [Schedule(interval_seconds=86_400), Schedule(cron="0 8 * * *")])
def test_a_mailbox_that_is_polled_once_a_day_is_tried_again_within_the_hour_while_it_fails(schedule):
    assert next_due(schedule, "support-1", NOON, failures=1) <= NOON + HOUR


def test_the_wait_that_the_provider_asks_for_is_kept_and_not_all_come_back_at_once():
    waits = {next_due(Schedule(), f"mailbox-{number}", NOON, 1, 2 * HOUR) - NOON for number in range(100)}

    assert 2 * HOUR <= min(waits) < max(waits) <= 2 * HOUR + timedelta(minutes=1)


def test_a_provider_that_asks_to_wait_for_years_is_asked_again_tomorrow():
    due = next_due(Schedule(), "support-1", NOON, 1, timedelta(days=4000))

    assert due <= NOON + timedelta(days=1, minutes=1)
