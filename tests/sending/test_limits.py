from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.notices import AutomaticLimits, reasons_not_to_send
from shared.domain.outbox import SentTo

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LIMITS = AutomaticLimits()


def ago(*minutes: float) -> list[datetime]:
    return [NOW - timedelta(minutes=each) for each in minutes]


def reasons(to_address=(), on_ticket=()):
    return reasons_not_to_send(LIMITS, NOW, to_address=to_address, on_ticket=on_ticket)


def test_the_first_automatic_message_may_be_sent():
    assert reasons() == ()


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({"to_address": ago(1, 2, 3, 4)}, ()),
        ({"to_address": ago(1, 2, 3, 4, 5)}, ("limit: 5 per address per hour",)),
        ({"on_ticket": ago(1, 2, 3, 4, 59.9)}, ("limit: 5 per ticket per hour",)),
        ({"to_address": ago(1, 2, 3, 4, 60)}, ()),
        ({"to_address": ago(*range(100, 1000, 90))}, ("limit: 10 per address per day",)),
        ({"on_ticket": ago(*range(1440, 3000, 10))}, ()),
        (
            {"to_address": ago(*[1] * 5), "on_ticket": ago(*[1] * 5)},
            ("limit: 5 per address per hour", "limit: 5 per ticket per hour"),
        ),
    ],
)
def test_each_limit_counts_what_was_sent_within_its_time(sent, reason):
    assert reasons(**sent) == reason


def test_a_clock_that_was_set_back_still_counts():
    assert reasons(to_address=ago(-1, -2, -3, -4, -5)) == ("limit: 5 per address per hour",)


def test_two_machines_that_answer_each_other_fall_silent():
    sent, count = SentTo("robot"), 0
    for minute in range(24 * 60):
        now = NOW + timedelta(minutes=minute)
        times = [at for at, _ in sent.times]
        if not reasons_not_to_send(LIMITS, now, to_address=times, on_ticket=times):
            sent, count = sent.noted(now, 1), count + 1

    assert count == LIMITS.per_address_per_day


def test_what_is_stored_stays_small():
    before = SentTo("ann", tuple((at, 1) for at in ago(1441, 1440, 30)))

    assert before.noted(NOW, 2).times == ((*ago(30), 1), (NOW, 2))
