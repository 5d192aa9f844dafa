"""The rows of a mailbox's partition: explicit and versioned mapping between them and the domain (ADR 1).

Row keys sort as lists are read: tickets and runs newest first, comments oldest first.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from shared.adapters.storage.columns import (
    AS_IS,
    JSON,
    MAYBE,
    NUMBER,
    TEXT,
    TEXTS,
    TIME,
    Column,
    Columns,
    Row,
    compact,
    cut,
    fitting,
    one_of,
    pairs,
    sparse,
    to_fields,
    to_row,
)
from shared.application.ports.tickets import StoredRaw
from shared.domain.intake import Deferred, MailboxState, PollRun, QuarantineEntry, RunSums, Terms
from shared.domain.message import Address, Attachment, MessageRef
from shared.domain.outbox import OutboxEntry, SentTo
from shared.domain.ticket import Comment, CommentKind, Outcome, RawPointer, Receipt, Status, Ticket

VERSION = 3
"""2 has the fields of tickets beyond the subject, and the full text of replies; rows of 1 are read as without them.
3 links a ticket to many (`links`); those before it to one (`linked_to`).
"""

STATE = "state"
_LAST = 9_999_999_999


def receipt_key(key: str) -> str:
    return f"receipt|{key}"


def ticket_key(number: int) -> str:
    return f"ticket|{_LAST - number:010d}"


def open_key(number: int) -> str:
    return f"open|{_LAST - number:010d}"


def comment_key(number: int, seq: int) -> str:
    return f"comment|{number:010d}|{seq:06d}"


def comment_range(number: int) -> tuple[str, str]:
    return f"comment|{number:010d}|", f"comment|{number:010d}}}"


def raw_key(sha256: str) -> str:
    return f"raw|{sha256}"


def run_key(started_at: datetime) -> str:
    return f"run|{10**17 - int(started_at.timestamp() * 1_000_000):017d}"


def run_range(since: datetime, until: datetime) -> tuple[str, str]:
    """The keys between which the runs are that began from `since` on and before `until`."""
    return run_key(until), run_key(since - timedelta(microseconds=1))


def sums_key(hour: datetime) -> str:
    return f"hour|{hour:%Y%m%d%H}"


def outbox_key(entry_id: str) -> str:
    return f"outbox|{entry_id}"


def sent_key(contact_id: str) -> str:
    return f"sent|{contact_id}"


def quarantine_key(entry_id: str) -> str:
    return f"quarantine|{entry_id}"


def _row(key: str, columns: Columns, item: object) -> Row:
    return {"RowKey": key, "v": VERSION, **to_row(columns, item)}


def _id(row: Mapping[str, Any]) -> str:
    """What the key has behind the kind of the row."""
    return str(row["RowKey"]).partition("|")[2]


_SUMS: Columns = {
    "hour": TIME,
    **dict.fromkeys(("runs", "failed", "listed"), AS_IS),
    "outcomes": JSON,
}


def sums_row(sums: RunSums) -> Row:
    return _row(sums_key(sums.hour), _SUMS, sums)


def to_sums(row: Mapping[str, Any]) -> RunSums:
    return RunSums(**to_fields(_SUMS, row))


def _deferred(text: str) -> tuple[Deferred, ...]:
    return tuple(Deferred(MessageRef(folder, ref), attempts) for folder, ref, attempts in json.loads(text))


_STATE: Columns = {
    "next_number": AS_IS,
    "cursor": Column(lambda cursor: cursor or "", lambda text: text or None),
    "cursor_at": TIME,
    "deferred": Column(
        lambda deferred: compact([[each.ref.folder, each.ref.id, each.attempts] for each in deferred]), _deferred
    ),
    "lease_owner": MAYBE,
    "lease_until": TIME,
    "sums": sparse(Column(lambda sums: json.dumps(sums_row(sums)), lambda text: to_sums(json.loads(text)))),
}


def state_row(state: MailboxState) -> Row:
    return _row(STATE, _STATE, state)


def to_state(row: Mapping[str, Any]) -> MailboxState:
    return MailboxState(**to_fields(_STATE, row))


_RECEIPT: Columns = {
    "fingerprint": AS_IS,
    "outcome": one_of(Outcome),
    "at": TIME,
    "ticket_number": NUMBER,
    "reason": sparse(AS_IS),
    "sent_to": sparse(Column(" ".join, lambda text: tuple(text.split()))),
}


def receipt_row(receipt: Receipt) -> Row:
    return _row(receipt_key(receipt.key), _RECEIPT, receipt)


def to_receipt(row: Mapping[str, Any]) -> Receipt:
    return Receipt(key=_id(row), **to_fields(_RECEIPT, row))


_RARE = ("type", "priority", "group", "assignee", "category", "service", "company", "external_id", "language")
_TICKET: Columns = {
    "number": AS_IS,
    "prefix": AS_IS,
    "subject": TEXT,
    "status": one_of(Status),
    "created_at": TIME,
    "updated_at": TIME,
    "comment_count": AS_IS,
    "participants": Column(lambda keys: fitting(sorted(keys))[0], lambda text: frozenset(json.loads(text))),
    **dict.fromkeys(_RARE, sparse(TEXT)),
    "custom": sparse(Column(pairs, lambda text: dict(json.loads(text)))),
    "tags": sparse(TEXTS),
    "cc": sparse(
        Column(
            lambda people: fitting([each.address, each.name] for each in people)[0],
            lambda text: tuple(Address(*each) for each in json.loads(text)),
        )
    ),
    "closed_at": sparse(TIME),
    "merged_into": sparse(AS_IS),
}


def ticket_row(ticket: Ticket) -> Row:
    return {
        **_row(ticket_key(ticket.number), _TICKET, ticket),
        "requester_address": cut(ticket.requester.address),
        "requester_name": cut(ticket.requester.name),
        **({"links": TEXTS.write(ticket.linked_to)} if ticket.linked_to else {}),
    }


def open_row(ticket: Ticket) -> Row:
    """The same columns under the key by which open tickets are listed."""
    return {**ticket_row(ticket), "RowKey": open_key(ticket.number)}


def to_ticket(row: Mapping[str, Any]) -> Ticket:
    return Ticket(
        Address(row["requester_address"], row["requester_name"]),
        mailbox_id=row["PartitionKey"],
        linked_to=TEXTS.read(row["links"]) if "links" in row else _linked_before(row),
        **to_fields(_TICKET, row),
    )


def _linked_before(row: Mapping[str, Any]) -> tuple[int, ...]:
    """As version 2 and those before it have it."""
    return (row["linked_to"],) if row.get("linked_to") else ()


def _listed(attachment: Attachment) -> list[Any]:
    each = attachment
    return [each.index, each.name, each.content_type, each.size, each.content_id, each.inline]


_COMMENT: Columns = {
    "kind": one_of(CommentKind),
    "at": TIME,
    "text": TEXT,
    "full_text": sparse(TEXT),
    "is_cut": AS_IS,
    "message_id": MAYBE,
    "attachments": Column(
        lambda attachments: fitting(map(_listed, attachments))[0],
        lambda text: tuple(Attachment(*values) for values in json.loads(text)),
    ),
    "notes": TEXTS,
    "defects": sparse(Column(" ".join, lambda text: tuple(text.split()))),
    "protection": sparse(AS_IS),
}


def comment_row(comment: Comment) -> Row:
    texts = (comment.text, comment.full_text or "")
    is_cut = any(cut(each) != each for each in texts) or not fitting(map(_listed, comment.attachments))[1]
    return {
        **_row(comment_key(comment.ticket_number, comment.seq), _COMMENT, comment),
        "author_address": cut(comment.author.address),
        "author_name": cut(comment.author.name),
        **_pointer_columns(comment.raw),
        **({"is_cut": True} if is_cut else {}),
    }


def to_comment(row: Mapping[str, Any]) -> Comment:
    number, _, seq = _id(row).partition("|")
    author = Address(row["author_address"], row["author_name"])
    return Comment(int(number), int(seq), author=author, raw=_to_pointer(row), **to_fields(_COMMENT, row))


def _pointer_columns(pointer: RawPointer | None, name: str = "raw") -> Row:
    return {f"{name}_{part}": value for part, value in asdict(pointer).items()} if pointer else {}


def _to_pointer(row: Mapping[str, Any], name: str = "raw") -> RawPointer | None:
    if f"{name}_sha256" not in row:
        return None
    return RawPointer(row[f"{name}_sha256"], row[f"{name}_size"], row[f"{name}_inline"])


def raw_row(raw: StoredRaw) -> Row:
    return {"RowKey": raw_key(raw.pointer.sha256), "v": VERSION, "gzip": raw.packed}


_SENT: Columns = {
    "times": Column(
        lambda times: compact([[at.isoformat(), number] for at, number in times]),
        lambda text: tuple((datetime.fromisoformat(at), number) for at, number in json.loads(text)),
    ),
    "bounced_at": sparse(TIME),
}


def sent_row(sent: SentTo) -> Row:
    return _row(sent_key(sent.contact_id), _SENT, sent)


def to_sent(row: Mapping[str, Any]) -> SentTo:
    return SentTo(_id(row), **to_fields(_SENT, row))


_OUTBOX: Columns = {
    "kind": AS_IS,
    "due_at": TIME,
    "payload": JSON,
    "attempts": AS_IS,
    "state": AS_IS,
    "error": TEXT,
}


def outbox_row(entry: OutboxEntry) -> Row:
    return _row(outbox_key(entry.id), _OUTBOX, entry)


def to_outbox(row: Mapping[str, Any]) -> OutboxEntry:
    return OutboxEntry(_id(row), **to_fields(_OUTBOX, row))


_QUARANTINE: Columns = {"at": TIME, "attempts": AS_IS, "error_code": AS_IS, "error": TEXT}
_TERMS: Columns = {"silent": sparse(AS_IS), "original_dates": sparse(AS_IS)}


def quarantine_row(entry: QuarantineEntry) -> Row:
    return {
        **_row(quarantine_key(entry.id), _QUARANTINE, entry),
        "folder": cut(entry.ref.folder),
        "ref": cut(entry.ref.id),
        **to_row(_TERMS, entry.terms),
        **_pointer_columns(entry.raw),
        **_pointer_columns(entry.corrected, "corrected"),
    }


def to_quarantine(row: Mapping[str, Any]) -> QuarantineEntry:
    return QuarantineEntry(
        MessageRef(row["folder"], row["ref"]),
        raw=_to_pointer(row),
        corrected=_to_pointer(row, "corrected"),
        terms=Terms(**to_fields(_TERMS, row)),
        **to_fields(_QUARANTINE, row),
    )


_RUN: Columns = {
    "started_at": TIME,
    "ended_at": TIME,
    "reason": AS_IS,
    "listed": AS_IS,
    "outcomes": JSON,
    "ignored": JSON,
    "error_code": MAYBE,
}


def run_row(run: PollRun) -> Row:
    return _row(run_key(run.started_at), _RUN, run)


def to_run(row: Mapping[str, Any]) -> PollRun:
    return PollRun(**to_fields(_RUN, row))
