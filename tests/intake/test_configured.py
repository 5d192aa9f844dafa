"""What a mailbox's configuration makes of its mail, from the message to the stored ticket (req K, P)."""

import pytest

from shared.application.explain import explain
from shared.application.handing_in import handed_in
from shared.domain.contact import Role
from shared.domain.incidents import OwnMonitoring
from shared.domain.mapping import FieldMapping
from shared.domain.people import People, SenderList
from shared.domain.processing import Defaults
from shared.domain.replies import Replies
from shared.domain.rules import Ignore, Rule
from shared.domain.settlement import Delete, Move
from shared.domain.ticket import Status
from tests.intake.mail import mail

NEWSLETTERS = Rule(name="Newsletters", actions=(Ignore(action="ignore", reason="newsletter"),))


def test_tickets_have_what_the_mailbox_says_of_them(desk):
    desk.configure(
        defaults=Defaults(group="First line", priority="low", tags=("mail",)),
        mapping=(FieldMapping(target="category", template="{{ subject }}"),),
    )
    desk.provider.deliver(mail("Printer"))

    desk.poll()

    (ticket,) = desk.tickets()
    assert (ticket.group, ticket.priority, ticket.tags, ticket.category) == ("First line", "low", ("mail",), "Printer")
    assert ticket.type == "request"


def test_a_condition_may_look_at_any_header(desk):
    on_shop = Rule(
        name="Shop",
        conditions=({"field": "header:X-Shop", "operator": "equals", "value": "7"},),
        actions=({"action": "set", "field": "category", "value": "{{ header:X-Order }}"},),
    )
    desk.configure(rules=(on_shop,))
    desk.provider.deliver(mail("Order", X_Shop="7", X_Order="0815"))

    desk.poll()

    assert desk.tickets()[0].category == "0815"


def test_what_a_rule_ignores_has_a_receipt_with_the_reason_and_no_ticket(desk):
    desk.configure(rules=(NEWSLETTERS,))
    desk.provider.deliver(mail(id_="<1@x>"))
    desk.poll()
    desk.provider.deliver(mail(id_="<1@x>"))

    desk.poll()

    again, first = desk.runs()
    assert (first.ignored, again.outcomes) == ({"newsletter": 1}, {"duplicate": 1})
    assert desk.tickets() == []


def steps(desk, content, stage):
    (explained,) = explain(desk.services, desk.saved(), handed_in(desk.saved(), [content]))
    return [(each.name, each.detail) for each in explained.steps if each.matched and each.stage == stage]


def test_what_was_taken_in_is_explained_as_if_it_came_now(desk):
    desk.provider.deliver(mail(id_="<1@x>"))
    desk.poll()
    desk.configure(rules=(NEWSLETTERS,))

    assert steps(desk, mail(id_="<1@x>"), "receipt") == [("was taken in before", "created SUP-1")]
    assert steps(desk, mail(id_="<1@x>"), "rules") == [("Newsletters", "ignore: newsletter")]


@pytest.mark.parametrize(
    ("entries", "step"),
    [
        ({"domains": ("example.net", "example.org")}, ("domain_ignored", "example.org")),
        ({"keywords": ("lottery", "printer")}, ("keyword_ignored", "printer")),
        ({"addresses": ("ann@example.org",)}, ("sender_ignored", "ann@example.org")),
    ],
)
def test_the_explanation_names_the_entry_that_refuses_a_message(desk, entries, step):
    desk.configure(people=People(ignore=SenderList(**entries)))

    assert steps(desk, mail(), "people") == [step]


def test_the_explanation_says_who_asks_instead_of_the_sender(desk):
    desk.configure(people=People(reply_to_is_requester=True))

    told = steps(desk, mail(Reply_To="joe@example.org"), "people")

    assert told == [("requester is not the sender", "joe@example.org")]


def test_what_is_ignored_is_settled_but_never_deleted(desk):
    desk.configure(rules=(NEWSLETTERS,), settlement=Delete())
    desk.provider.deliver(mail(id_="<1@x>"))
    desk.poll()
    assert desk.provider.settled == {1: "mark_read"}

    desk.configure(settlement=Move(folder="Done"))
    desk.provider.deliver(mail(id_="<2@x>"))
    desk.poll()
    assert desk.provider.moved == {2: "Done"}


