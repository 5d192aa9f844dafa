"""Who is told what, and by whom (req M5, M6, R5-R7)."""

import uuid
from dataclasses import replace

import pytest

from shared.application.ports.tickets import ChangedTicket, Commit
from shared.domain.contact import Role
from shared.domain.message import Address
from shared.domain.notices import AutomaticLimits
from shared.domain.outbox import EventType, event
from shared.domain.outgoing import OutgoingAttachment, OutgoingMessage
from shared.domain.people import People
from shared.domain.processing import Defaults
from shared.domain.templates import Template
from shared.domain.ticket import Comment, CommentKind, Status
from shared.mime import parse
from shared.mime.compose import compose
from tests.intake.mail import bounce, mail

TESS = Address("tess@staff.example", "Tess")
PEOPLE = ("tess", "tom")
HELP = "Hello, can you please help me? My printer is on fire."


@pytest.fixture
def group(office) -> str:
    """The group of new tickets, with two technicians in it."""
    name = f"group-{uuid.uuid4().hex[:8]}"
    for person in PEOPLE:
        office.contact(f"{person}-{name}@staff.example", groups=frozenset({name}))
    current = office.services.mailboxes.get(office.mailbox.id)
    changed = current.value.model_copy(update={"defaults": Defaults(group=name)})
    office.services.mailboxes.replace(changed, current.etag)
    return name


def change(office, number: int = 1, **changes):
    before = office.services.tickets.ticket(office.mailbox.id, number)
    after = replace(before.value, **changes)
    office.services.tickets.commit(office.mailbox.id, Commit(changed_tickets=[ChangedTicket(before, after)]))


def comment(
    office, text: str, *, kind: CommentKind = CommentKind.PUBLIC, number: int = 1, attachment: bytes = b"", **told
):
    """As a technician does through the API."""
    before = office.services.tickets.ticket(office.mailbox.id, number)
    seq = before.value.comment_count + 1
    attached = (OutgoingAttachment("plan.bin", "application/octet-stream", attachment),) if attachment else ()
    html = f"<p>{text}</p>"
    content = compose(OutgoingMessage("", TESS, (), office.clock.now, "", text, html, attachments=attached))
    pointer, row = office.services.raws.pack(office.mailbox.id, content)

    made = Comment(number, seq, kind, TESS, office.clock.now, text, raw=pointer, attachments=parse(content).attachments)
    owed = event(
        EventType.TICKET_COMMENTED,
        f"{number}-{seq}",
        office.clock.now,
        ticket=number,
        seq=seq,
        by=TESS.address,
        technician=True,
        internal=kind is CommentKind.INTERNAL,
        **told,
    )
    after = replace(before.value, comment_count=seq)
    changed = [ChangedTicket(before, after)]
    commit = Commit(changed_tickets=changed, comments=[made], raws=[row] if row else [])
    office.services.tickets.commit(office.mailbox.id, commit)
    office.owes(owed)


def status_changed(office, before: Status, after: Status, **told):
    about = f"1-{office.clock.now.isoformat()}"
    details = {"ticket": 1, "before": before.value, "after": after.value, "by": TESS.address, "technician": True}
    office.owes(event(EventType.TICKET_STATUS_CHANGED, about, office.clock.now, **details, **told))


def test_the_requester_of_a_new_ticket_is_told_its_number(office):
    office.receive(mail("Printer", id_="<1@x>", body=HELP))

    (sent,) = office.sent()
    assert (sent["To"].addresses[0].addr_spec, sent["Subject"]) == ("ann@example.org", "Re: [SUP-1] Printer")
    assert (sent["In-Reply-To"], sent["References"]) == ("<1@x>", "<1@x>")
    assert (sent["Auto-Submitted"], sent["Content-Language"]) == ("auto-replied", "en")
    assert office.outbox() == []


def test_people_are_answered_in_the_language_they_write(office):
    office.receive(mail("Drucker", body="Guten Tag, mein Drucker ist kaputt und ich kann nicht drucken. Vielen Dank."))

    (sent,) = office.sent()
    assert sent["Content-Language"] == "de"
    assert office.ticket().language == "de"


