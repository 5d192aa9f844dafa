"""What becomes of mail that speaks of a ticket (req R1-R6)."""

import pytest

from shared.application.ports.tickets import Commit
from shared.domain.people import People
from shared.domain.recognition import id_key
from shared.domain.replies import Replies
from shared.domain.ticket import CommentKind, Outcome, Receipt, Status
from tests.intake.mail import mail


@pytest.fixture
def opened(desk):
    """A desk with one ticket, of ann@example.org, made by `<1@x>`."""
    desk.provider.deliver(mail("Printer", id_="<1@x>"))
    desk.poll()
    return desk


def answer(opened, **message):
    """The ticket that an answer ends up in, and all that was made of it."""
    opened.provider.deliver(mail("Re: Printer", id_="<2@x>", **({"In_Reply_To": "<1@x>"} | message)))
    opened.poll()
    (run, *_) = opened.runs()
    return opened.tickets()[-1], run


def test_somebody_who_has_no_part_in_a_ticket_gets_one_of_their_own_that_is_linked(opened):
    ticket, _ = answer(opened, sender="eve@example.net")

    assert (ticket.number, ticket.linked_to) == (2, (1,))
    assert opened.tickets()[0].linked_to == (2,)
    assert len(opened.comments(1)) == 1


@pytest.mark.parametrize(
    ("policy", "subject", "number"),
    [("by_reference", "Re: Printer", 1), ("by_reference", "[SUP-1]", 2), ("comment", "[SUP-1]", 1)],
)
def test_a_mailbox_can_let_strangers_in(opened, policy, subject, number):
    opened.configure(replies=Replies(strangers=policy))
    reference = {"In_Reply_To": "<1@x>"} if subject.startswith("Re") else {}
    opened.provider.deliver(mail(subject, id_="<2@x>", sender="eve@example.net", **reference))

    opened.poll()

    assert opened.tickets()[-1].number == number


@pytest.mark.parametrize("spelling", ["joe@bücher.example", "JOE@xn--bcher-kva.example"])
def test_a_part_in_a_ticket_does_not_depend_on_how_a_domain_is_written(opened, spelling):
    opened.change(1, participants=frozenset({"joe@bücher.example"}))

    ticket, _ = answer(opened, sender=spelling)

    assert ticket.number == 1


def test_a_technician_has_a_part_in_every_ticket(opened):
    opened.contact("tess@example.com")

    ticket, _ = answer(opened, sender="tess@example.com")

    assert ticket.number == 1


NEXT = "\r\nAuthentication-Results:"


@pytest.mark.parametrize(
    ("results", "trusted", "number"),
    [
        ("mx.example.com; dmarc=fail header.from=example.org", ("mx.example.com",), 2),
        ("mx.example.com; dmarc=pass header.from=example.org", ("mx.example.com",), 1),
        ("mx.evil.example; dmarc=fail header.from=example.org", ("mx.example.com",), 1),
        ("spf=fail smtp.mailfrom=x; dmarc=fail action=none", ("exchange-online",), 2),
        ('mx.example.com; spf=pass reason="; dmarc=fail" (; dmarc=fail)', ("mx.example.com",), 1),
        ("mx.example.com; spf=pass (of (somebody) ;dmarc=pass); dmarc=fail", ("mx.example.com",), 2),
        (f"mx.example.com{'; dkim=pass header.d=evil.example' * 50}; dmarc=fail", ("mx.example.com",), 2),
        (f"mx.example.com; dkim=pass{NEXT} mx.example.com; dmarc=fail", ("mx.example.com",), 2),
        (f"mx.example.com; dmarc=fail{NEXT} mx.example.com; dmarc=pass", ("mx.example.com",), 2),
    ],
)
def test_a_sender_whom_a_trusted_host_finds_forged_has_no_part(opened, results, trusted, number):
    opened.configure(replies=Replies(trusted_authentication=trusted))

    ticket, _ = answer(opened, Authentication_Results=results)

    assert ticket.number == number


def test_a_guest_who_forges_a_participant_is_refused_like_any_other(opened):
    opened.configure(replies=Replies(trusted_authentication=("mx.example.com",)), people=People(guests=False))

    _, run = answer(opened, Authentication_Results="mx.example.com; dmarc=fail")

    assert run.ignored == {"guest_refused": 1}


def test_an_answer_to_a_merged_ticket_is_added_to_the_one_it_was_merged_into(opened):
    opened.provider.deliver(mail("Toner", id_="<t@x>"))
    opened.poll()
    opened.change(1, merged_into=2, status=Status.CLOSED)

    ticket, _ = answer(opened)

    assert (ticket.number, ticket.comment_count) == (2, 2)


@pytest.mark.parametrize(
    ("policy", "days", "number", "status"),
    [
        ("reopen", 3, 1, Status.OPEN),
        ("reopen", 20, 2, Status.NEW),
        ("add", 20, 1, Status.CLOSED),
        ("new_ticket", 1, 2, Status.NEW),
    ],
)
def test_an_answer_to_a_closed_ticket_follows_the_policy_of_the_mailbox(opened, policy, days, number, status):
    opened.configure(replies=Replies(closed=policy, grace_days=14))
    opened.close(1)
    opened.clock.advance(days=days)

    ticket, _ = answer(opened)

    assert (ticket.number, ticket.status) == (number, status)
    assert ticket.linked_to == ((1,) if number == 2 else ())


def test_a_ticket_that_was_opened_again_is_among_the_open_ones(opened):
    opened.close(1)

    answer(opened)

    (found,) = opened.services.tickets.tickets(opened.mailbox.id, open_only=True, limit=10, before=None)
    assert found.number == 1


