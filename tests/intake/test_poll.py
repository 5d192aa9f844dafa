"""From a mailbox to tickets, on real storage."""

import json
import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.application.poll import PAGE_BUDGET, TIME_BUDGET
from shared.application.ports.tickets import Commit
from shared.domain.errors import CredentialsRejected, SourceUnavailable, Throttled
from shared.domain.settlement import Keep
from shared.domain.ticket import Status
from tests.intake.mail import mail


def test_a_message_that_belongs_to_no_ticket_makes_a_new_one(desk):
    desk.provider.deliver(mail("My printer jams", id_="<1@x>"))

    desk.poll()

    (ticket,) = desk.tickets()
    assert (ticket.tag, ticket.subject, ticket.status) == ("SUP-1", "My printer jams", Status.NEW)
    assert (ticket.requester.address, ticket.requester.name) == ("ann@example.org", "Ann")
    (comment,) = desk.comments(1)
    assert comment.text.strip() == "Text of My printer jams"
    assert desk.services.raws.get(desk.mailbox.id, comment.raw) == desk.provider.messages[1]


def test_what_was_fetched_before_the_connection_broke_is_taken_in_and_what_failed_is_counted(desk):
    desk.provider.deliver(mail("First", id_="<1@x>"), mail("Broken", id_="<2@x>"), mail("Last", id_="<3@x>"))
    desk.provider.unfetchable.add(2)
    desk.provider.breaking.add(3)

    for _ in range(3):
        desk.poll()

    assert [ticket.subject for ticket in desk.tickets()] == ["First"]
    assert [entry.ref.id for entry in desk.services.tickets.quarantine(desk.mailbox.id)] == ["2"]


def test_a_message_is_settled_after_its_ticket_is_stored(desk):
    desk.provider.deliver(mail(id_="<1@x>"))

    desk.poll()

    assert desk.provider.settled == {1: "mark_read"}


def test_a_mailbox_that_keeps_its_messages_is_not_touched(desk):
    desk.configure(settlement=Keep())
    desk.provider.deliver(mail(id_="<1@x>"))

    desk.poll()

    assert desk.provider.settled == {}
    assert len(desk.tickets()) == 1


def test_a_backlog_of_several_pages_is_taken_in_whole_and_numbered_without_gaps(desk):
    desk.provider.deliver(*(mail(f"Case {number}", id_=f"<{number}@x>") for number in range(1, 251)))

    desk.poll()

    assert [ticket.number for ticket in desk.tickets()] == [*range(1, 251)]
    assert [ticket.subject for ticket in desk.tickets()] == [f"Case {number}" for number in range(1, 251)]
    assert len(desk.provider.settled) == 250
    (run,) = desk.runs()
    assert (run.listed, run.outcomes) == (250, {"created": 250})


def test_a_message_that_is_listed_twice_on_a_page_is_counted_once(desk):
    desk.provider.deliver(mail(id_="<1@x>"), mail(id_="<2@x>"))
    desk.provider.repeats = True

    desk.poll()

    (run,) = desk.runs()
    assert (run.listed, run.outcomes) == (2, {"created": 2})


def test_a_reply_is_appended_to_the_ticket_of_the_message_it_answers(desk):
    desk.provider.deliver(mail(id_="<1@x>"))
    desk.poll()
    desk.provider.deliver(mail("Re: Printer", id_="<2@x>", In_Reply_To="<1@x>"))

    desk.poll()

    (ticket,) = desk.tickets()
    assert ticket.comment_count == 2
    assert [comment.author.address for comment in desk.comments(1)] == ["ann@example.org", "ann@example.org"]


def test_a_reply_in_the_same_batch_finds_the_ticket_that_its_parent_makes(desk):
    desk.provider.deliver(
        mail(id_="<1@x>"),
        mail("Re: Printer", id_="<2@x>", In_Reply_To="<1@x>"),
        mail("Re: Printer", id_="<3@x>", References="<1@x> <2@x>"),
    )

    desk.poll()

    assert [ticket.comment_count for ticket in desk.tickets()] == [3]