def test_who_asks_is_answered_in_their_own_language_whoever_wrote(office):
    asks = f"{uuid.uuid4().hex}@example.org"
    office.contact("tess@staff.example", language="fr")
    office.contact(asks, Role.REQUESTER, language="de")
    current = office.services.mailboxes.get(office.mailbox.id)
    changed = current.value.model_copy(update={"people": People(reply_to_is_requester=True)})
    office.services.mailboxes.replace(changed, current.etag)

    office.receive(mail(sender="tess@staff.example", Reply_To=asks))

    assert office.ticket().language == "de"


@pytest.mark.parametrize(("elsewhere", "language"), [(False, "nl"), (True, "de")])
def test_a_language_of_ones_own_counts_where_its_template_does(office, elsewhere, language):
    mailbox_id = "other" if elsewhere else office.mailbox.id
    words = {"subject": "Uw bericht", "text": "Dank u."}
    made = {"id": "own", "name": "Own", "created_at": office.clock.now, "mailbox_id": mailbox_id}
    office.services.templates.add(Template(**made, kind="acknowledgement", language="nl", **words))
    office.configure(language="de")

    office.receive(mail("Printer", body="x", Content_Language="nl"))

    assert office.sent()[0]["Content-Language"] == language


def test_nothing_is_owed_while_nobody_listens(silent_office):
    silent_office.receive(mail("Printer"))

    assert (silent_office.outbox(), silent_office.requests.waiting, silent_office.smtp.received) == ([], [], [])
    assert silent_office.ticket().language == ""


@pytest.mark.parametrize(
    "message",
    [
        mail("Out of office", Auto_Submitted="auto-replied"),
        mail("News", List_Id="<news.example.org>", Precedence="list"),
        mail("Report", Auto_Submitted="auto-generated"),
        mail("Printer", sender="no-reply@example.org"),
        mail("Printer", sender="support@example.com"),
        mail("Printer", sender=""),
        mail("Printer", Return_Path="<>"),
    ],
    ids=["automatic reply", "list", "generated", "no-reply", "own address", "nobody", "null return path"],
)
def test_machines_lists_and_our_own_addresses_are_never_acknowledged(office, message):
    office.receive(message)

    assert office.sent() == []
    assert office.outbox() == []


def test_a_mailbox_need_not_acknowledge(office):
    office.configure(acknowledge=False)

    office.receive(mail("Printer"))

    assert office.sent() == []


def test_an_address_gets_so_many_automatic_messages_and_then_silence(office):
    office.configure(limits=AutomaticLimits(per_address_per_hour=3))

    office.receive(*(mail(f"Printer {number}", id_=f"<{number}@x>") for number in range(6)))
    later = len(office.sent())
    office.wait(minutes=61)
    office.receive(mail("Printer again", id_="<again@x>"))

    assert (later, len(office.sent())) == (3, 4)


def test_an_address_that_mail_came_back_from_is_not_acknowledged(office):
    address = f"ann-{uuid.uuid4().hex[:8]}@example.org"
    office.contact(address, Role.REQUESTER, bounced_at=office.clock.now)

    office.receive(mail("Printer", sender=address))

    assert office.sent() == []


def test_the_group_is_told_of_a_new_ticket_and_of_what_the_customer_answers(office, group):
    office.configure(acknowledge=False)
    office.receive(mail("Printer", id_="<1@x>"))
    office.receive(mail("Re: Printer", id_="<2@x>", In_Reply_To="<1@x>", body="It burns still."))

    first, second = office.sent()
    assert {each.addr_spec for each in first["To"].addresses} == {
        f"{who}-{group}@staff.example" for who in ("tess", "tom")
    }
    assert first["Auto-Submitted"] == "auto-generated"
    assert "It burns still." in second.get_body(("plain",)).get_content()
    assert second["References"].split() == ["<1@x>"]


def test_who_has_the_ticket_is_told_alone(office, group):
    office.configure(acknowledge=False)
    office.receive(mail("Printer", id_="<1@x>"))
    change(office, assignee=f"tom-{group}@staff.example")

    office.receive(mail("Re: Printer", id_="<2@x>", In_Reply_To="<1@x>"))

    assert [each.addr_spec for each in office.sent()[-1]["To"].addresses] == [f"tom-{group}@staff.example"]


