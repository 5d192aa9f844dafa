"""Older mail is imported when somebody asks for it, counted first and behind new mail (req D6)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.application import imports, quarantine
from shared.application.ports.platform import PollRequest
from shared.application.ports.tickets import Commit
from shared.domain.errors import Conflict, Invalid, SourceUnavailable
from shared.domain.imports import ImportState
from shared.domain.outbox import EventType
from shared.domain.webhooks import Subscription
from tests.intake.mail import mail

FROM = datetime(2026, 1, 1, tzinfo=UTC)


class Queue:
    """The queue of polls, of which a test takes what was put there."""

    def __init__(self) -> None:
        self.waiting: list[tuple[PollRequest, timedelta]] = []

    def put(self, request: PollRequest, delay: timedelta = timedelta()) -> None:
        self.waiting.append((request, delay))


@pytest.fixture
def office(desk):
    """A mailbox with a year of old mail: one message each month, read since."""
    for month in range(1, 11):
        _arrive(desk, f"Month {month}", datetime(2026, month, 15, tzinfo=UTC))
    desk = replace(desk, services=replace(desk.services, polls=Queue()))
    desk.poll()
    return desk


def _arrive(desk, subject: str, at: datetime, **headers: str) -> None:
    number = len(desk.provider.messages) + 1
    desk.provider.arrivals[number] = at
    desk.provider.deliver(mail(subject, id_=f"<{number}@x>", **headers))


def begin(desk, **asked):
    return imports.create(desk.services, desk.mailbox, {"since": FROM.isoformat(), **asked})


def work(desk, parts: int = 1000) -> None:
    """As the queue would have it done."""
    queue = desk.services.polls
    while queue.waiting and parts:
        request, delay = queue.waiting.pop(0)
        desk.clock.now += delay
        imports.work(desk.services, request)
        parts -= 1


def now(desk):
    return imports.of_mailbox(desk.services, desk.mailbox.id)[0]


def found(desk):
    return desk.services.imports.get(now(desk).id)


def test_older_mail_is_only_counted_until_somebody_starts_its_import(office):
    begin(office)

    work(office)

    assert (now(office).state, now(office).found, now(office).found_is_exact) == (ImportState.PLANNED, 10, True)
    assert office.tickets() == []


def test_an_import_that_was_started_takes_in_what_was_counted(office):
    begin(office)
    work(office)

    imports.start(office.services, found(office))
    work(office)

    assert (now(office).state, now(office).listed, now(office).outcomes) == (ImportState.DONE, 10, {"created": 10})
    assert len(office.tickets()) == 10
    assert office.provider.settled == {}


def test_an_import_that_needs_no_plan_begins_when_it_is_counted(office):
    begin(office, plan=False)

    work(office)

    assert (now(office).found, now(office).state, len(office.tickets())) == (10, ImportState.DONE, 10)


def test_only_mail_of_the_time_asked_for_is_imported(office):
    begin(office, since="2026-03-01T00:00:00Z", until="2026-06-01T00:00:00Z", plan=False)

    work(office)

    assert now(office).found == 3
    assert [ticket.subject for ticket in office.tickets()] == ["Month 3", "Month 4", "Month 5"]


def test_tickets_get_the_dates_of_their_messages(office):
    _arrive(office, "Re: Month 2", datetime(2026, 8, 1, tzinfo=UTC), In_Reply_To="<2@x>")
    begin(office, plan=False)

    work(office)

    tickets = {ticket.subject: ticket for ticket in office.tickets()}
    assert tickets["Month 1"].created_at == datetime(2026, 1, 15, tzinfo=UTC)
    assert tickets["Month 2"].created_at == datetime(2026, 2, 15, tzinfo=UTC)
    assert tickets["Month 2"].updated_at == datetime(2026, 8, 1, tzinfo=UTC)


def test_what_was_taken_in_before_is_a_duplicate(office):
    begin(office, plan=False)
    work(office)
    begin(office, plan=False)

    work(office)

    assert now(office).outcomes == {"duplicate": 10}
    assert len(office.tickets()) == 10


def test_new_mail_is_never_taken_in_by_an_import(office):
    begin(office, plan=False)
    office.configure(enabled=False)  # so that no poll takes it in first
    office.services.mailboxes.all()
    _arrive(office, "New", office.clock.now + timedelta(minutes=1))

    work(office)

    assert (now(office).state, now(office).listed) == (ImportState.DONE, 10)
    assert "New" not in [ticket.subject for ticket in office.tickets()]


def test_a_long_import_goes_on_from_where_it_was_and_new_mail_comes_first(office):
    for number in range(200):
        _arrive(office, f"Old {number}", FROM + timedelta(hours=number))
    begin(office)
    work(office)
    imports.start(office.services, found(office))
    work(office, parts=1)
    progress = now(office)
    _arrive(office, "New", office.clock.now + timedelta(minutes=1))

    work(office, parts=1)
    newest = [ticket.subject for ticket in office.tickets()][progress.listed]
    work(office)

    assert (progress.state, progress.listed) == (ImportState.RUNNING, 200)
    assert newest == "New"
    assert (now(office).state, now(office).outcomes) == (ImportState.DONE, {"created": 210})


def test_between_its_parts_an_import_rests(office):
    for number in range(200):
        _arrive(office, f"Old {number}", FROM + timedelta(hours=number))
    begin(office, plan=False)
    work(office, parts=2)

    assert [delay > timedelta() for _, delay in office.services.polls.waiting] == [True]


def test_each_part_is_on_record_with_counts_that_add_up(office):
    begin(office, plan=False)
    work(office)

    (run,) = [run for run in office.runs() if run.reason == "import"]
    assert (run.listed, run.outcomes) == (10, {"created": 10})


def test_an_import_that_is_cancelled_takes_in_no_more(office):
    for number in range(200):
        _arrive(office, f"Old {number}", FROM + timedelta(hours=number))
    begin(office, plan=False)
    work(office, parts=2)

    imports.cancel(office.services, found(office))
    work(office)

    assert (now(office).state, now(office).listed) == (ImportState.CANCELLED, 200)
    assert len(office.tickets()) == 200


def test_a_part_that_fails_is_tried_again_later_and_told(office):
    begin(office, plan=False)
    office.provider.down = SourceUnavailable("the server is down", retry_after=timedelta(minutes=30))
    work(office, parts=1)
    failing, (_, delay) = now(office), office.services.polls.waiting[0]
    office.provider.down = None

    work(office)

    assert (failing.state, failing.failures, failing.error_code) == (ImportState.COUNTING, 1, "source_unavailable")
    assert delay == timedelta(minutes=30)
    assert (now(office).state, now(office).failures, now(office).error) == (ImportState.DONE, 0, None)


def test_an_import_that_keeps_failing_gives_up_and_can_be_started_again(office):
    begin(office, plan=False)
    office.provider.down = SourceUnavailable("the server is down")
    work(office)
    failed = now(office)
    office.provider.down = None

    imports.start(office.services, found(office))
    work(office)

    assert (failed.state, failed.failures) == (ImportState.FAILED, 10)
    assert (now(office).state, now(office).listed) == (ImportState.DONE, 10)


def test_a_cursor_that_expired_lists_again_what_receipts_recognise(office):
    for number in range(200):
        _arrive(office, f"Old {number}", FROM + timedelta(hours=number))
    begin(office, plan=False)
    work(office, parts=2)
    office.configure(enabled=False)  # so that only the import meets it
    office.services.mailboxes.all()
    office.provider.forgets_cursors = True

    work(office)

    assert now(office).outcomes == {"duplicate": 200, "created": 210}


def test_a_message_that_fails_is_put_in_quarantine_at_once_and_holds_up_no_other(office):
    office.provider.unfetchable = {3}
    begin(office, plan=False)

    work(office)

    assert now(office).outcomes == {"created": 9, "quarantined": 1}
    (entry,) = office.quarantine()
    assert (entry.attempts, entry.terms.silent, entry.terms.original_dates) == (1, True, True)
    assert office.state().deferred == ()


@pytest.mark.parametrize(("silent", "owed"), [(True, 0), (False, 10)])
def test_nobody_is_told_of_what_is_imported_in_silence(office, listener, silent, owed):
    begin(office, plan=False, silent=silent)

    work(office)

    assert len(office.services.tickets.outbox(office.mailbox.id)) == owed


@pytest.fixture
def listener(desk):
    """Somebody who is told of events."""
    subscription = Subscription(
        id=f"listener-{desk.mailbox.id}",
        created_at=desk.clock.now,
        name="Listener",
        url="https://hooks.example.com/",
        signing_secret="hook",
        events=[EventType.TICKET_CREATED],
    )
    etag = desk.services.subscriptions.add(subscription)
    yield
    desk.services.subscriptions.delete(subscription.id, etag)


def test_mail_whose_provider_tells_no_dates_is_chosen_by_its_own(desk):
    desk = replace(desk, services=replace(desk.services, polls=Queue()))
    source = {**desk.mailbox.model_dump()["source"], "kind": "pop3"}
    del source["folders"], source["mailbox"]
    mailbox = desk.mailbox.model_validate({**desk.mailbox.model_dump(), "source": source})
    desk.configure(source=mailbox.source)
    desk.provider.deliver(
        mail("Old", id_="<1@x>", Date="Mon, 1 Jun 2026 09:00:00 +0000"),
        mail("Too old", id_="<2@x>", Date="Sun, 1 Jun 2025 09:00:00 +0000"),
        mail("New", id_="<3@x>", Date="Sun, 22 Nov 2026 09:00:00 +0000"),
    )
    desk.provider.tells_dates = False
    imports.create(desk.services, mailbox, {"since": FROM.isoformat(), "plan": False})
    desk.configure(source=mailbox.source, enabled=False)
    desk.services.mailboxes.all()

    work(desk)

    assert [ticket.subject for ticket in desk.tickets()] == ["Old"]
    assert (now(desk).found, now(desk).found_is_exact, now(desk).left_out) == (3, False, 2)


@pytest.mark.parametrize(
    ("asked", "problems"),
    [
        ({"since": "2027-01-01T00:00:00Z"}, {"$.since": "must not be in the future"}),
        ({"since": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"}, {"$.until": "must not be in the future"}),
        ({"since": "2026-05-01T00:00:00Z", "until": "2026-04-01T00:00:00Z"}, {"$.until": "must not be before `since`"}),
        ({}, {"$.since": "is missing"}),
        (
            {"since": "yesterday", "silent": "no", "all": True},
            {
                "$.since": "must be a time with its offset from UTC, such as 2026-01-31T00:00:00Z",
                "$.silent": "must be true or false",
                "$.all": "is not known here",
            },
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_every_problem(office, asked, problems):
    with pytest.raises(Invalid) as refused:
        imports.create(office.services, office.mailbox, asked)

    assert {problem.path: problem.message for problem in refused.value.problems} == problems
    assert imports.of_mailbox(office.services, office.mailbox.id) == []


def test_one_import_of_a_mailbox_goes_on_at_a_time(office):
    begin(office)

    with pytest.raises(Conflict):
        begin(office)


def test_an_import_starts_and_ends_once(office):
    begin(office, plan=False)
    work(office)

    for change in (imports.start, imports.cancel):
        with pytest.raises(Conflict):
            change(office.services, found(office))


def test_a_request_that_comes_twice_or_late_does_nothing(office):
    ours = begin(office, plan=False)
    work(office)

    imports.work(office.services, PollRequest(office.mailbox.id, "import", "late", import_id=ours.id))
    imports.work(office.services, PollRequest(office.mailbox.id, "import", "late", import_id="import-unknown"))

    assert len(office.tickets()) == 10
    assert office.services.polls.waiting == []


def test_requests_that_come_twice_do_not_multiply(office):
    for number in range(200):
        _arrive(office, f"Old {number}", FROM + timedelta(hours=number))
    begin(office, plan=False)
    queue, handled = office.services.polls, 0
    while queue.waiting:
        request, _ = queue.waiting.pop(0)
        for _ in range(2):
            imports.work(office.services, request)
        handled += 1

    assert handled == 3
    assert now(office).outcomes == {"created": 210}


def test_a_part_that_ends_before_it_is_on_record_is_repeated(office):
    """A worker that dies has put the next request on the queue; its own comes again."""
    begin(office, plan=False)
    before = found(office)
    work(office, parts=1)
    office.services.imports.replace(before.value, found(office).etag)
    office.services.polls.put(
        PollRequest(office.mailbox.id, "import", before.value.next_part, import_id=before.value.id)
    )

    work(office)

    assert (now(office).state, now(office).found, now(office).listed) == (ImportState.DONE, 10, 10)


def test_what_failed_in_an_import_is_tried_again_on_its_terms(office, listener):
    begin(office, plan=False)
    office.provider.unfetchable = {3}
    work(office)
    (entry,) = office.quarantine()
    bytes_found = replace(entry, raw=office.services.raws.keep(office.mailbox.id, office.provider.messages[3]))

    (unfetched,) = quarantine.retry(office.services, office.mailbox, [entry.id])
    office.services.tickets.commit(office.mailbox.id, Commit(quarantined=[bytes_found]))
    (retried,) = quarantine.retry(office.services, office.mailbox, [entry.id])

    assert unfetched.reason == "to_be_imported_again"
    assert retried.ticket == "SUP-10"
    assert office.services.tickets.outbox(office.mailbox.id) == []


def test_an_import_whose_request_was_lost_is_woken_and_no_other(office):
    ours = begin(office, plan=False)
    assert _woken(office, ours, minutes=0) == []

    (request,) = _woken(office, ours, minutes=31)
    imports.work(office.services, request)
    work(office)

    assert (now(office).state, now(office).listed) == (ImportState.DONE, 10)
    assert _woken(office, ours, minutes=120) == []


def _woken(desk, ours, minutes: int) -> list[PollRequest]:
    """What is put on the queue for that import when somebody looks after so long."""
    desk.services.polls.waiting.clear()
    desk.clock.advance(minutes=minutes)
    desk.services.imports.all()
    imports.wake(desk.services)
    woken = [request for request, _ in desk.services.polls.waiting if request.import_id == ours.id]
    desk.services.polls.waiting.clear()
    return woken