def test_the_newest_reference_wins(desk):
    desk.provider.deliver(mail("One", id_="<1@x>"), mail("Two", id_="<2@x>"))
    desk.poll()
    desk.provider.deliver(mail("Re", id_="<3@x>", References="<1@x> <2@x>"))

    desk.poll()

    assert [ticket.comment_count for ticket in desk.tickets()] == [1, 2]


def test_a_tag_in_the_subject_appends_for_a_participant(desk):
    desk.provider.deliver(mail(id_="<1@x>"))
    desk.poll()
    desk.provider.deliver(mail("Re: [SUP-1] Printer", id_="<2@x>"))

    desk.poll()

    assert [ticket.comment_count for ticket in desk.tickets()] == [2]


def test_a_tag_finds_its_ticket_also_in_the_batch_that_makes_it(desk):
    desk.provider.deliver(mail(id_="<1@x>"), mail("Re: [SUP-1] Printer", id_="<2@x>"))

    desk.poll()

    assert [ticket.comment_count for ticket in desk.tickets()] == [2]


def test_a_stranger_who_guesses_a_tag_gets_a_linked_ticket_and_sees_nothing(desk):
    desk.provider.deliver(mail(id_="<1@x>"))
    desk.poll()
    desk.provider.deliver(mail("Re: [SUP-1] Printer", id_="<2@x>", sender="mallory@example.net"))

    desk.poll()

    assert [(ticket.comment_count, ticket.linked_to) for ticket in desk.tickets()] == [(1, (2,)), (1, (1,))]


@pytest.mark.parametrize(
    "subject", ["[SUP-99] never issued", "[XYZ-1] other prefix", "SUP-1 without brackets", "[SUP-0]"]
)
def test_a_tag_that_names_no_ticket_of_this_mailbox_is_only_text(desk, subject):
    desk.provider.deliver(mail(id_="<1@x>"))
    desk.poll()
    desk.provider.deliver(mail(subject, id_="<2@x>"))

    desk.poll()

    assert [ticket.linked_to for ticket in desk.tickets()] == [(), ()]


def test_a_copy_of_a_message_is_a_duplicate_in_the_same_batch_and_later(desk):
    one = mail(id_="<1@x>")
    desk.provider.deliver(one, one)
    desk.poll()
    desk.provider.deliver(mail(id_=" <1@X>"), mail("Other", id_="<2@x>"))

    desk.poll()

    assert [ticket.subject for ticket in desk.tickets()] == ["Printer", "Other"]
    assert [run.outcomes for run in reversed(desk.runs())] == [
        {"created": 1, "duplicate": 1},
        {"created": 1, "duplicate": 1},
    ]
    assert len(desk.provider.settled) == 4


def test_other_mail_under_a_reused_message_id_is_not_lost(desk):
    desk.provider.deliver(mail("First", id_="<same@x>"))
    desk.poll()
    second = mail("Second", id_="<same@x>", sender="bob@example.net")
    desk.provider.deliver(second, mail("Third", id_="<same@x>", sender="cy@example.net"), second)

    desk.poll()

    assert [ticket.subject for ticket in desk.tickets()] == ["First", "Second", "Third"]


def test_a_message_without_an_id_is_recognised_by_its_content(desk):
    desk.provider.deliver(mail("No id"), mail("No id"), mail("No id, other text"))

    desk.poll()

    assert [ticket.subject for ticket in desk.tickets()] == ["No id", "No id, other text"]


def test_a_cursor_that_expired_lists_everything_again_and_receipts_recognise_it(desk):
    desk.provider.deliver(*(mail(id_=f"<{number}@x>", Date="") for number in range(3)))
    desk.poll()
    desk.provider.forgets_cursors = True
    desk.provider.deliver(mail("New", id_="<new@x>"))

    desk.poll()

    assert len(desk.tickets()) == 4
    assert desk.runs()[0].outcomes == {"duplicate": 3, "created": 1}


def test_an_idle_poll_fetches_nothing_and_leaves_no_run(desk):
    desk.poll()
    desk.poll()

    assert desk.runs() == []
    assert desk.provider.fetched == 0
    assert desk.health().last_success_at is not None


