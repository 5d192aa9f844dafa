"""E-mails are sent effectively once, whatever fails; what cannot be sent is said on the ticket (req M3, M4, M6)."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from unittest.mock import patch

import pytest

from local.smtp_server import DROP, run_smtp_server
from shared.application.deliver import deliver
from shared.application.outbox import retry, sweep
from shared.application.poll import poll
from shared.application.ports.platform import DeliveryRequest, PollRequest
from shared.application.ports.tickets import ChangedEntry, Commit
from shared.domain.contact import Role
from shared.domain.errors import NotFound, OutcomeUnknown, SourceUnavailable
from shared.domain.outbox import EventType, event
from shared.domain.outgoing_rules import OutgoingRule
from shared.domain.templates import Template, TemplateKind
from shared.domain.ticket import CommentKind
from tests.intake.mail import mail

ANN = "ann@example.org"


def notes(office):
    return [each.text for each in office.comments() if each.kind is CommentKind.INTERNAL]


def state(office, sender):
    return {each.sender_id: each for each in office.services.sender_states.all()}[sender.id]


def switch_off(office, sender):
    current = office.services.senders.get(sender.id)
    office.services.senders.replace(current.value.model_copy(update={"enabled": False}), current.etag)


def add_rule(office, sender, id="rule", **conditions):  # noqa: A002 - as it is called
    rule = {"id": id, "name": id, "created_at": office.clock.now, "sender_id": sender.id}
    asked = [{"field": field, "value": value} for field, value in conditions.items()]
    office.services.outgoing_rules.add(OutgoingRule.model_validate(rule | {"conditions": asked}))


@pytest.fixture
def second():
    with run_smtp_server("none") as server:
        yield server


def test_a_server_that_fails_now_is_tried_again_later(office):
    office.smtp.fail("CONNECT", "421 4.3.2 Not now")

    office.receive(mail("Printer"))
    at_once = len(office.sent())
    office.wait(minutes=2)

    assert (at_once, len(office.sent())) == (0, 1)
    assert (office.outbox(), notes(office)) == ([], [])


def test_while_its_own_sender_fails_the_primary_stands_in_until_it_works_again(office, second):
    own = office.services.senders.cached()[0]
    office.sender("primary", second, from_address="main@example.com", made_primary_at=office.clock.now)
    office.configure(sender_id=own.id)
    office.smtp.fail("MAIL", "535 5.7.8 Who are you?")

    office.receive(mail("Printer"))
    by_primary = [each.content for each in second.received]
    failed = state(office, own)
    office.wait(minutes=3)
    office.receive(mail("Scanner", id_="<2@x>"))

    assert len(by_primary) == 1
    assert b"From: Support <main@example.com>" in by_primary[0]
    assert b"Reply-To: Support <support@example.com>" in by_primary[0]
    assert (failed.failures, failed.error_code) == (1, "credentials_rejected")
    assert len(office.smtp.received) == 1
    assert state(office, own).failures == 0


def test_a_rule_whose_sender_is_disabled_leaves_the_choice_to_the_next(office, second):
    disabled, chosen = office.sender("off", enabled=False), office.sender("next", second)
    add_rule(office, disabled, mailbox=office.mailbox.id)
    add_rule(office, chosen, mailbox=office.mailbox.id, id="zz")

    office.receive(mail("Printer"))

    assert (len(office.smtp.received), len(second.received)) == (0, 1)


def test_what_waits_for_a_disabled_sender_goes_through_the_primary(office, second):
    own = office.services.senders.cached()[0]
    office.configure(sender_id=own.id)
    office.smtp.fail("CONNECT", "421 4.3.2 Not now")
    office.receive(mail("Printer"))
    waiting = len(office.outbox())
    switch_off(office, own)
    office.sender("primary", second)
    office.wait(minutes=10)

    assert (waiting, len(second.received), office.outbox()) == (1, 1, [])


def test_where_no_sender_is_enabled_it_is_given_up_after_three_days_and_said(office):
    own = office.services.senders.cached()[0]
    office.smtp.fail("CONNECT", "421 4.3.2 Not now")
    office.receive(mail("Printer"))
    switch_off(office, own)
    for _ in range(19):
        office.clock.advance(hours=4)
        sweep(office.services)
        office.deliver()

    assert [(each.state, each.attempts) for each in office.outbox()] == [("failed", 2)]
    assert "Tried for 3 days. No sender that it may go through" in notes(office)[0]


def test_a_sender_that_keeps_failing_is_left_alone_for_longer_and_longer(office):
    office.smtp.fail("CONNECT", *["421 4.3.2 Not now"] * 100)

    office.receive(mail("Printer"))
    office.wait(hours=8)
    tries = office.smtp.sessions
    office.wait(hours=8)

    assert tries < 40
    assert office.smtp.sessions - tries < 16
    assert len(office.outbox()) == 1


def test_what_could_not_be_sent_for_three_days_is_given_up_and_can_be_sent_by_hand(office):
    office.smtp.refused[ANN] = "450 4.2.2 Mailbox full"
    office.receive(mail("Printer"))
    for _ in range(25):
        office.clock.advance(hours=4)
        office.deliver()
    (entry,) = office.outbox()

    office.smtp.refused.clear()
    retry(office.services, office.mailbox.id, entry.id)
    office.deliver()

    assert (entry.state, len(office.sent())) == ("failed", 1)
    assert "Tried for 3 days" in notes(office)[0]
    assert "4.2.2" in notes(office)[0]
    assert office.outbox() == []


def test_what_is_not_there_cannot_be_sent_again(office):
    with pytest.raises(NotFound):
        retry(office.services, office.mailbox.id, "email-1")


def test_an_address_that_is_refused_for_good_is_said_on_the_ticket_and_marked(office):
    office.contact("gone@example.org", Role.REQUESTER)
    office.smtp.refused["gone@example.org"] = "550 5.1.1 No such user"

    office.receive(mail("Printer", sender="gone@example.org"))

    assert "gone@example.org was refused by the server with 5.1.1" in notes(office)[0]
    assert [each.state for each in office.outbox()] == ["failed"]
    assert office.services.contacts.read(["gone@example.org"])["gone@example.org"].value.bounced_at is not None


def test_a_message_that_the_server_refuses_is_not_tried_again(office):
    office.smtp.fail("DATA", "554 5.6.0 Not with these words")

    office.receive(mail("Printer"))
    office.wait(hours=1)

    assert office.smtp.received == []
    assert len(notes(office)) == 1


def test_where_nobody_knows_whether_it_was_sent_it_is_not_sent_again_but_said(office):
    office.smtp.fail("TAKEN", DROP)

    office.receive(mail("Printer"))
    office.wait(hours=1)

    assert len(office.smtp.received) == 1
    assert "not known whether this e-mail was sent" in notes(office)[0]
    assert [each.state for each in office.outbox()] == ["failed"]


def test_what_a_worker_left_half_sent_is_not_sent_twice_by_a_retry(office):
    office.smtp.refused[ANN] = "450 4.2.2 Mailbox full"
    office.receive(mail("Printer"))
    office.smtp.refused.clear()
    (waiting,) = office.outbox()
    found = office.services.tickets.entry(office.mailbox.id, waiting.id)
    left = replace(waiting, state="sending", due_at=office.clock.now)
    office.services.tickets.commit(office.mailbox.id, Commit(changed_outbox=[ChangedEntry(found, left)]))

    retry(office.services, office.mailbox.id, waiting.id)
    office.deliver()

    assert office.sent() == []
    assert [each.state for each in office.outbox()] == ["failed"]


def test_a_sender_sends_no_more_than_its_limit_in_a_minute(office):
    office.services.senders.delete(
        (sender := office.services.senders.cached()[0]).id, office.services.senders.get(sender.id).etag
    )
    office.sender(limits={"messages_per_minute": 3})

    messages = [
        mail(f"Printer {number}", id_=f"<{number}@x>", sender=f"ann{number}@example.org") for number in range(8)
    ]
    office.receive(*messages)
    counts, requests = [len(office.smtp.received)], [len(office.requests.waiting)]
    for _ in range(3):
        office.wait(minutes=1)
        counts.append(len(office.smtp.received))
        requests.append(len(office.requests.waiting))

    assert counts == [3, 6, 8, 8]
    assert max(requests) == 1


def test_a_message_goes_to_no_more_people_at_once_than_the_server_takes(office, second):
    office.sender("own", second, limits={"recipients_per_message": 2})
    office.configure(sender_id=f"own-{office.mailbox.id}")
    people = ", ".join(f"person{number}@example.org" for number in range(4))
    office.receive(mail("Printer", id_="<1@x>", Cc=people))
    second.received.clear()
    second.refused["person0@example.org"] = "450 4.2.2 Mailbox full"

    told = {"ticket": 1, "seq": 1, "technician": True}
    office.owes(event(EventType.TICKET_COMMENTED, "1-1", office.clock.now, **told))
    second.refused.clear()
    office.wait(minutes=5)

    assert [each.recipients for each in second.received] == [
        (ANN,),
        ("person1@example.org", "person2@example.org"),
        ("person3@example.org",),
        ("person0@example.org",),
    ]


def test_a_request_that_is_repeated_sends_nothing_twice(office):
    office.receive(mail("Printer"))

    for request in [DeliveryRequest(office.mailbox.id), DeliveryRequest(office.mailbox.id, "ticket.created-1")]:
        deliver(office.services, request)

    assert len(office.sent()) == 1


def test_workers_that_deliver_at_the_same_time_send_everything_once(office):
    people = [f"ann{number}@example.org" for number in range(12)]
    office.provider.deliver(*(mail("Printer", id_=f"<{person}>", sender=person) for person in people))
    poll(office.services, PollRequest(office.mailbox.id, "schedule", "test"))

    with ThreadPoolExecutor(3) as workers:
        list(workers.map(deliver, [office.services] * 3, [DeliveryRequest(office.mailbox.id)] * 3))
    office.wait(minutes=15)

    assert sorted(each.recipients[0] for each in office.smtp.received) == sorted(people)
    assert office.outbox() == []


def test_the_sweep_makes_up_for_a_request_that_got_lost(office):
    office.smtp.fail("CONNECT", "421 4.3.2 Not now")
    office.receive(mail("Printer"))
    office.requests.waiting.clear()

    office.wait(minutes=6)

    assert len(office.sent()) == 1


def test_an_outgoing_rule_chooses_the_sender(office, second):
    other = office.sender("other", second)
    add_rule(office, other, recipient=ANN)

    office.receive(mail("Printer"), mail("Scanner", id_="<2@x>", sender="bob@example.org"))

    assert [each.recipients for each in second.received] == [(ANN,)]
    assert [each.recipients for each in office.smtp.received] == [("bob@example.org",)]


@pytest.mark.parametrize(("may_choose", "by_second"), [(True, 1), (False, 0)])
def test_a_technician_chooses_the_sender_where_the_mailbox_allows_it(office, second, may_choose, by_second):
    chosen = office.sender("chosen", second)
    office.configure(technicians_choose_sender=may_choose)
    office.receive(mail("Printer", id_="<1@x>"))

    told = {"ticket": 1, "seq": 1, "technician": True, "sender": chosen.id}
    office.owes(event(EventType.TICKET_COMMENTED, "1-1", office.clock.now, **told))

    assert len(second.received) == by_second
    assert len(office.smtp.received) == 2 - by_second


def test_the_mailbox_has_a_sender_of_its_own(office, second):
    office.configure(sender_id=office.sender("own", second).id)

    office.receive(mail("Printer"))

    assert len(second.received) == 1


def test_a_template_that_fails_is_replaced_by_the_built_in_text_which_the_ticket_says(office):
    template = Template(
        id="own",
        name="Own",
        created_at=office.clock.now,
        kind=TemplateKind.ACKNOWLEDGEMENT,
        language="en",
        subject="{{ ticket.subject.nothing.at.all }}",
        text="x",
    )
    office.services.templates.add(template)

    office.receive(mail("Printer", body="Hello, can you please help me? My printer is on fire."))

    assert office.told() == [(ANN, "Re: [SUP-1] Printer")]
    [note] = notes(office)
    assert "the template for it failed (TemplateRefused: line 1: there is no field" in note


def test_a_template_of_ones_own_is_used(office):
    template = Template(
        id="own",
        name="Own",
        created_at=office.clock.now,
        kind=TemplateKind.ACKNOWLEDGEMENT,
        language="en",
        subject="We have {{ ticket.subject }}",
        text="Dear {{ recipient.name }}",
    )
    office.services.templates.add(template)

    office.receive(mail("Printer"))

    assert office.told() == [(ANN, "[SUP-1] We have Printer")]


def test_no_header_comes_in_through_a_name_or_a_subject(office):
    evil = "=?utf-8?q?Printer=0D=0ABcc:_eve=40example.org?="

    office.receive(mail(evil, From="=?utf-8?q?Ann=0D=0ABcc:_eve=40example.org?= <ann@example.org>"))

    (sent,) = office.sent()
    assert sent["Bcc"] is None
    assert office.smtp.received[0].recipients == (ANN,)


def test_an_address_that_cannot_be_written_to_holds_up_no_other(office):
    office.receive(mail("One", id_="<1@x>", sender="a b@exa mple"), mail("Two", id_="<2@x>"))

    assert office.told()[-1] == (ANN, "Re: [SUP-2] Two")


def test_an_event_that_cannot_be_handled_holds_up_no_other_and_is_kept_for_a_person(office):
    office.receive(mail("Printer", id_="<1@x>"))
    told = {"ticket": 1, "seq": 1, "technician": True}
    broken = event(EventType.TICKET_COMMENTED, "1-0", office.clock.now, **told)
    broken.payload["type"] = "ticket.exploded"

    office.owes(broken, event(EventType.TICKET_COMMENTED, "1-1", office.clock.now, **told))

    assert len(office.sent()) == 2
    assert [(each.id, each.state) for each in office.outbox()] == [("ticket.commented-1-0", "failed")]


def test_a_full_batch_with_all_that_it_owes_is_one_transaction(office):
    commits = []
    storing = office.services.tickets.commit

    def commit(mailbox_id, changes):
        commits.append((len(changes.receipts), len(changes.outbox)))
        return storing(mailbox_id, changes)

    people = [f"ann{number}@example.org" for number in range(16)]
    office.provider.deliver(*(mail("Printer", id_=f"<{person}>", sender=person) for person in people))
    with patch.object(office.services.tickets, "commit", commit):
        poll(office.services, PollRequest(office.mailbox.id, "schedule", "test"))

    assert (16, 16) in commits
    assert len(office.requests.waiting) == 1


def test_a_defect_in_sending_is_as_an_answer_that_is_lost(office):
    class Broken:
        def send(self, mail):
            raise ZeroDivisionError

        def find_sent(self, message_id):
            return None

        def close(self): ...

    office.services = replace(office.services, open_sender=lambda sender, secrets=None: Broken())  # noqa: ARG005

    office.receive(mail("Printer"))

    assert "not known whether this e-mail was sent" in notes(office)[0]
    assert [each.state for each in office.outbox()] == ["failed"]


def test_what_may_have_been_sent_is_not_sent_again_before_the_provider_could_be_asked(office):
    sends, looks = [], iter([SourceUnavailable("down")] * 3 + [True])

    class Doubtful:
        def send(self, mail):
            sends.append(mail)
            raise OutcomeUnknown

        def find_sent(self, message_id):
            if isinstance(found := next(looks), Exception):
                raise found
            return found

        def close(self): ...

    office.services = replace(office.services, open_sender=lambda sender, secrets=None: Doubtful())  # noqa: ARG005

    office.receive(mail("Printer"))
    office.wait(hours=2)

    assert (len(sends), office.outbox(), notes(office)) == (1, [], [])