@pytest.mark.parametrize(("policy", "kind"), [("collaboration", CommentKind.INTERNAL), ("reply", CommentKind.PUBLIC)])
def test_a_technician_who_is_not_assigned_collaborates_unless_the_mailbox_says_otherwise(opened, policy, kind):
    opened.contact("tess@example.com")
    opened.configure(replies=Replies(unassigned_technician=policy))
    opened.change(1, assignee="tom@example.com")

    answer(opened, sender="tess@example.com")

    assert opened.comments(1)[-1].kind is kind


def test_the_assigned_technician_answers(opened):
    opened.contact("tess@example.com")
    opened.change(1, assignee="tess@example.com")

    answer(opened, sender="tess@example.com")

    assert opened.comments(1)[-1].kind is CommentKind.PUBLIC


@pytest.mark.parametrize(
    "headers", [{"Auto_Submitted": "auto-replied"}, {"List_Id": "<x.example.org>", "Precedence": "list"}]
)
def test_automatic_and_list_mail_is_added_and_never_opens_a_ticket_again(opened, headers):
    opened.close(1)

    ticket, _ = answer(opened, **headers)

    assert (ticket.number, ticket.status, ticket.comment_count) == (1, Status.CLOSED, 2)


def test_an_automatic_reply_that_belongs_to_no_ticket_is_ignored_and_said_to_be(desk):
    desk.provider.deliver(mail("Automatic reply: hello", Auto_Submitted="auto-replied", X_Autoreply="yes"))

    desk.poll()

    assert desk.tickets() == []
    (run,) = desk.runs()
    assert (run.listed, run.outcomes) == (1, {"ignored": 1})
    assert next(iter(run.ignored)) in ("automatic_reply", "out_of_office")


def test_an_automatic_reply_of_somebody_without_a_part_in_the_ticket_opens_no_other(opened):
    _, run = answer(opened, sender="other@example.net", Auto_Submitted="auto-replied")

    assert run.ignored == {"automatic_reply": 1}
    assert len(opened.tickets()) == 1


def test_a_mailbox_can_make_tickets_of_automatic_replies(desk):
    desk.configure(replies=Replies(automatic="ticket"))
    desk.provider.deliver(mail("Automatic reply: hello", Auto_Submitted="auto-replied", X_Autoreply="yes"))

    desk.poll()

    assert len(desk.tickets()) == 1


def test_what_we_have_sent_is_recognised_when_it_comes_back(opened):
    sent = Receipt(id_key("<ours@example.com>"), "", None, opened.clock.now, 1)
    state, etag = opened.services.tickets.state(opened.mailbox.id)
    opened.services.tickets.commit(opened.mailbox.id, Commit(state, etag, receipts=[sent]))
    opened.provider.deliver(
        mail("Re: Printer", id_="<ours@example.com>", sender="support@example.com"),
        mail("Re: Printer", id_="<3@x>", In_Reply_To="<ours@example.com>"),
    )

    opened.poll()

    (run, *_) = opened.runs()
    assert (run.ignored, run.outcomes[Outcome.APPENDED]) == ({"own_message": 1}, 1)
    assert opened.tickets()[0].comment_count == 2


def test_a_comment_shows_what_is_new_and_keeps_what_it_quotes(opened):
    body = "It works now.\r\n\r\nOn Sat, 21 Nov 2026 at 09:00, Support <support@example.com> wrote:\r\n> Did you try?"

    answer(opened, body=body)

    comment = opened.comments(1)[-1]
    assert comment.text.strip() == "It works now."
    assert "Did you try?" in comment.full_text


def test_a_new_ticket_has_its_whole_text(desk):
    body = "See below.\r\n\r\nOn Sat, 21 Nov 2026 at 09:00, Joe <joe@example.org> wrote:\r\n> It jams."
    desk.provider.deliver(mail("Printer", body=body))

    desk.poll()

    assert "It jams." in desk.comments(1)[0].text


BOUNCE = """From: MAILER-DAEMON@example.org\r
To: support@example.com\r
Subject: Undelivered Mail Returned to Sender\r
Message-ID: <bounce@mx>\r
Auto-Submitted: auto-replied\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r
\r
--b\r
\r
I could not deliver your message.\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.example.org\r
\r
Final-Recipient: rfc822; ann@example.org\r
Action: failed\r
Status: 5.1.1\r
\r
--b\r
Content-Type: text/rfc822-headers\r
\r
Message-ID: {id}\r
Subject: Re: Printer\r
\r
--b--\r
"""


def test_a_bounce_is_noted_in_the_ticket_whose_message_came_back_and_opens_nothing(opened):
    opened.close(1)
    opened.provider.deliver(BOUNCE.format(id="<1@x>").encode())

    opened.poll()

    (ticket,) = opened.tickets()
    assert (ticket.status, opened.comments(1)[-1].kind) == (Status.CLOSED, CommentKind.INTERNAL)
    assert ticket.participants == {"ann@example.org"}


def test_a_bounce_that_quotes_only_the_subject_is_noted_in_the_ticket_that_it_names(opened):
    opened.provider.deliver(BOUNCE.format(id="<unknown@x>").replace("Re: Printer", "Re: [SUP-1] Printer").encode())

    opened.poll()

    assert opened.comments(1)[-1].kind is CommentKind.INTERNAL


def test_a_bounce_of_nothing_we_know_is_ignored_and_said_to_be(desk):
    desk.provider.deliver(BOUNCE.format(id="<unknown@x>").encode())

    desk.poll()

    assert desk.runs()[0].ignored == {"delivery_failure": 1}
