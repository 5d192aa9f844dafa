"""When mailboxes are polled (req O1), and the switch for all of them (req O10)."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise

import pytest
from fastapi.testclient import TestClient

from shared.application.poll import poll
from shared.application.ports.platform import PollRequest
from shared.application.schedule import MADE_UP_AFTER, schedule_polls
from shared.application.services import Services
from shared.domain.health import MailboxHealth
from shared.domain.mailbox import Mailbox
from shared.domain.schedule import next_due
from tests.api.conftest import IMAP
from tests.clock import MovableClock


@dataclass
class Requests:
    """A queue that can be looked into."""

    sent: list[tuple[str, timedelta]] = field(default_factory=list)

    def put(self, request: PollRequest, delay: timedelta = timedelta()) -> None:
        self.sent.append((request.mailbox_id, delay))


@dataclass
class Documents:
    """The mailboxes of an installation that has very many."""

    documents: list[Mailbox]

    def all(self):
        return [_Stored(each) for each in self.documents]


@dataclass
class _Stored:
    value: Mailbox


def many(services: Services, count: int) -> tuple[Services, Requests]:
    documents = [
        Mailbox(
            id=f"mailbox-{number}",
            created_at=services.clock(),
            name=f"Mailbox {number}",
            address=f"m{number}@example.com",
            ticket_prefix=f"M{number}",
            source=IMAP,
        )
        for number in range(count)
    ]
    requests = Requests()
    return replace(services, mailboxes=Documents(documents), polls=requests), requests


@pytest.fixture
def thousand(services: Services):
    installed, requests = many(services, 1000)
    yield installed, requests
    for each in services.schedule.all():
        services.schedule.delete(each.mailbox_id)


def test_a_thousand_mailboxes_that_are_overdue_begin_one_after_the_other(thousand):
    services, requests = thousand

    schedule_polls(services)

    per_second = Counter(delay // timedelta(seconds=1) for _, delay in requests.sent)
    assert (len(requests.sent), max(per_second), {*per_second.values()}) == (1000, 49, {20})


def test_the_least_recently_polled_mailboxes_come_first(services: Services, clock: MovableClock):
    services, requests = many(services, 4)
    for number, minutes in [(0, 10), (1, 30), (3, 20)]:
        polled_at = clock() - timedelta(minutes=minutes)
        services.schedule.put(MailboxHealth(f"mailbox-{number}", clock(), last_polled_at=polled_at))

    schedule_polls(services)

    assert [mailbox_id for mailbox_id, _ in requests.sent] == ["mailbox-2", "mailbox-1", "mailbox-3", "mailbox-0"]
    for each in services.schedule.all():
        services.schedule.delete(each.mailbox_id)


def test_each_mailbox_is_queued_once_for_its_own_second_until_it_was_polled(services: Services, clock: MovableClock):
    services, requests = many(services, 1)
    due = clock() + timedelta(seconds=90)
    services.schedule.put(MailboxHealth("mailbox-0", due))

    for _ in range(4):
        schedule_polls(services)
        clock.advance(minutes=1)

    assert requests.sent == [("mailbox-0", timedelta(seconds=30))]
    services.schedule.delete("mailbox-0")


def test_a_request_that_got_lost_is_made_up_for(services: Services, clock: MovableClock):
    services, requests = many(services, 1)

    schedule_polls(services)
    clock.now += MADE_UP_AFTER
    schedule_polls(services)

    assert [mailbox_id for mailbox_id, _ in requests.sent] == ["mailbox-0"] * 2
    services.schedule.delete("mailbox-0")


def test_what_is_wrong_with_a_schedule_is_all_told_and_nothing_saved(api: TestClient, support):
    support["schedule"] = {"cron": "99 * * * MUN", "time_zone": "Mars/Olympus", "interval_seconds": 1}

    answer = api.post("/api/mailboxes", json=support)

    assert answer.status_code == 422
    assert {(each["path"], each["message"]) for each in answer.json()["problems"]} == {
        ("$.schedule.interval_seconds", "must be greater than or equal to 10"),
        ("$.schedule.cron", "cannot have 99 as its minute nor MUN as its day of week"),
        ("$.schedule.time_zone", "must be a time zone such as Europe/Berlin or UTC"),
    }
    assert api.get("/api/mailboxes").json()["mailboxes"] == []


def switch(api: TestClient, *, on: bool) -> None:
    current = api.get("/api/installation")
    answer = api.put(
        "/api/installation",
        json={**current.json(), "email_to_ticket": on},
        headers={"If-Match": current.headers["ETag"]},
    )
    assert (answer.status_code, answer.json()["email_to_ticket"]) == (200, on)


def test_nothing_is_queued_nor_polled_while_email_to_ticket_is_off_and_all_at_once_after_it(
    api: TestClient, services: Services, support
):
    requests = Requests()
    services = replace(services, polls=requests, open_source=_no_source)
    mailbox_id = api.post("/api/mailboxes", json=support).json()["id"]

    switch(api, on=False)
    schedule_polls(services)
    poll(services, PollRequest(mailbox_id, "demand", "test"))
    while_off = [*requests.sent]
    switch(api, on=True)
    schedule_polls(services)

    assert (while_off, [each for each, _ in requests.sent]) == ([], [mailbox_id])


def _no_source(*_):
    raise AssertionError("nothing is to be polled")


def test_health_says_that_email_to_ticket_is_off(api: TestClient):
    switch(api, on=False)

    health = api.get("/api/health").json()
    switch(api, on=True)

    assert "switched off" in str(health["findings"])


def test_nobody_can_ask_for_a_poll_while_email_to_ticket_is_off(api: TestClient, support):
    mailbox_id = api.post("/api/mailboxes", json=support).json()["id"]
    switch(api, on=False)

    answer = api.post(f"/api/mailboxes/{mailbox_id}/poll")
    switch(api, on=True)

    assert (answer.status_code, answer.json()["detail"]) == (409, "email to ticket is switched off")


def test_the_settings_of_the_installation_are_changed_by_whoever_has_read_them(api: TestClient):
    read = api.get("/api/installation")
    tag = {"If-Match": read.headers["ETag"]}

    wrong = api.put(
        "/api/installation", json={"email_to_ticket": "maybe", "alert_addresses": ["x"], "y": 1}, headers=tag
    )
    first = api.put("/api/installation", json={"alert_addresses": ["ops@example.com"]}, headers=tag)
    second = api.put("/api/installation", json={"alert_addresses": []}, headers=tag)
    api.put("/api/installation", json={}, headers={"If-Match": "*"})

    assert {each["path"] for each in wrong.json()["problems"]} == {"$.email_to_ticket", "$.alert_addresses[0]", "$.y"}
    assert (first.status_code, first.json()["alert_addresses"], second.status_code) == (200, ["ops@example.com"], 412)


def test_polls_come_as_often_as_the_interval_says(services: Services, clock: MovableClock):
    """Over an hour, with a tick a minute and polls that begin when their message becomes visible."""
    services, requests = many(services, 1)
    (mailbox,) = services.mailboxes.documents
    begun = []
    for _ in range(60):
        schedule_polls(services)
        for _, delay in requests.sent:
            begun.append(clock() + delay)
            services.schedule.put(MailboxHealth("mailbox-0", next_due(mailbox.schedule, "mailbox-0", begun[-1])))
        requests.sent.clear()
        clock.advance(minutes=1)

    assert {later - earlier for earlier, later in pairwise(begun[2:])} == {timedelta(minutes=5)}
    assert len(begun) in (12, 13)
    services.schedule.delete("mailbox-0")
