"""What becomes of messages in quarantine when they are tried again (req O9)."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from shared.application import quarantine
from shared.application.ports.tickets import Commit, QuarantineChanged
from shared.application.quarantine import Retried
from shared.domain.errors import Invalid
from shared.domain.message import MessageRef
from shared.domain.outbox import EventType
from shared.domain.ticket import Outcome
from shared.domain.webhooks import Subscription
from tests.intake.mail import mail
from tests.intake.test_refused_data import POISON, choking

__all__ = ["choking"]


def quarantined(desk, *contents: bytes):
    """Have storage refuse these until they are in quarantine."""
    desk.provider.deliver(*contents)
    for _ in range(3):
        desk.poll()
    return desk.quarantine()


def retry(desk) -> list[Retried]:
    return quarantine.retry(desk.services, desk.mailbox, [each.id for each in desk.quarantine()])


def unfetched(desk):
    desk.provider.unfetchable = {1}
    (entry,) = quarantined(desk, mail("Shy", id_="<1@x>"))
    desk.provider.unfetchable = set()
    return entry


def test_a_message_that_fails_again_stays_with_one_attempt_more(choking):
    (entry,) = quarantined(choking, mail(POISON, id_="<bad@x>"))

    retried = retry(choking)

    assert retried == [Retried(entry.id, Outcome.QUARANTINED, "store_rejected")]
    (after,) = choking.quarantine()
    assert (after.attempts, after.at, after.raw) == (4, entry.at, entry.raw)
    assert choking.state().deferred == ()


def test_what_is_retried_makes_its_ticket_though_the_original_is_gone(choking, desk):
    (entry,) = quarantined(choking, mail(POISON, id_="<bad@x>"))
    desk.provider.messages.clear()

    (retried,) = retry(desk)

    assert retried == Retried(entry.id, Outcome.CREATED, "", "SUP-1")
    assert desk.quarantine() == []
    assert [ticket.subject for ticket in desk.tickets()] == [POISON]
    run = desk.runs()[0]
    assert (run.reason, run.listed, run.outcomes) == ("retry", 1, {"created": 1})


def test_many_are_retried_at_once_and_each_is_told(choking, desk):
    quarantined(choking, *(mail(f"{POISON} {number}", id_=f"<{number}@x>") for number in range(20)))

    retried = retry(desk)

    assert [each.outcome for each in retried] == [Outcome.CREATED] * 20
    assert len({each.ticket for each in retried}) == 20
    assert desk.quarantine() == []


def test_one_that_fails_holds_up_no_other(choking):
    (bad,) = quarantined(choking, mail(POISON, id_="<bad@x>"))
    good = twin_of(choking, bad)

    retried = {each.id: each.outcome for each in retry(choking)}

    assert retried == {bad.id: Outcome.QUARANTINED, good.id: Outcome.CREATED}
    assert [entry.id for entry in choking.quarantine()] == [bad.id]


@pytest.fixture
def listener(desk) -> Iterator[None]:
    """Somebody who is told of events."""
    subscription = Subscription(
        id=f"listener-{desk.mailbox.id}",
        created_at=desk.clock.now,
        name="Listener",
        url="https://hooks.example.com/",
        signing_secret="hook",
        events=[EventType.MESSAGE_QUARANTINED],
    )
    etag = desk.services.subscriptions.add(subscription)
    yield
    desk.services.subscriptions.delete(subscription.id, etag)


def twin_of(desk, entry):
    """Another message in quarantine, with nothing wrong."""
    pointer = desk.services.raws.keep(desk.mailbox.id, mail("Good", id_="<good@x>"))
    twin = replace(entry, ref=MessageRef("INBOX", "77"), raw=pointer)
    desk.services.tickets.commit(desk.mailbox.id, Commit(quarantined=[twin]))
    return twin


def test_what_somebody_corrects_while_it_is_tried_again_is_not_lost(choking):
    (entry,) = quarantined(choking, mail(POISON, id_="<bad@x>"))
    stale = choking.services.tickets.quarantined(choking.mailbox.id, entry.id)
    quarantine.correct(choking.services, choking.mailbox, stale, mail("Put right", id_="<bad@x>"))
    tickets = Stale(choking.services.tickets, stale)

    with pytest.raises(QuarantineChanged):
        quarantine.retry(replace(choking.services, tickets=tickets), choking.mailbox, [entry.id])

    assert choking.quarantine()[0].corrected is not None
    assert choking.quarantine()[0].attempts == 3


class Stale:
    """Storage as it was read before somebody changed it."""

    def __init__(self, tickets, read) -> None:
        self._tickets, self._read = tickets, read

    def __getattr__(self, name):
        return getattr(self._tickets, name)

    def quarantined(self, mailbox_id, entry_id):
        return self._read


def test_a_corrected_message_is_taken_in_in_place_of_the_original(choking):
    (entry,) = quarantined(choking, mail(POISON, id_="<bad@x>"))
    found = choking.services.tickets.quarantined(choking.mailbox.id, entry.id)
    quarantine.correct(choking.services, choking.mailbox, found, mail("Put right", id_="<bad@x>", body="Now it goes"))
    corrected = choking.quarantine()[0]
    original = quarantine.content(choking.services, choking.mailbox, corrected, original=True)

    (retried,) = retry(choking)

    assert retried.outcome is Outcome.CREATED
    assert [ticket.subject for ticket in choking.tickets()] == ["Put right"]
    assert original == choking.provider.messages[1]


def test_the_original_is_kept_while_the_correction_does_not_help_either(choking):
    (entry,) = quarantined(choking, mail(POISON, id_="<bad@x>"))
    found = choking.services.tickets.quarantined(choking.mailbox.id, entry.id)
    quarantine.correct(choking.services, choking.mailbox, found, mail(f"Still {POISON}", id_="<bad@x>"))

    retry(choking)

    (after,) = choking.quarantine()
    assert (after.raw, after.attempts) == (entry.raw, 4)
    assert b"Still" in quarantine.content(choking.services, choking.mailbox, after)


def test_a_correction_that_is_still_broken_is_refused_with_all_that_is_wrong_and_changes_nothing(choking):
    (entry,) = quarantined(choking, mail(POISON, id_="<bad@x>"))
    found = choking.services.tickets.quarantined(choking.mailbox.id, entry.id)
    broken = b"From: nobody\r\nFrom: again\r\nDate: some day\r\nno field\r\nSubject: x\r\n\r\nText"

    with pytest.raises(Invalid) as refused:
        quarantine.correct(choking.services, choking.mailbox, found, broken)

    assert {problem.message for problem in refused.value.problems} == {
        "has no From with an address",
        "has an address that is none",
        "has a Date that is none",
        "has more than one From",
        "has lines in its header that are no fields",
    }
    assert choking.quarantine() == [entry]


def test_a_message_whose_bytes_were_never_fetched_is_tried_by_the_next_poll(desk):
    entry = unfetched(desk)

    (retried,) = retry(desk)
    desk.poll()

    assert retried == Retried(entry.id, Outcome.DEFERRED, "fetched_at_next_poll")
    assert desk.quarantine() == []
    assert [ticket.subject for ticket in desk.tickets()] == ["Shy"]
    assert desk.provider.settled == {1: "mark_read"}


def test_a_message_that_can_still_not_be_fetched_comes_back_after_three_attempts(desk):
    entry = unfetched(desk)
    desk.provider.unfetchable = {1}
    retry(desk)

    desk.poll()
    desk.poll()
    while_deferred = desk.quarantine()
    desk.poll()

    assert while_deferred == []
    assert [(each.id, each.attempts) for each in desk.quarantine()] == [(entry.id, 3)]


def test_a_message_that_was_moved_when_it_failed_stays_until_people_move_it_back(desk):
    desk.configure(failed_folder="Failed")
    unfetched(desk)

    (retried,) = quarantine.retry(desk.services, desk.saved(), [desk.quarantine()[0].id])

    assert (retried.outcome, retried.reason) == (Outcome.QUARANTINED, "moved_to_failed_folder")
    assert len(desk.quarantine()) == 1


def test_what_was_taken_in_another_way_meanwhile_is_a_duplicate_and_leaves(choking, desk):
    quarantined(choking, mail(POISON, id_="<bad@x>"))
    desk.provider.deliver(mail(POISON, id_="<bad@x>"))
    desk.poll()

    (retried,) = retry(desk)

    assert (retried.outcome, retried.ticket) == (Outcome.DUPLICATE, "SUP-1")
    assert desk.quarantine() == []


def test_a_dropped_message_is_counted_and_not_taken_in_should_it_be_listed_again(choking, desk):
    (entry,) = quarantined(choking, mail(POISON, id_="<bad@x>"))
    found = desk.services.tickets.quarantined(desk.mailbox.id, entry.id)

    quarantine.drop(desk.services, desk.mailbox, found, {"reason": "spam"})

    desk.clock.advance(minutes=5)
    desk.provider.forgets_cursors = True
    desk.poll()
    assert desk.quarantine() == []
    assert desk.tickets() == []
    again, dropped = desk.runs()[:2]
    assert (dropped.reason, dropped.outcomes, dropped.ignored) == ("drop", {"ignored": 1}, {"dropped": 1})
    assert again.outcomes == {"duplicate": 1}


def test_one_that_was_taken_in_meanwhile_can_be_dropped(choking, desk):
    (entry,) = quarantined(choking, mail(POISON, id_="<bad@x>"))
    desk.provider.deliver(mail(POISON, id_="<bad@x>"))
    desk.poll()
    found = desk.services.tickets.quarantined(desk.mailbox.id, entry.id)

    quarantine.drop(desk.services, desk.mailbox, found, {"reason": "is there"})

    assert desk.quarantine() == []


def test_quarantine_is_an_event_that_people_can_be_told_of(choking, listener):
    (entry,) = quarantined(choking, mail(POISON, id_="<bad@x>"))

    (owed,) = choking.services.tickets.outbox(choking.mailbox.id)
    assert (owed.payload["type"], owed.payload["code"]) == ("message.quarantined", entry.error_code)
