"""What a poll tells: from the timer to the message, with one correlation, and on the thread of the invocation."""

import json
import logging
import threading
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from shared.application.poll import poll
from shared.application.ports.platform import PollRequest
from shared.application.schedule import schedule_polls
from shared.domain.errors import SourceUnavailable

MAIL = b"Message-ID: <a@x>\r\nFrom: Anna <anna@example.com>\r\nSubject: Secret\r\n\r\nhello"


class Collected(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def events(self) -> list[dict]:
        return [json.loads(record.getMessage()) for record in self.records]

    def named(self, name: str) -> list[dict]:
        return [each for each in self.events if each["event"] == name]


@pytest.fixture
def told():
    log, collected = logging.getLogger("mailroom"), Collected()
    before = log.level
    log.setLevel(logging.INFO)
    log.addHandler(collected)
    yield collected
    log.removeHandler(collected)
    log.setLevel(before)


@dataclass
class Requests:
    """A queue that can be looked into."""

    sent: list[PollRequest] = field(default_factory=list)

    def put(self, request: PollRequest, delay: timedelta = timedelta()) -> None:
        self.sent.append(request)


@dataclass
class OneMailbox:
    """The mailboxes of an installation that has only this one; other tests share the storage."""

    desk: object

    def all(self):
        return [self.desk.services.mailboxes.get(self.desk.mailbox.id)]


@pytest.fixture
def installation(desk):
    return replace(desk.services, polls=Requests(), mailboxes=OneMailbox(desk))


def test_one_correlation_leads_from_the_tick_to_the_message(desk, installation, told):
    desk.provider.deliver(MAIL)
    desk.provider.unfetchable = {1}

    schedule_polls(installation)
    (request,) = installation.polls.sent
    poll(desk.services, request)

    tick, deferred, finished = told.events
    assert tick == {"event": "polls.scheduled", "correlation": request.correlation_id, "due": 1, "enabled": 1}
    assert (deferred["event"], finished["event"]) == ("message.deferred", "poll.finished")
    for each in (deferred, finished):
        assert (each["correlation"], each["mailbox"]) == (request.correlation_id, desk.mailbox.id)


def test_a_message_in_quarantine_is_named_in_the_log_as_it_is_there(desk, told):
    desk.provider.deliver(MAIL)
    desk.provider.unfetchable = {1}
    for _ in range(3):
        desk.poll()

    (event,) = told.named("message.quarantined")

    assert event["message"] == desk.quarantine()[0].id


def test_every_event_comes_from_the_thread_that_the_host_knows(desk, told):
    desk.provider.deliver(MAIL, *(b"Message-ID: <%d@x>\r\n\r\nhello" % number for number in range(40)))
    desk.provider.unfetchable = {1, 30}
    for _ in range(3):
        desk.poll()

    assert len(told.named("message.quarantined")) == 2
    assert {record.thread for record in told.records} == {threading.get_ident()}


def test_the_tick_is_told_also_when_nothing_is_due(desk, installation, told):
    schedule_polls(installation)
    schedule_polls(installation)

    assert [(each["due"], each["enabled"]) for each in told.named("polls.scheduled")] == [(1, 1), (0, 1)]


def test_a_mailbox_is_told_to_be_failing_from_its_third_failure_on_until_it_recovers(desk, told):
    desk.provider.down = SourceUnavailable("the server is away")
    for failures in range(4):
        desk.poll(failures=failures)
    desk.provider.down = None
    desk.poll(failures=4)

    assert [each["event"] for each in told.events] == [
        *["poll.failed"] * 3,
        "mailbox.failing",
        "poll.failed",
        "mailbox.failing",
        "poll.finished",
        "mailbox.recovered",
    ]


def test_nothing_of_the_mail_is_told(desk, told):
    desk.provider.deliver(MAIL)

    desk.poll()

    text = " ".join(record.getMessage() for record in told.records)
    assert not any(word in text for word in ("anna", "example.com", "Secret", "hello"))