def test_guests_who_are_refused_may_still_answer_in_a_ticket_that_they_have_a_part_in(desk):
    desk.contact("tess@example.com")
    desk.configure(people=People(guests=False))
    desk.provider.deliver(
        mail(sender="eve@example.net"), mail(id_="<1@x>", sender="tess@example.com", Cc="bob@example.org")
    )
    desk.poll()
    desk.provider.deliver(mail(id_="<2@x>", sender="bob@example.org", In_Reply_To="<1@x>"))

    desk.poll()

    (ticket,) = desk.tickets()
    assert ticket.comment_count == 2
    assert desk.runs()[1].ignored == {"guest_refused": 1}


def test_senders_on_the_ignore_list_are_ignored_and_counted(desk):
    desk.configure(people=People(ignore=SenderList(domains=("example.net",))))
    desk.provider.deliver(mail(sender="eve@mail.example.net"))

    desk.poll()

    assert desk.runs()[0].ignored == {"domain_ignored": 1}


def test_recipients_become_cc_but_never_an_address_of_ours(desk, billing):
    desk.services.mailboxes.all()
    desk.provider.deliver(mail(Cc="Bob <bob@example.org>, billing@example.com, support@example.com, ann@example.org"))

    desk.poll()

    (ticket,) = desk.tickets()
    assert [each.address for each in ticket.cc] == ["bob@example.org"]
    assert ticket.participants == {"ann@example.org", "bob@example.org"}


def test_who_is_in_reply_to_asks_where_the_mailbox_says_so(desk):
    desk.configure(people=People(reply_to_is_requester=True))
    desk.provider.deliver(mail(sender="forms@example.org", Reply_To="Joe <joe@example.org>"))

    desk.poll()

    assert desk.tickets()[0].requester.address == "joe@example.org"


def test_who_wrote_what_a_technician_forwards_asks_where_the_mailbox_says_so(desk):
    desk.contact("tess@example.com")
    desk.configure(people=People(forward_original_is_requester=True))
    forwarded = (
        "---------- Forwarded message ---------\r\nFrom: Joe <joe@example.org>\r\nDate: Fri, 20 Nov 2026\r\n"
        "Subject: Printer\r\nTo: Tess <tess@example.com>\r\n\r\nIt jams."
    )
    desk.provider.deliver(mail("Fwd: Printer", sender="tess@example.com", body=forwarded))

    desk.poll()

    assert desk.tickets()[0].requester.address == "joe@example.org"


def test_the_company_of_a_ticket_is_that_of_who_asks_not_of_who_wrote(desk):
    desk.contact("tess@example.com", company="Help desk")
    desk.contact("joe@example.org", Role.REQUESTER, company="Customer")
    desk.configure(people=People(reply_to_is_requester=True), defaults=Defaults(company="Unknown"))
    asking = {"joe@example.org": "Customer", "eve@example.net": "Unknown"}
    desk.provider.deliver(*(mail(sender="tess@example.com", Reply_To=each, id_=f"<{each}@m>") for each in asking))

    desk.poll()

    assert {each.requester.address: each.company for each in desk.tickets()} == asking


def test_a_forged_technician_is_none_to_the_rules(desk):
    desk.contact("tess@example.com", groups=("Network",))
    by_staff = Rule(
        name="Staff",
        match="any",
        conditions=(
            {"field": "sender_role", "operator": "equals", "value": "technician"},
            {"field": "sender_group", "operator": "exists"},
        ),
        actions=({"action": "set", "field": "priority", "value": "urgent"},),
    )
    desk.configure(rules=(by_staff,), replies=Replies(trusted_authentication=("mx.example.com",)))
    found = ("mx.example.com; dmarc=fail", "mx.example.com; dmarc=pass")
    desk.provider.deliver(*(mail(sender="tess@example.com", Authentication_Results=each, id_=None) for each in found))

    desk.poll()

    assert [each.priority for each in desk.tickets()] == ["", "urgent"]


def test_nobody_becomes_requester_by_what_a_forged_technician_forwards(desk):
    desk.contact("tess@example.com")
    replies = Replies(trusted_authentication=("mx.example.com",))
    desk.configure(people=People(outside_recipient_is_requester=True), replies=replies)
    forged = {"To": "joe@example.org", "Authentication-Results": "mx.example.com; dmarc=fail"}
    desk.provider.deliver(mail(sender="tess@example.com", **forged))

    desk.poll()

    assert desk.tickets()[0].requester.address == "tess@example.com"