def test_nobody_is_told_of_what_machines_answer(office, group):
    """A technician's out-of-office notice answers what the technician was told: telling that would never end."""
    office.configure(acknowledge=False)
    office.receive(mail("Printer", id_="<1@x>"))
    office.smtp.received.clear()

    office.receive(mail("Out of office", id_="<2@x>", In_Reply_To="<1@x>", Auto_Submitted="auto-replied"))

    assert office.sent() == []


def test_a_technicians_answer_goes_to_the_requester_in_the_same_thread(office):
    office.receive(mail("Printer", id_="<1@x>"))
    office.receive(mail("Re: Printer", id_="<2@x>", In_Reply_To="<1@x>"))

    comment(office, "Have you tried water?", attachment=b"\0\1\2")
    comment(office, "Or sand?")

    answer, another = office.sent()[-2:]
    assert (answer["Subject"], answer["In-Reply-To"]) == ("Re: [SUP-1] Printer", "<2@x>")
    assert answer["References"].split() == ["<1@x>", "<2@x>"]
    assert answer["Auto-Submitted"] is None
    assert answer.get_body(("plain",)).get_content().strip() == "Have you tried water?"
    assert "<p>Have you tried water?</p>" in answer.get_body(("html",)).get_content()
    assert [each.get_content() for each in answer.iter_attachments()] == [b"\0\1\2"]
    assert another["References"].split() == ["<1@x>", "<2@x>", answer["Message-ID"]]


def test_an_answer_to_our_answer_is_a_comment_on_the_ticket(office):
    office.receive(mail("Printer", id_="<1@x>"))
    comment(office, "Have you tried water?")
    answer = office.sent()[-1]

    office.receive(mail("Thanks", id_="<3@x>", In_Reply_To=answer["Message-ID"]))

    assert [each.text.strip() for each in office.comments()][-1] == "Text of Thanks"


def test_people_in_copy_get_the_answer_too(office):
    office.receive(mail("Printer", id_="<1@x>", Cc="Bob <bob@example.org>"))

    comment(office, "Have you tried water?")

    answer = office.smtp.received[-1]
    assert set(answer.recipients) == {"ann@example.org", "bob@example.org"}


def test_what_a_technician_mails_goes_on_to_those_who_do_not_have_it(office):
    address = f"tess-{uuid.uuid4().hex[:8]}@staff.example"
    office.contact(address)
    office.receive(mail("Printer", id_="<1@x>", Cc="Bob <bob@example.org>"))
    change(office, assignee=address)
    office.smtp.received.clear()

    answer = {"In_Reply_To": "<1@x>", "sender": address, "body": "Use sand."}
    office.receive(mail("Re: Printer", id_="<2@x>", Cc="bob@example.org", **answer))

    (sent,) = office.smtp.received
    assert sent.recipients == ("ann@example.org",)
    assert b"Use sand." in sent.content


def test_internal_notes_are_for_technicians_alone(office, group):
    office.receive(mail("Printer", id_="<1@x>"))
    office.smtp.received.clear()

    comment(office, "Between us: it was Ann.", kind=CommentKind.INTERNAL)

    (sent,) = office.smtp.received
    assert set(sent.recipients) == {f"{who}-{group}@staff.example" for who in PEOPLE}


@pytest.mark.parametrize("who", ["stranger@example.net", "bounced"])
def test_where_no_technician_who_can_be_reached_has_the_ticket_its_group_is_told(office, group, who):
    """A rule may have found the address in a message: nobody gets internal notes by writing their own there."""
    if who == "bounced":
        office.contact(who := f"bounced-{group}@staff.example", bounced_at=office.clock.now)
    office.receive(mail("Printer", id_="<1@x>"))
    change(office, assignee=who)
    office.smtp.received.clear()

    comment(office, "Between us: it was Ann.", kind=CommentKind.INTERNAL)

    (sent,) = office.smtp.received
    assert set(sent.recipients) == {f"{each}-{group}@staff.example" for each in PEOPLE}


