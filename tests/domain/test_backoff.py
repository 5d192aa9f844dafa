from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.backoff import next_due

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
FIVE = timedelta(minutes=5)


@pytest.mark.parametrize(("failures", "minutes"), [(0, 5), (1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (10_000, 60)])
def test_each_failure_doubles_the_wait_up_to_an_hour(failures, minutes):
    assert next_due(NOON, FIVE, failures) == NOON + timedelta(minutes=minutes)


def test_a_mailbox_with_a_long_interval_keeps_it_while_failing():
    assert next_due(NOON, timedelta(hours=6), failures=4) == NOON + timedelta(hours=6)


def test_the_wait_that_the_provider_asks_for_is_kept():
    assert next_due(NOON, FIVE, failures=1, retry_after=timedelta(hours=2)) == NOON + timedelta(hours=2)
