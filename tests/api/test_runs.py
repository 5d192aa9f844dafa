"""Every run is on record with counts that add up, one by one and by the hour (req O8)."""

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from shared.application.handing_in import hand_in
from shared.application.ports.tickets import Commit
from shared.application.services import Services
from shared.domain.intake import MailboxState, PollRun, with_run
from tests.clock import MovableClock


def mailbox(api: TestClient, settings: dict) -> str:
    return api.post("/api/mailboxes", json=settings).json()["id"]


def record(services: Services, mailbox_id: str, created: int = 0, error: str | None = None) -> None:
    """A run now, as the end of a poll stores it."""
    state, etag = services.tickets.state(mailbox_id)
    now = services.clock()
    run = PollRun(now, now, "schedule", created, {"created": created} if created else {}, {}, error)
    sums = with_run(state.sums, run)
    services.tickets.commit(mailbox_id, Commit(MailboxState(sums=sums), etag, run=run))


def listed(api: TestClient, **query) -> list[tuple[str, int, str | None]]:
    """Page by page, to the end."""
    found, continuation = [], None
    while True:
        page = api.get("/api/runs", params=query | ({"continuation": continuation} if continuation else {})).json()
        found += [(each["mailbox_id"], each["listed"], each["error_code"]) for each in page["runs"]]
        continuation = page["continuation"]
        if continuation is None:
            return found


@pytest.fixture
def two(api: TestClient, services: Services, clock: MovableClock, support, billing) -> tuple[str, str]:
    """Runs of two mailboxes at the same times, some of which failed."""
    ids = mailbox(api, support), mailbox(api, billing)
    for number in range(1, 8):
        for mailbox_id in ids:
            record(services, mailbox_id, number, "throttled" if number in (2, 6) else None)
        clock.advance(minutes=20)
    return ids


def test_the_runs_of_all_mailboxes_are_listed_newest_first_each_once(api: TestClient, two):
    found = listed(api, limit=3)

    assert len(found) == len(set(found)) == 14
    assert [each[1] for each in found] == sorted((each[1] for each in found), reverse=True)


def test_runs_are_found_by_mailbox_result_and_time(api: TestClient, clock: MovableClock, two):
    since = (clock() - timedelta(minutes=45)).isoformat()

    assert listed(api, mailbox=two[0], failed=True) == [(two[0], 6, "throttled"), (two[0], 2, "throttled")]
    assert [each[1] for each in listed(api, mailbox=two[1], failed=False)] == [7, 5, 4, 3, 1]
    assert [each[1] for each in listed(api, since=since)] == [7, 7, 6, 6]
    assert [each[1] for each in listed(api, mailbox=two[0], until=since)] == [5, 4, 3, 2, 1]


def test_hours_add_up_to_the_runs_in_them(api: TestClient, two):
    one = api.get("/api/runs/hours", params={"mailbox": two[0]}).json()["hours"]
    both = api.get("/api/runs/hours").json()["hours"]

    assert [(each["hour"][11:13], each["runs"], each["failed"], each["outcomes"]) for each in one] == [
        ("10", 3, 1, {"created": 6}),
        ("11", 3, 1, {"created": 15}),
        ("12", 1, 0, {"created": 7}),
    ]
    assert [each["listed"] for each in both] == [12, 30, 14]
    assert all(each["listed"] == sum(each["outcomes"].values()) for each in both)


def test_hours_can_be_asked_for_by_their_time(api: TestClient, two):
    found = api.get("/api/runs/hours", params={"since": "2026-11-21T11:00:00Z", "until": "2026-11-21T12:00:00Z"})

    assert [each["hour"] for each in found.json()["hours"]] == ["2026-11-21T11:00:00Z"]


def test_what_is_handed_in_counts_too(api: TestClient, services: Services, clock: MovableClock, support):
    mailbox_id = mailbox(api, support)
    hand_in(services, services.mailboxes.get(mailbox_id).value, [b"Subject: one\r\n\r\nx", b"Subject: two\r\n\r\nx"])
    clock.advance(seconds=1)

    (hour,) = api.get("/api/runs/hours").json()["hours"]
    (run,) = api.get("/api/runs").json()["runs"]

    assert (hour["outcomes"], run["outcomes"], run["reason"]) == ({"created": 2}, {"created": 2}, "http")


def test_a_run_of_a_worker_whose_clock_is_behind_is_not_lost_from_the_sums(services: Services, clock: MovableClock):
    now = clock()
    sums = None
    for started_at in (now, now - timedelta(hours=1), now):
        sums = with_run(sums, PollRun(started_at, now, "schedule", 1, {"created": 1}, {}))

    assert (sums.hour, sums.runs, sums.outcomes) == (now, 3, {"created": 3})


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"since": "yesterday"}, "query.since"),
        ({"since": "2026-11-21T10:00:00"}, "query.since"),
        ({"since": "2026-11-21T10:00:00Z", "until": "2026-11-20T10:00:00Z"}, "query.since"),
        ({"since": "2025-11-21T10:00:00Z"}, "query.since"),
        ({"until": "0001-01-01T00:00:00Z"}, "query.until"),
        ({"until": "9999-12-31T23:59:59Z"}, "query.until"),
        ({"limit": "0"}, "query.limit"),
        ({"failed": "perhaps"}, "query.failed"),
        ({"continuation": "x"}, "query.continuation"),
        ({"continuation": "0001-01-01T00:00:00+14:00|x"}, "query.continuation"),
    ],
)
def test_what_makes_no_sense_is_refused(api: TestClient, query, path: str):
    answer = api.get("/api/runs", params=query)

    assert (answer.status_code, [each["path"] for each in answer.json()["problems"]]) == (422, [path])


def test_an_unknown_mailbox_has_no_runs_to_ask_for(api: TestClient):
    assert api.get("/api/runs?mailbox=nobody").status_code == 404
    assert api.get("/api/runs/hours?mailbox=nobody").status_code == 404