def test_a_message_that_always_fails_to_be_fetched_goes_to_quarantine_and_holds_up_no_other(desk):
    desk.provider.deliver(mail("Bad", id_="<1@x>"), mail("Good", id_="<2@x>"))
    desk.provider.unfetchable = {1}

    desk.poll()
    assert [ticket.subject for ticket in desk.tickets()] == ["Good"]
    desk.poll()
    desk.poll()
    desk.poll()

    assert [run.outcomes for run in reversed(desk.runs())] == [
        {"deferred": 1, "created": 1},
        {"deferred": 1},
        {"quarantined": 1},
    ]
    (entry,) = desk.quarantine()
    assert (entry.attempts, entry.error_code) == (3, "message_error")
    assert desk.provider.settled == {2: "mark_read"}
    assert desk.state().deferred == ()


def test_a_message_in_quarantine_is_moved_to_the_folder_for_what_failed_and_no_sooner(desk):
    desk.configure(failed_folder="Failed")
    desk.provider.deliver(mail("Bad", id_="<1@x>"), mail("Good", id_="<2@x>"))
    desk.provider.unfetchable = {1}

    desk.poll()
    desk.poll()
    moved_while_deferred = dict(desk.provider.moved)
    desk.poll()

    assert moved_while_deferred == {}
    assert [entry.ref.id for entry in desk.quarantine()] == ["1"]
    assert desk.provider.moved == {1: "Failed"}


def test_a_message_in_quarantine_that_cannot_be_moved_stays_there(desk):
    desk.configure(failed_folder="Failed")
    desk.provider.deliver(mail("Bad", id_="<1@x>"))
    desk.provider.unfetchable = desk.provider.unsettleable = {1}

    for _ in range(4):
        desk.poll()

    assert [entry.ref.id for entry in desk.quarantine()] == ["1"]
    assert desk.health().error_code is None
    assert desk.provider.moved == {}


def test_a_message_that_fails_once_is_taken_in_at_the_next_poll(desk):
    desk.provider.deliver(mail("Shy", id_="<1@x>"))
    desk.provider.unfetchable = {1}
    desk.poll()
    desk.provider.unfetchable = set()

    desk.poll()

    assert [ticket.subject for ticket in desk.tickets()] == ["Shy"]
    assert desk.provider.settled == {1: "mark_read"}
    assert desk.state().deferred == ()


def test_a_message_that_vanished_between_listing_and_fetching_is_counted_as_ignored(desk):
    desk.provider.deliver(mail(id_="<1@x>"))
    desk.provider.unfetchable = {1}
    desk.poll()
    del desk.provider.messages[1]
    desk.provider.unfetchable = set()

    desk.poll()

    assert desk.runs()[0].outcomes == {"ignored": 1}
    assert desk.runs()[0].ignored == {"message_gone": 1}
    assert desk.state().deferred == ()


def test_a_message_that_cannot_be_settled_is_tried_again_and_never_taken_in_twice(desk):
    desk.provider.deliver(mail(id_="<1@x>"))
    desk.provider.unsettleable = {1}
    for _ in range(5):
        desk.poll()

    assert len(desk.tickets()) == 1
    assert [run.outcomes for run in reversed(desk.runs())] == [{"created": 1}, {"duplicate": 1}, {"duplicate": 1}]


def test_a_large_message_is_kept_whole_beside_small_ones(desk):
    noise = random.Random(7).randbytes(300_000).hex()  # noqa: S311 - text that does not compress much
    large = mail("Large", id_="<1@x>", body="\r\n".join(noise[i : i + 900] for i in range(0, len(noise), 900)))
    desk.provider.deliver(large, mail("Small", id_="<2@x>"))

    desk.poll()

    comment = desk.comments(1)[0]
    assert comment.is_cut
    assert desk.services.raws.get(desk.mailbox.id, comment.raw) == large
    assert len(desk.tickets()) == 2


def test_rejected_credentials_are_told_in_the_health_and_touch_nothing(desk):
    desk.provider.deliver(mail(id_="<1@x>"))
    desk.provider.down = CredentialsRejected("the server rejected the password", advice="Store the right password.")

    desk.poll()

    health = desk.health()
    assert (health.error_code, health.advice) == ("credentials_rejected", "Store the right password.")
    assert (health.consecutive_failures, health.last_success_at) == (1, None)
    assert desk.provider.settled == {}
    assert desk.runs()[0].error_code == "credentials_rejected"


