"""Mail that comes to one mailbox and is for the tickets of another (design section 4)."""

import pytest

from shared.domain.rules import Route, Rule
from shared.domain.ticket import Outcome
from tests.intake.mail import mail


@pytest.fixture
def both(desk, billing):
    """A desk, and a mailbox for bills with a ticket of ann@example.org."""
    billing.provider.deliver(mail("Bill", id_="<b1@x>"))
    billing.poll()
    desk.services.mailboxes.all()
    return desk, billing


def test_a_tag_of_another_mailbox_adds_to_the_ticket_there(both):
    desk, billing = both
    desk.provider.deliver(mail("Re: [BIL-1] Bill", id_="<2@x>"))

    desk.poll()

    assert desk.tickets() == []
    assert billing.tickets()[0].comment_count == 2
    assert desk.provider.settled == {1: "mark_read"}


def test_a_message_that_was_passed_on_is_there_once_however_often_it_comes(both):
    desk, billing = both
    desk.provider.deliver(mail("Re: [BIL-1] Bill", id_="<2@x>"))
    desk.poll()
    billing.provider.deliver(mail("Re: [BIL-1] Bill", id_="<2@x>"))
    desk.provider.deliver(mail("Re: [BIL-1] Bill", id_="<2@x>"))

    billing.poll()
    desk.poll()

    assert billing.tickets()[0].comment_count == 2
    assert desk.tickets() == []


def test_a_stranger_who_guesses_the_tag_of_another_mailbox_stays_where_they_wrote_to(both):
    desk, billing = both
    desk.provider.deliver(mail("[BIL-1]", id_="<2@x>", sender="eve@example.net"))

    desk.poll()

    assert len(desk.tickets()) == 1
    assert billing.tickets()[0].comment_count == 1


def test_a_rule_opens_tickets_in_another_mailbox(both):
    desk, billing = both
    desk.configure(rules=(Rule(name="Bills", actions=(Route(action="route", mailbox=billing.mailbox.id),)),))
    desk.provider.deliver(mail("Invoice 7", id_="<2@x>"))

    desk.poll()

    assert desk.tickets() == []
    assert [ticket.subject for ticket in billing.tickets()] == ["Bill", "Invoice 7"]
    (run,) = desk.runs()
    assert run.outcomes == {Outcome.CREATED: 1}


def test_a_message_for_a_mailbox_that_is_gone_is_a_ticket_where_it_came_to(desk):
    desk.configure(rules=(Rule(name="Away", actions=(Route(action="route", mailbox="gone"),)),))
    desk.provider.deliver(mail("Printer"))

    desk.poll()

    assert [each.subject for each in desk.tickets()] == ["Printer"]


def test_rules_that_route_in_a_circle_lose_nothing(both):
    desk, billing = both
    for each, other in ((desk, billing), (billing, desk)):
        each.configure(rules=(Rule(name="Away", actions=(Route(action="route", mailbox=other.mailbox.id),)),))
    desk.services.mailboxes.all()
    desk.provider.deliver(mail("Ping", id_="<2@x>"))

    desk.poll()

    assert [ticket.subject for ticket in billing.tickets()] == ["Bill", "Ping"]


def test_a_message_passed_to_a_mailbox_that_is_being_polled_leaves_its_lease_alone(both):
    desk, billing = both
    held = billing.state()
    desk.provider.deliver(mail("Re: [BIL-1] Bill", id_="<2@x>"))

    desk.poll()

    assert (billing.state().lease_owner, billing.state().cursor) == (held.lease_owner, held.cursor)
