import json
import logging
import re
from pathlib import Path

import pytest

from shared import telemetry
from shared.domain.errors import StoreUnavailable
from shared.telemetry import Event, correlated, emit

ALERTS = Path(__file__).parents[2] / "infra" / "modules" / "alerts.bicep"


@pytest.fixture(autouse=True)
def levels():
    """Telemetry starts with a process; here it ends with a test."""
    loggers = [logging.getLogger(), logging.getLogger("mailroom")]
    before = [logger.level for logger in loggers]
    telemetry.start()
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.fixture
def lines(caplog):
    """What was logged, as the Functions worker forwards it: each record as its handler formats it."""
    return lambda: [logging.Formatter().format(record) for record in caplog.records]


def test_an_event_is_one_line_of_json_with_its_name_and_fields(lines):
    emit(Event.POLL_FINISHED, listed=3, created=2)

    (line,) = lines()
    assert json.loads(line) == {"event": "poll.finished", "listed": 3, "created": 2}


def test_events_within_a_block_carry_its_correlation_and_those_after_it_do_not(lines):
    with correlated(correlation="c1"), correlated(mailbox="m1"):
        emit(Event.POLL_GAVE_WAY)
    emit(Event.POLL_GAVE_WAY)

    within, after = map(json.loads, lines())
    assert within == {"event": "poll.gave_way", "correlation": "c1", "mailbox": "m1"}
    assert after == {"event": "poll.gave_way"}


def test_an_error_tells_types_and_places_of_all_causes_but_no_text(lines):
    try:
        try:
            raise KeyError("anna@example.com")
        except KeyError as cause:
            raise StoreUnavailable("subject: secret plans") from cause
    except StoreUnavailable:
        emit(Event.POLL_FAILED, level=logging.ERROR, error="internal_error")

    (line,) = lines()
    raised = json.loads(line)["raised"]
    assert [text.split()[0] for text in raised] == ["StoreUnavailable", "KeyError"]
    assert all(re.fullmatch(r"\w+ at test_events\.py:\d+", text) for text in raised)


def test_an_error_that_follows_from_no_exception_is_one_line_too(lines):
    emit(Event.MESSAGE_QUARANTINED, level=logging.ERROR, error="source_misbehaved")

    (line,) = lines()
    assert json.loads(line) == {"event": "message.quarantined", "error": "source_misbehaved"}


def test_libraries_log_only_their_errors(caplog):
    for level in (logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger("some.library").log(level, "GET /users/anna@example.com/messages")

    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_the_alerts_find_the_event_also_behind_what_a_logger_puts_before_it(lines):
    (expression,) = re.findall(r"extract\(@'(.*?)', 0, Message\)", ALERTS.read_text())
    emit(Event.MAILBOX_FAILING, level=logging.ERROR, mailbox="m1", raised={"a": 1})

    (line,) = lines()
    for message in (line, f"mailroom: {line}", f"{line}\nTraceback (most recent call last):\n  {{}}"):
        assert json.loads(re.search(expression, message)[0])["event"] == "mailbox.failing"
