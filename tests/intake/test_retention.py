"""What is past its retention goes at night; what an open ticket refers to stays."""

from datetime import timedelta
from secrets import token_bytes

import pytest

from shared.application.retention import remove_what_is_past
from shared.domain.errors import NotFound
from shared.domain.mailbox import Retention
from shared.domain.settlement import Move
from tests.intake.conftest import Desk
from tests.intake.mail import mail

LARGE = f"\r\n\r\n{token_bytes(60_000).hex()}".encode()


def aged(desk: Desk, days: int = 500, **retention: int | None) -> None:
    """Let time go by, and a night come."""
    desk.configure(retention=Retention(**retention), settlement=Move(folder="Done"))
    desk.clock.advance(days=days)
    remove_what_is_past(desk.services)


def raws(desk: Desk) -> int:
    return len([*desk.services.retention.raws(desk.mailbox.id, desk.clock() + timedelta(days=400_000))])


def test_nothing_but_runs_goes_unless_somebody_says_so(desk: Desk):
    desk.provider.deliver(mail("One"), mail("Two") + LARGE)
    desk.poll()
    desk.close(1)

    aged(desk)

    assert [each.number for each in desk.tickets()] == [1, 2]
    assert (raws(desk), desk.runs()) == (2, [])


def test_a_closed_ticket_goes_with_its_comments_and_raw_mail(desk: Desk):
    desk.provider.deliver(mail("Closed"), mail("Closed, too") + LARGE, mail("Open") + LARGE)
    desk.poll()
    desk.close(1)
    desk.close(2)

    aged(desk, closed_tickets_days=400)

    assert [each.subject for each in desk.tickets()] == ["Open"]
    assert (desk.comments(1), desk.comments(2), len(desk.comments(3))) == ([], [], 1)
    assert raws(desk) == 1


def test_a_ticket_that_was_closed_lately_stays(desk: Desk):
    desk.provider.deliver(mail("Closed"))
    desk.poll()
    desk.close(1)

    aged(desk, days=399, closed_tickets_days=400)

    assert len(desk.tickets()) == 1


@pytest.mark.parametrize("reference", [{"linked_to": (1,)}, {"linked_to": ()}])
def test_a_closed_ticket_that_an_open_one_is_linked_to_stays(desk: Desk, reference: dict):
    desk.provider.deliver(mail("Closed"), mail("Open"))
    desk.poll()
    desk.close(1)
    desk.change(2, **reference)

    aged(desk, closed_tickets_days=400)

    assert len(desk.tickets()) == 1 + len(reference["linked_to"])


def test_a_ticket_with_many_comments_goes_whole(desk: Desk):
    desk.provider.deliver(mail("Long"))
    desk.poll()
    for index in range(130):
        desk.provider.deliver(mail("Re: [SUP-1] Long", id_=f"<{index}@x>"))
    desk.poll()
    assert len(desk.comments(1)) == 131
    desk.close(1)

    aged(desk, closed_tickets_days=400)

    assert (desk.tickets(), desk.comments(1), raws(desk)) == ([], [], 0)


def test_raw_mail_goes_before_its_ticket_but_not_while_that_is_open(desk: Desk):
    desk.provider.deliver(mail("Closed") + LARGE, mail("Open"))
    desk.poll()
    desk.close(1)

    aged(desk, raw_mail_days=100)

    [closed], [still_open] = desk.comments(1), desk.comments(2)
    with pytest.raises(NotFound):
        desk.services.raws.get(desk.mailbox.id, closed.raw)
    assert b"Open" in desk.services.raws.get(desk.mailbox.id, still_open.raw)
    assert closed.text


def test_receipts_outlive_what_an_open_ticket_needs(desk: Desk):
    closed, still_open = mail("Closed"), mail("Open")
    desk.provider.deliver(closed, still_open)
    desk.poll()
    desk.close(1)
    aged(desk, receipts_days=400)

    desk.provider.deliver(closed, still_open)
    desk.poll()

    assert desk.health().last_outcomes == {"created": 1, "duplicate": 1}


def test_raw_mail_that_nothing_refers_to_goes(desk: Desk):
    desk.services.raws.keep(desk.mailbox.id, b"put there by a worker that died before its commit")

    aged(desk)

    assert raws(desk) == 0


def test_what_was_stored_just_now_is_left_alone(desk: Desk):
    desk.services.raws.keep(desk.mailbox.id, b"to be committed in a moment")

    aged(desk, days=1)

    assert raws(desk) == 1


def test_a_changed_ticket_is_left_to_another_night(desk: Desk):
    desk.provider.deliver(mail("Closed"))
    desk.poll()
    desk.close(1)
    desk.clock.advance(days=500)
    [read] = desk.services.retention.closed(desk.mailbox.id, desk.clock(), 10)
    desk.change(1, subject="Changed")

    assert not desk.services.retention.remove_ticket(desk.mailbox.id, read)

    assert len(desk.comments(1)) == 1
