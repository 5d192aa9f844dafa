"""Mail that comes to one mailbox and is for the tickets of another (design section 4)."""

import pytest

from shared.application.explain import explain
from shared.application.handing_in import handed_in
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


@pytest.mark.parametrize(
    ("subject", "outcome", "tag"), [("Invoice", "created", None), ("[BIL-1]", "appended", "BIL-1")]
)
def test_what_is_for_another_mailbox_is_explained_as_it_is_taken_in_there(both, subject, outcome, tag):
    desk, billing = both
    desk.configure(rules=(Rule(name="Bills", actions=(Route(action="route", mailbox=billing.mailbox.id),)),))
    billing.configure(rules=(Rule(name="Back", actions=(Route(action="route", mailbox=desk.mailbox.id),)),))

    (told,) = explain(desk.services, desk.saved(), handed_in(desk.saved(), [mail(subject)]))

    assert (told.outcome, told.ticket, told.mailbox_id) == (outcome, tag, billing.mailbox.id)
    assert {"Bills", "Back"} <= {each.name for each in told.steps}


def test_the_tag_of_another_mailbox_that_a_stranger_guesses_is_told(both):
    desk, _ = both

    (told,) = explain(desk.services, desk.saved(), handed_in(desk.saved(), [mail("[BIL-1]", sender="eve@example.net")]))

    assert [each.name for each in told.steps if each.stage in ("ticket", "participant")] == [
        "names a ticket of another mailbox",
        "the sender has no part in the ticket",
    ]


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