def test_the_requester_is_told_when_the_ticket_is_closed_and_opened_again(office):
    office.receive(mail("Printer", id_="<1@x>"))

    status_changed(office, Status.OPEN, Status.CLOSED)
    office.clock.advance(minutes=1)
    status_changed(office, Status.CLOSED, Status.OPEN)
    office.clock.advance(minutes=1)
    status_changed(office, Status.NEW, Status.OPEN)

    _, closed, reopened = office.sent()
    assert "closed your ticket SUP-1" in closed.get_body(("plain",)).get_content()
    assert "reopened your ticket SUP-1" in reopened.get_body(("plain",)).get_content()
    assert closed["Auto-Submitted"] == "auto-generated"


def test_an_event_can_be_quiet(office):
    office.receive(mail("Printer", id_="<1@x>"))

    status_changed(office, Status.OPEN, Status.CLOSED, quiet=True)

    assert len(office.sent()) == 1


@pytest.mark.parametrize(("told", "count"), [(True, 1), (False, 0)])
def test_guests_are_told_that_they_are_refused_where_that_is_on(office, told, count):
    office.configure(refused=told)
    current = office.services.mailboxes.get(office.mailbox.id)
    guarded = current.value.model_copy(update={"people": People(guests=False)})
    office.services.mailboxes.replace(guarded, current.etag)

    sender = f"eve-{uuid.uuid4().hex[:8]}@example.org"
    office.receive(mail("Let me in", id_="<1@x>", sender=sender))

    assert office.told() == [(sender, "Re: Let me in")] * count


def test_alerts_go_to_whom_the_event_names(office):
    details = {"to": ["admin@staff.example"], "subject": "Support fails", "text": "Nobody can sign in."}
    office.owes(event(EventType.MAILBOX_FAILING, "1", office.clock.now, **details))

    (sent,) = office.sent()
    assert (sent["To"].addresses[0].addr_spec, sent["Subject"]) == ("admin@staff.example", "Support fails")
    assert "Nobody can sign in." in sent.get_body(("plain",)).get_content()


def test_mail_that_comes_back_marks_whom_it_did_not_reach(office):
    address = f"ann-{uuid.uuid4().hex[:8]}@example.org"
    office.contact(address, Role.REQUESTER)
    office.receive(mail("Printer", id_="<1@x>", sender=address))
    sent = office.sent()[0]["Message-ID"]

    office.receive(bounce(address, sent))

    contact = office.services.contacts.read([address])[address].value
    assert contact.bounced_at is not None
    assert contact.bounce.startswith("5.1.1")
    assert [each.kind for each in office.comments()] == [CommentKind.PUBLIC, CommentKind.INTERNAL]
    assert len(office.sent()) == 1


def test_a_report_about_a_message_that_we_have_not_sent_marks_nobody(office):
    address = f"ann-{uuid.uuid4().hex[:8]}@example.org"
    office.contact(address, Role.REQUESTER)
    office.receive(mail("Printer", id_="<1@x>", sender=address))

    office.receive(bounce(address, "<1@x>"))

    assert office.services.contacts.read([address])[address].value.bounced_at is None
    assert [each.kind for each in office.comments()] == [CommentKind.PUBLIC, CommentKind.INTERNAL]


def test_a_report_marks_nobody_to_whom_the_message_was_not_sent(office):
    """Whoever has had an answer knows its Message-ID, and may write what looks like a report about it."""
    address, other = (f"{name}-{uuid.uuid4().hex[:8]}@example.org" for name in ("ann", "bob"))
    office.contact(other, Role.REQUESTER)
    office.receive(mail("Printer", id_="<1@x>", sender=address, Cc=other))
    sent = office.sent()[0]["Message-ID"]

    office.receive(bounce(other, sent))

    assert office.services.contacts.read([other])[other].value.bounced_at is None


def test_a_guest_whose_mail_comes_back_is_sent_nothing_automatic_for_a_while(office):
    address = f"ann-{uuid.uuid4().hex[:8]}@example.org"
    office.receive(mail("Printer", id_="<1@x>", sender=address))
    office.receive(bounce(address, office.sent()[0]["Message-ID"]))

    office.receive(mail("Scanner", id_="<2@x>", sender=address))
    meanwhile = len(office.sent())
    office.clock.advance(days=30)
    office.receive(mail("Screen", id_="<3@x>", sender=address))

    assert (meanwhile, len(office.sent())) == (1, 2)
