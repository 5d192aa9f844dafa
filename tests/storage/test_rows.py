"""Rows hold every field of what they store: one that is forgotten would be its default whenever it is read again."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.adapters.storage import audit, contacts, rows, schedule, sender_states, sign_ins, watches
from shared.adapters.storage.columns import Columns, Row
from shared.domain.audit import AuditEntry
from shared.domain.contact import Contact
from shared.domain.health import MailboxHealth, SenderState
from shared.domain.intake import Deferred, MailboxState, PollRun, QuarantineEntry, RunSums, Terms
from shared.domain.message import Address, Attachment, Cursor, MessageRef
from shared.domain.outbox import OutboxEntry, SentTo
from shared.domain.sign_in import SignInAttempt
from shared.domain.ticket import Comment, CommentKind, Outcome, RawPointer, Receipt, Status, Ticket
from shared.domain.watch import Watches

NOW = datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC)
HOUR = datetime(2026, 11, 21, 10, tzinfo=UTC)
ANN = Address("ann@example.org", "Ann Ünïcode")
RAW = RawPointer("a" * 64, 1_000, inline=True)
SUMS = RunSums(HOUR, 4, 1, 9, {"created": 9})

STORED: list[tuple[Callable[[Any], Row], Callable[[Row], Any], Any]] = [
    (rows.sums_row, rows.to_sums, SUMS),
    (
        rows.state_row,
        rows.to_state,
        MailboxState(7, Cursor("c"), NOW, (Deferred(MessageRef("INBOX", "1"), 2),), "worker", NOW, SUMS),
    ),
    (
        rows.receipt_row,
        rows.to_receipt,
        Receipt("key", "fingerprint", Outcome.CREATED, NOW, 17, "reason", ("hash",)),
    ),
    (
        rows.ticket_row,
        rows.to_ticket,
        Ticket(
            ANN,
            "Printer",
            "incident",
            "high",
            "Hardware",
            "kim@example.com",
            "Printers",
            "Office",
            "Example Ltd",
            {"serial": "4711"},
            ("urgent",),
            (ANN,),
            "external",
            mailbox_id="support",
            number=17,
            prefix="SUP",
            status=Status.OPEN,
            created_at=NOW,
            updated_at=NOW,
            comment_count=3,
            participants=frozenset({"ann@example.org"}),
            linked_to=(3, 4),
            language="de",
            closed_at=NOW,
            merged_into=5,
        ),
    ),
    (
        rows.comment_row,
        rows.to_comment,
        Comment(
            17,
            2,
            CommentKind.PUBLIC,
            ANN,
            NOW,
            "text",
            full_text="text and quote",
            is_cut=True,
            message_id="1@example.org",
            raw=RAW,
            attachments=(Attachment(1, "a.png", "image/png", 10, "cid", inline=True),),
            notes=("note",),
            defects=("header", "base64"),
            protection="smime-signed",
        ),
    ),
    (rows.sent_row, rows.to_sent, SentTo("hash", ((NOW, 17),), NOW)),
    (rows.outbox_row, rows.to_outbox, OutboxEntry("id", "email", NOW, {"to": []}, 2, "failed", "no")),
    (
        rows.quarantine_row,
        rows.to_quarantine,
        QuarantineEntry(
            MessageRef("INBOX", "1"),
            NOW,
            3,
            "message_error",
            "no",
            raw=RAW,
            corrected=RawPointer("b" * 64, 2_000, inline=False),
            terms=Terms(silent=True, original_dates=True),
        ),
    ),
    (rows.run_row, rows.to_run, PollRun(NOW, NOW, "demand", 2, {"ignored": 2}, {"spam": 2}, "throttled")),
]


@pytest.mark.parametrize(("write", "read", "item"), STORED, ids=[type(each[2]).__name__ for each in STORED])
def test_what_is_stored_comes_back_as_it_was(write, read, item):
    defaults = {each.name: each.default for each in fields(item) if each.default is not MISSING}
    assert {name for name, default in defaults.items() if getattr(item, name) == default} == set()

    assert read({**write(item), "PartitionKey": "support"}) == item


@pytest.mark.parametrize(
    ("columns", "stored", "in_key"),
    [
        (audit._COLUMNS, AuditEntry, {"id"}),
        (contacts._COLUMNS, Contact, set()),
        ({**schedule._AT_POLLS, **schedule._AT_SUCCESS, **schedule._MARKED}, MailboxHealth, {"mailbox_id"}),
        (sender_states._COLUMNS, SenderState, {"sender_id"}),
        (sign_ins._COLUMNS, SignInAttempt, set()),
        (watches._COLUMNS, Watches, {"mailbox_id"}),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_every_field_has_a_column_or_is_in_the_key(columns: Columns, stored: type, in_key: set[str]):
    assert columns.keys() | in_key == set(inspect.signature(stored).parameters)
