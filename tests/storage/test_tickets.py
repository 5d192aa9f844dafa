"""The ticket store's contract, on Azurite."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.application.ports.tickets import ChangedTicket, Commit, Fenced, ReceiptExists, TicketChanged
from shared.domain.errors import StoreRejected
from shared.domain.intake import Deferred, MailboxState, PollRun, QuarantineEntry
from shared.domain.message import Address, Attachment, Cursor, MessageRef
from shared.domain.outbox import OutboxEntry
from shared.domain.ticket import Comment, CommentKind, Outcome, RawPointer, Receipt, Status, Ticket

NOW = datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC)
STATE = MailboxState(next_number=2)
ANN = Address("ann@example.org", "Ann Ünïcode")


def ticket(mailbox_id: str, number: int = 1, **changes) -> Ticket:
    made = Ticket(
        ANN,
        "Printer",
        mailbox_id=mailbox_id,
        number=number,
        prefix="SUP",
        status=Status.NEW,
        created_at=NOW,
        updated_at=NOW,
        comment_count=1,
        participants=frozenset({"ann@example.org"}),
    )
    return replace(made, **changes)


def comment(number: int = 1, seq: int = 1, **changes) -> Comment:
    return replace(Comment(number, seq, CommentKind.PUBLIC, ANN, NOW, "It jams."), **changes)


def receipt(key: str = "k1", number: int = 1) -> Receipt:
    return Receipt(key, "print", Outcome.CREATED, NOW, number)


def test_a_mailbox_that_was_never_committed_to_has_a_fresh_state(tickets, mailbox_id):
    assert tickets.state(mailbox_id) == (MailboxState(), None)


def test_everything_of_a_commit_reads_back_as_it_was(tickets, mailbox_id):
    state = MailboxState(
        next_number=2,
        cursor=Cursor('{"uid": 7}'),
        cursor_at=NOW,
        deferred=(Deferred(MessageRef("INBOX", "1:7"), 2),),
        lease_owner="me",
        lease_until=NOW + timedelta(minutes=5),
    )
    attachment = Attachment(0, "Rechnung № 7.pdf", "application/pdf", 1234, "cid@x", inline=True)
    first = comment(message_id="<a@b>", raw=RawPointer("ab" * 32, 10, True), attachments=(attachment,), notes=("cut",))
    entry = QuarantineEntry(MessageRef("INBOX", "1:8"), NOW, 3, "store_rejected", "why", RawPointer("cd", 5, False))
    run = PollRun(NOW, NOW, "schedule", 1, {"created": 1}, {}, None)

    etag = tickets.commit(
        mailbox_id,
        Commit(
            state,
            None,
            receipts=[receipt()],
            new_tickets=[ticket(mailbox_id)],
            comments=[first],
            quarantined=[entry],
            run=run,
        ),
    )

    assert tickets.state(mailbox_id) == (state, etag)
    assert tickets.receipts(mailbox_id, ["k1", "unknown"]) == {"k1": receipt()}
    assert tickets.ticket(mailbox_id, 1).value == ticket(mailbox_id)
    assert tickets.comments(mailbox_id, 1) == [first]
    assert tickets.quarantine(mailbox_id) == [entry]
    assert tickets.runs(mailbox_id, 10) == [run]


def test_a_stale_state_stores_nothing(tickets, mailbox_id):
    etag = tickets.commit(mailbox_id, Commit(STATE, None))
    tickets.commit(mailbox_id, Commit(STATE, etag))

    with pytest.raises(Fenced):
        tickets.commit(mailbox_id, Commit(STATE, etag, [receipt()], [ticket(mailbox_id)]))

    assert tickets.receipts(mailbox_id, ["k1"]) == {}
    assert tickets.ticket(mailbox_id, 1) is None


def test_what_is_owed_is_stored_with_its_cause_or_not_at_all(tickets, mailbox_id):
    owed = OutboxEntry("ack-1", "email", NOW, {"to": "ann@example.org"}, attempts=1)
    etag = tickets.commit(mailbox_id, Commit(STATE, None, [receipt("k1")], outbox=[owed]))
    late = OutboxEntry("ack-2", "webhook", NOW, {})

    with pytest.raises(ReceiptExists):
        tickets.commit(mailbox_id, Commit(STATE, etag, [receipt("k1")], outbox=[late]))

    assert tickets.outbox(mailbox_id) == [owed]


def test_two_first_commits_are_one_too_many(tickets, mailbox_id):
    tickets.commit(mailbox_id, Commit(STATE, None))

    with pytest.raises(Fenced):
        tickets.commit(mailbox_id, Commit(STATE, None, [receipt()]))


def test_a_message_with_a_receipt_is_named_and_nothing_is_stored(tickets, mailbox_id):
    etag = tickets.commit(mailbox_id, Commit(STATE, None, [receipt("k1")]))

    with pytest.raises(ReceiptExists) as caught:
        tickets.commit(mailbox_id, Commit(STATE, etag, [receipt("k0"), receipt("k1")]))

    assert caught.value.key == "k1"
    assert tickets.receipts(mailbox_id, ["k0"]) == {}


def test_a_ticket_that_was_changed_since_it_was_read_is_named(tickets, mailbox_id):
    etag = tickets.commit(mailbox_id, Commit(STATE, None, new_tickets=[ticket(mailbox_id)]))
    before = tickets.ticket(mailbox_id, 1)
    changed = ChangedTicket(before, replace(before.value, comment_count=2))
    etag = tickets.commit(mailbox_id, Commit(STATE, etag, changed_tickets=[changed]))

    with pytest.raises(TicketChanged) as caught:
        tickets.commit(mailbox_id, Commit(STATE, etag, changed_tickets=[changed]))

    assert caught.value.number == 1


def test_closing_a_ticket_takes_it_off_the_open_list_and_reopening_puts_it_back(tickets, mailbox_id):
    etag = tickets.commit(mailbox_id, Commit(STATE, None, new_tickets=[ticket(mailbox_id)]))
    for status, listed in ((Status.CLOSED, 0), (Status.CLOSED, 0), (Status.OPEN, 1)):
        before = tickets.ticket(mailbox_id, 1)

        etag = tickets.commit(
            mailbox_id,
            Commit(STATE, etag, changed_tickets=[ChangedTicket(before, replace(before.value, status=status))]),
        )

        assert len(tickets.tickets(mailbox_id, open_only=True, limit=10, before=None)) == listed


def test_tickets_are_listed_newest_first_page_by_page(tickets, mailbox_id):
    numbers = range(1, 8)
    tickets.commit(mailbox_id, Commit(STATE, None, new_tickets=[ticket(mailbox_id, number) for number in numbers]))

    first = tickets.tickets(mailbox_id, open_only=False, limit=4, before=None)
    second = tickets.tickets(mailbox_id, open_only=False, limit=4, before=first[-1].number)

    assert [each.number for each in first] == [7, 6, 5, 4]
    assert [each.number for each in second] == [3, 2, 1]


def test_comments_of_one_ticket_come_oldest_first_and_without_those_of_others(tickets, mailbox_id):
    comments = [comment(1, 10), comment(1, 9), comment(11, 1), comment(1, 1)]
    tickets.commit(mailbox_id, Commit(STATE, None, comments=comments))

    assert [each.seq for each in tickets.comments(mailbox_id, 1)] == [1, 9, 10]


@pytest.mark.parametrize("text", ["a" * 200_000, "\U0001f600" * 40_000, "é" * 32_768, "\x01" * 30_000])
def test_a_text_over_the_limit_of_a_property_is_cut_and_says_so(tickets, mailbox_id, text):
    many = tuple(Attachment(index, f"file {index}.txt", "text/plain", 1) for index in range(2_000))
    long = comment(text=text, attachments=many, message_id="<" + "x" * 100_000 + ">")
    subject = ticket(mailbox_id, subject=text)

    tickets.commit(mailbox_id, Commit(STATE, None, new_tickets=[subject], comments=[long]))

    (stored,) = tickets.comments(mailbox_id, 1)
    assert stored.is_cut
    assert text.startswith(stored.text)
    assert len(stored.text) > 10_000
    assert stored.attachments == many[: len(stored.attachments)]


@pytest.mark.parametrize("value", ["a" * 10_000, "界" * 10_000, "\U0001f600" * 9_000, "\x01" * 9_000])
def test_custom_fields_that_are_too_much_for_a_property_are_all_there_as_far_as_it_goes(tickets, mailbox_id, value):
    custom = {"a": "short", **{f"long_{number}": value for number in range(8)}}

    tickets.commit(mailbox_id, Commit(STATE, None, new_tickets=[ticket(mailbox_id, custom=custom)]))

    stored = tickets.ticket(mailbox_id, 1).value.custom
    assert stored.keys() == custom.keys()
    assert stored["a"] == "short"
    assert all(value.startswith(stored[name]) and len(stored[name]) > 400 for name in custom if name != "a")


def test_data_that_the_store_cannot_take_is_told_from_a_store_that_is_down(tickets, mailbox_id):
    with pytest.raises(StoreRejected):
        tickets.commit(mailbox_id, Commit(STATE, None, receipts=[receipt("k" * 2_000)]))