def test_a_mailbox_that_recovers_is_healthy_again_and_keeps_when_it_last_succeeded(desk):
    desk.poll()
    succeeded_at = desk.health().last_success_at
    desk.provider.down = SourceUnavailable("no answer")
    desk.poll()
    assert desk.health().last_success_at == succeeded_at
    desk.provider.down = None

    desk.poll()

    health = desk.health()
    assert (health.consecutive_failures, health.error_code) == (0, None)
    assert health.last_success_at > succeeded_at


def test_a_throttled_mailbox_is_not_polled_before_the_provider_allows(desk):
    desk.provider.down = Throttled("slow down", retry_after=timedelta(minutes=90))
    started_at = desk.clock.now

    desk.poll()

    assert 90 <= (desk.health().next_due_at - started_at) / timedelta(minutes=1) <= 91


def test_a_worker_gives_way_while_another_holds_the_lease(desk):
    desk.provider.deliver(mail(id_="<1@x>"))
    state, etag = desk.services.tickets.state(desk.mailbox.id)
    leased = replace(state, lease_owner="other", lease_until=desk.clock.now + timedelta(minutes=5))
    desk.services.tickets.commit(desk.mailbox.id, Commit(leased, etag))

    desk.poll()
    assert desk.tickets() == []
    desk.poll()

    assert len(desk.tickets()) == 1


def test_a_disabled_mailbox_is_left_alone(desk):
    desk.provider.deliver(mail(id_="<1@x>"))
    desk.configure(enabled=False)

    desk.poll()

    assert desk.tickets() == []
    assert desk.health() is None


def test_a_backlog_is_noted_with_how_long_its_mail_waits_until_it_is_taken_in(desk, monkeypatch):
    monkeypatch.setattr("shared.application.poll.TIME_BUDGET", timedelta(seconds=-1))
    desk.provider.deliver(*(mail(f"Case {number}", id_=f"<{number}@x>") for number in range(1, 251)))
    began_at = desk.clock.now

    desk.poll()
    first = desk.health().backlog
    desk.poll()
    second = desk.health().backlog
    desk.poll()

    assert (first.since, first.wait, first.grows) == (began_at, timedelta(hours=1), True)
    assert (second.since, second.first_wait, second.wait) == (began_at, first.wait, timedelta(hours=1, minutes=5))
    assert desk.health().backlog is None
    assert len(desk.tickets()) == 250


def test_a_page_that_takes_too_long_is_given_up_and_read_in_small_steps_next(desk):
    """The function's timeout would end the polls of other mailboxes with it."""
    desk.provider.deliver(*(mail(f"Case {number}", id_=f"<{number}@x>") for number in range(1, 101)))
    desk.provider.before_fetch = lambda: desk.clock.advance(seconds=10)
    started_at = desk.clock.now

    desk.poll()
    took = desk.clock.now - started_at
    failed = desk.health()
    for _ in range(6):
        desk.poll(failures=1)

    assert (failed.error_code, failed.consecutive_failures) == ("source_unavailable", 1)
    assert took < timedelta(minutes=15)
    assert len(desk.tickets()) == 100
    assert all(run.listed == sum(run.outcomes.values()) for run in desk.runs())


def test_a_poll_may_take_less_time_than_its_function():
    host = json.loads(Path("host.json").read_text())
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))

    assert TIME_BUDGET < PAGE_BUDGET < timedelta(hours=hours, minutes=minutes, seconds=seconds) - timedelta(minutes=2)


def test_health_knows_that_something_is_in_quarantine(desk):
    desk.provider.deliver(mail(id_="<1@x>"))
    desk.provider.unfetchable.add(1)

    for _ in range(3):
        desk.poll()

    assert desk.health().quarantined_at == desk.clock.now - timedelta(minutes=5)


def test_copies_of_a_message_under_a_reused_id_are_counted_though_they_come_at_once(desk):
    other = mail("Two", id_="<1@x>", sender="bob@example.org")
    desk.provider.deliver(mail("One", id_="<1@x>"), other, other)

    desk.poll()

    assert desk.health().last_outcomes == {"created": 2, "duplicate": 1}
