"""What would become of the messages that are waiting, without anything becoming of them (req O5)."""

import pytest

from shared.application.dry_run import dry_run, dry_run_unsaved
from shared.domain.errors import Invalid
from tests.intake.mail import mail


def walk(desk, **asked):
    return dry_run(desk.services, desk.saved(), asked)


def told(found):
    return [(each.subject, each.outcome.value) for each in found.messages]


def test_each_waiting_message_is_told_with_what_it_would_become(desk):
    desk.provider.deliver(mail("Printer", id_="<1@x>"))
    desk.poll()
    desk.provider.deliver(
        mail("Re: Printer", id_="<2@x>", In_Reply_To="<1@x>"), mail("Printer", id_="<1@x>"), mail("Other", id_="<3@x>")
    )

    found = walk(desk)

    assert told(found) == [("Re: Printer", "appended"), ("Printer", "duplicate"), ("Other", "created")]
    assert [each.ticket for each in found.messages] == ["SUP-1", "SUP-1", None]
    assert all(found.messages[place].steps for place in (0, 2))
    assert found.continuation is None


def test_nothing_is_stored_marked_or_moved(desk):
    desk.provider.deliver(mail("One", id_="<1@x>"))
    desk.poll()
    before = (desk.services.tickets.state(desk.mailbox.id), desk.runs(), dict(desk.provider.settled))
    desk.provider.deliver(mail("Two", id_="<2@x>"))

    walk(desk)

    assert (desk.services.tickets.state(desk.mailbox.id), desk.runs(), desk.provider.settled) == before
    assert len(desk.tickets()) == 1


def test_many_are_told_in_parts(desk):
    desk.provider.deliver(*(mail(f"Case {number}", id_=f"<{number}@x>") for number in range(7)))

    first = walk(desk, limit=3)
    second = walk(desk, limit=3, continuation=first.continuation)
    last = walk(desk, limit=3, continuation=second.continuation)

    parts = [[each.subject for each in part.messages] for part in (first, second, last)]
    assert parts == [["Case 0", "Case 1", "Case 2"], ["Case 3", "Case 4", "Case 5"], ["Case 6"]]
    assert last.continuation is None


def test_what_was_deferred_is_tried_first_and_what_fails_is_told(desk):
    desk.provider.deliver(mail("Shy", id_="<1@x>"), mail("Bad", id_="<2@x>"))
    desk.provider.unfetchable = {1, 2}
    desk.poll()
    desk.provider.unfetchable = {2}
    desk.provider.deliver(mail("New", id_="<3@x>"))

    first = walk(desk, limit=1)
    rest = walk(desk, continuation=first.continuation)

    assert told(first) == [("Shy", "created")]
    assert [(each.outcome.value, each.reason) for each in rest.messages] == [
        ("deferred", "message_error"),
        ("created", ""),
    ]


def test_a_cursor_that_expired_begins_anew_as_a_poll_does(desk):
    desk.provider.deliver(mail("One", id_="<1@x>"))
    desk.poll()
    desk.provider.forgets_cursors = True

    assert told(walk(desk)) == [("One", "duplicate")]


def test_settings_that_are_not_saved_are_tried_on_the_same_messages(desk):
    desk.provider.deliver(mail("Old", id_="<1@x>"))
    desk.poll()
    desk.provider.deliver(mail("New", id_="<2@x>", sender="spam@example.net"))
    settings = desk.mailbox.model_dump(mode="json", exclude={"id", "created_at"})
    settings["people"]["ignore"]["addresses"] = ["spam@example.net"]

    found = walk(desk, mailbox=settings)

    assert told(walk(desk)) == [("New", "created")]
    assert told(found) == [("New", "ignored")]


def test_a_mailbox_that_is_not_saved_can_be_tried(desk):
    desk.provider.deliver(mail("First", id_="<1@x>"))
    settings = desk.mailbox.model_dump(mode="json", exclude={"id", "created_at"})

    assert told(dry_run_unsaved(desk.services, {"mailbox": settings})) == [("First", "created")]


def test_all_that_is_wrong_with_a_request_is_told(desk):
    with pytest.raises(Invalid) as refused:
        dry_run(desk.services, desk.saved(), {"limit": 51, "mailbox": {"name": 7}, "more": 1})

    paths = {problem.path for problem in refused.value.problems}
    assert {"$.limit", "$.mailbox.name", "$.mailbox.address", "$.mailbox.source", "$.more"} <= paths


@pytest.mark.parametrize("continuation", ["nonsense", "WyJ4Il0=", "e30="])
def test_a_continuation_that_is_none_is_refused(desk, continuation):
    with pytest.raises(Invalid):
        walk(desk, continuation=continuation)