def test_an_address_of_ours_in_a_text_becomes_neither_requester_nor_cc(desk, billing):
    desk.services.mailboxes.all()
    desk.configure(
        mapping=(
            FieldMapping(target="requester", pattern=r"From: (\S+)"),
            FieldMapping(target="cc", pattern=r"Copy: (\S+)"),
        )
    )
    copied = "bob@example.org;billing@example.com;ann@example.org"
    desk.provider.deliver(mail(body=f"From: support@example.com\r\nCopy: {copied}"))

    desk.poll()

    (ticket,) = desk.tickets()
    assert ticket.requester.address == "ann@example.org"
    assert [each.address for each in ticket.cc] == ["bob@example.org"]


CHECKS = OwnMonitoring(kind="own", name="Checks", external_id=r"\[(\d+)\]", problem="PROBLEM", recovery="RECOVERY")


def test_the_end_of_an_incident_closes_its_ticket_also_where_it_answers_the_beginning(desk):
    desk.configure(incidents=(CHECKS,))
    desk.provider.deliver(mail("PROBLEM [7]", id_="<1@m>"))
    desk.poll()
    desk.provider.deliver(mail("RECOVERY [7]", id_="<2@m>", In_Reply_To="<1@m>"))

    desk.poll()

    assert [(each.comment_count, each.status) for each in desk.tickets()] == [(2, Status.CLOSED)]


def test_the_end_of_an_incident_whose_ticket_is_closed_opens_no_other(desk):
    desk.configure(incidents=(CHECKS,))
    desk.provider.deliver(mail("PROBLEM [7]", id_="<1@m>"))
    desk.poll()
    desk.close(1)
    desk.provider.deliver(mail("RECOVERY [7]", id_="<2@m>"))

    desk.poll()

    assert [(each.comment_count, each.status) for each in desk.tickets()] == [(2, Status.CLOSED)]


def test_an_incident_is_one_ticket_that_its_recovery_closes(desk):
    desk.configure(incidents=(CHECKS,))
    desk.provider.deliver(mail("PROBLEM [7] disk", id_="<1@m>"), mail("PROBLEM [7] disk still", id_="<2@m>"))
    desk.poll()
    desk.provider.deliver(mail("RECOVERY [7] disk", id_="<3@m>"))
    desk.poll()
    desk.provider.deliver(mail("PROBLEM [7] disk again", id_="<4@m>"))

    desk.poll()

    first, second = desk.tickets()
    assert (first.external_id, first.comment_count, first.status) == ("7", 3, Status.CLOSED)
    assert (second.external_id, second.status) == ("7", Status.NEW)


def test_incidents_that_end_and_begin_again_within_a_batch_are_told_apart(desk):
    desk.configure(incidents=(CHECKS,))
    desk.provider.deliver(mail("PROBLEM [7]", id_="<1@m>"))
    desk.poll()
    desk.provider.deliver(
        *(mail(f"{what} [7]", id_=f"<{what}@m>") for what in ("RECOVERY", "PROBLEM", "PROBLEM still"))
    )

    desk.poll()

    assert [(each.comment_count, each.status) for each in desk.tickets()] == [(2, Status.CLOSED), (2, Status.NEW)]


def test_a_batch_that_needs_more_than_a_transaction_holds_is_stored_in_parts(desk):
    desk.configure(incidents=(OwnMonitoring(kind="own", name="Checks", external_id=r"\[(\d+)\]"),))
    desk.provider.deliver(*(mail(f"[{number}] disk", id_=f"<{number}@m>", body="x" * number) for number in range(40)))

    desk.poll()

    assert [ticket.number for ticket in desk.tickets()] == [*range(1, 41)]


def test_the_explanation_says_what_then_happens(desk):
    desk.configure(people=People(ignore=SenderList(addresses=("eve@example.net",))))
    desk.provider.deliver(mail("Printer", id_="<1@x>"))
    desk.poll()
    contents = [
        mail("Toner", id_="<2@x>"),
        mail("Re: Printer", id_="<3@x>", In_Reply_To="<1@x>"),
        mail("Buy", id_="<4@x>", sender="eve@example.net"),
        mail("Printer", id_="<1@x>"),
    ]
    explained = explain(desk.services, desk.saved(), handed_in(desk.saved(), contents))
    assert len(desk.tickets()) == 1
    desk.provider.deliver(*contents)

    desk.poll()

    assert [each.outcome for each in explained] == ["created", "appended", "ignored", "duplicate"]
    assert (explained[1].ticket, explained[2].reason, explained[0].draft.subject) == (
        "SUP-1",
        "sender_ignored",
        "Toner",
    )
    assert all(each.steps for each in explained)
    assert desk.runs()[0].outcomes == {"created": 1, "appended": 1, "ignored": 1, "duplicate": 1}
