"""What is stored about a person goes when somebody asks for it, and the record of that does not name them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from secrets import token_bytes

import pytest

from shared.application import erasure
from shared.application.ports.tickets import Commit
from shared.domain.contact import Role, contact_id
from shared.domain.erasures import ERASED, Erasure
from shared.domain.errors import Invalid
from shared.domain.intake import QuarantineEntry
from shared.domain.message import MessageRef
from shared.domain.outbox import EventType, event
from tests.intake.conftest import Desk
from tests.intake.mail import mail

ANN, BOB = "ann@example.org", "bob@example.org"


@pytest.fixture(autouse=True)
def no_records(desk: Desk) -> Iterator[None]:
    yield
    for each in desk.services.erasures.all():
        desk.services.erasures.delete(each.value.id, each.etag)


@pytest.fixture
def written(desk: Desk) -> Desk:
    """Ann and Bob have written of one matter, Bob of another as well."""
    large = f"\r\n\r\n{token_bytes(60_000).hex()}"
    desk.provider.deliver(
        mail("Payslip of Ann", id_="<1@x>", Cc=BOB, body=f"My number is 12345{large}"),
        mail("Re: Payslip of Ann", id_="<2@x>", sender=BOB, In_Reply_To="<1@x>", body=f"I am not {ANN.upper()}."),
        mail("Printer", id_="<3@x>", sender=BOB),
    )
    desk.poll()
    desk.contact(ANN, Role.REQUESTER)
    return desk


def erase(desk: Desk, address: str = ANN, *, plan: bool = False) -> Erasure:
    return erasure.erase(desk.services, {"address": address, "plan": plan})[1]


def stored(desk: Desk) -> str:
    """Everything in the partition of the mailbox, and its raw mail."""
    store, mailbox_id = desk.services.tickets, desk.mailbox.id
    with_raws = [
        desk.services.raws.get(mailbox_id, comment.raw)
        for ticket in desk.tickets()
        for comment in desk.comments(ticket.number)
        if comment.raw
    ]
    logs = [desk.comments(ticket.number) for ticket in desk.tickets()]
    return str((desk.tickets(), logs, store.outbox(mailbox_id), desk.quarantine(), with_raws)).casefold()


def test_nothing_of_the_person_is_left(written: Desk):
    assert ANN in stored(written)

    done = erase(written)

    assert done.finished_at
    assert ANN not in stored(written)
    assert "12345" not in stored(written)
    assert written.services.contacts.read([ANN]) == {}
    assert {name: done.counts[name] for name in ("tickets", "contacts", "raw_mail")} == {
        "tickets": 1,
        "contacts": 1,
        "raw_mail": 2,
    }


def test_what_others_wrote_stays(written: Desk):
    erase(written)

    payslip, printer = written.tickets()
    assert (payslip.subject, payslip.requester.name, printer.subject) == (ERASED, ERASED, "Printer")
    first, second = written.comments(1)
    assert (first.text, second.text.strip(), second.author.address) == (ERASED, f"I am not {ERASED}.", BOB)
    assert written.comments(2)[0].raw


def test_a_plan_counts_and_changes_nothing(written: Desk):
    before = stored(written)

    planned = erase(written, plan=True)

    assert planned.counts == {"tickets": 1, "contacts": 1}
    assert stored(written) == before
    assert written.services.erasures.get(planned.id) is None


def test_the_record_has_the_hash_of_the_address_and_not_the_address(written: Desk):
    done = erase(written, "Ann@Example.org")

    record = erasure.find(written.services, done.id)
    assert record.person == contact_id(ANN)
    assert "ann@" not in record.model_dump_json().casefold()


def test_what_comes_after_an_erasure_is_erased_by_the_next(written: Desk):
    erase(written)
    written.provider.deliver(mail("Again", id_="<4@x>"))
    written.poll()

    done = erase(written)

    assert done.counts["tickets"] == 2
    assert ANN not in stored(written)


def test_an_erased_message_is_not_taken_in_again(written: Desk):
    erase(written)
    written.provider.deliver(written.provider.messages[1])

    written.poll()

    assert written.health().last_outcomes == {"duplicate": 1}


def test_it_goes_on_where_time_ran_out(written: Desk):
    clock, began = written.clock, written.clock.now
    calls = iter(range(1000))

    def hurried():
        """Each look at the clock is two minutes later."""
        return began + next(calls) * timedelta(minutes=2)

    written.services = replace(written.services, clock=hurried)
    first = erase(written)
    written.services = replace(written.services, clock=clock)
    second = erase(written)

    assert (first.finished_at, bool(second.finished_at)) == (None, True)
    assert ANN not in stored(written)


def test_what_is_owed_to_the_person_is_not_sent(written: Desk):
    owed = event(EventType.MESSAGE_REFUSED, "1", written.clock(), to="Ann@example.org")
    written.services.tickets.commit(written.mailbox.id, Commit(outbox=[owed]))

    done = erase(written)

    assert done.counts["outbox"] >= 1
    assert ANN not in str(written.services.tickets.outbox(written.mailbox.id)).casefold()


def test_messages_in_quarantine_that_name_the_person_go(desk: Desk):
    for index, sender in enumerate((ANN.upper(), BOB)):
        raw = desk.services.raws.keep(desk.mailbox.id, mail("Broken", sender=sender))
        entry = QuarantineEntry(MessageRef("INBOX", str(index)), desk.clock(), 3, "message_error", "it broke", raw)
        desk.services.tickets.commit(desk.mailbox.id, Commit(quarantined=[entry]))

    done = erase(desk)

    [left] = desk.quarantine()
    assert BOB.encode() in desk.services.raws.get(desk.mailbox.id, left.raw)
    assert done.counts == {"quarantine": 1, "raw_mail": 1}


def test_a_technician_leaves_the_answers(written: Desk):
    written.contact(BOB, Role.TECHNICIAN)

    erase(written, BOB)

    assert BOB not in stored(written)
    assert written.comments(2)[0].text.strip() == "Text of Printer"


@pytest.mark.parametrize("address", ["", "nobody", 7, None, "a@b\r\nc"])
def test_what_is_no_address_is_refused(desk: Desk, address: object):
    with pytest.raises(Invalid):
        erasure.erase(desk.services, {"address": address})
