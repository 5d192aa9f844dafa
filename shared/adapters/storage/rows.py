"""The rows of a mailbox's partition: explicit and versioned mapping between them and the domain (ADR 1).

Row keys sort as lists are read: tickets and runs newest first, comments oldest first. Texts over a property's
limit are cut; the whole is always in the raw message.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from shared.application.ports.tickets import StoredRaw
from shared.domain.intake import Deferred, MailboxState, PollRun, QuarantineEntry, RunSums, Terms
from shared.domain.message import Address, Attachment, Cursor, MessageRef
from shared.domain.outbox import OutboxEntry, SentTo
from shared.domain.ticket import Comment, CommentKind, Outcome, RawPointer, Receipt, Status, Ticket

Row = dict[str, Any]

VERSION = 3
"""2 has the fields of tickets beyond the subject, and the full text of replies; rows of 1 are read as without them.
3 links a ticket to many (`links`); those before it to one (`linked_to`).
"""

STATE = "state"
_TEXT_UNITS = 30_000
"""A string property holds 32,768 UTF-16 code units at most."""
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


def cut(text: str) -> str:
    """As much of the text as a property holds."""
    if len(text) <= _TEXT_UNITS // 2:
        return text
    return text.encode("utf-16-le")[: 2 * _TEXT_UNITS].decode("utf-16-le", "ignore")


def _time(moment: datetime) -> str:
    return moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _json_list(items: Iterable[Any]) -> tuple[str, bool]:
    """As JSON, and whether all of it fits into one property; what does not fit is left out from the end."""
    kept = list(items)
    complete = True
    while len(text := json.dumps(kept, separators=(",", ":"))) > _TEXT_UNITS:
        kept = kept[: len(kept) // 2]
        complete = False
    return text, complete


def _json_values(values: Mapping[str, str]) -> str:
    """Pairs of name and value; where they are more than a property holds, the longest values are cut."""
    longest = max(map(len, values.values()))
    while True:
        pairs = sorted((name, value[:longest]) for name, value in values.items())
        text = json.dumps(pairs, separators=(",", ":"), ensure_ascii=False)
        if len(text.encode("utf-16-le")) <= 2 * _TEXT_UNITS:
            return text
        longest = longest * 3 // 4


def state_row(state: MailboxState) -> Row:
    deferred = [[item.ref.folder, item.ref.id, item.attempts] for item in state.deferred]
    return {
        "RowKey": STATE,
        "v": VERSION,
        "next_number": state.next_number,
        "cursor": state.cursor or "",
        "cursor_at": _time(state.cursor_at) if state.cursor_at else "",
        "deferred": json.dumps(deferred, separators=(",", ":")),
        "lease_owner": state.lease_owner or "",
        "lease_until": _time(state.lease_until) if state.lease_until else "",
        **({"sums": json.dumps(sums_row(state.sums))} if state.sums else {}),
    }


def to_state(row: Mapping[str, Any]) -> MailboxState:
    return MailboxState(
        next_number=row["next_number"],
        cursor=Cursor(row["cursor"]) if row["cursor"] else None,
        cursor_at=_moment(row["cursor_at"]),
        deferred=tuple(
            Deferred(MessageRef(folder, ref), attempts) for folder, ref, attempts in json.loads(row["deferred"])
        ),
        lease_owner=row["lease_owner"] or None,
        lease_until=_moment(row["lease_until"]),
        sums=to_sums(json.loads(row["sums"])) if "sums" in row else None,
    )


def receipt_row(receipt: Receipt) -> Row:
    return {
        "RowKey": receipt_key(receipt.key),
        "v": VERSION,
        "fingerprint": receipt.fingerprint,
        "outcome": receipt.outcome.value if receipt.outcome else "",
        "at": _time(receipt.at),
        "ticket_number": receipt.ticket_number or 0,
        **({"reason": receipt.reason} if receipt.reason else {}),
        **({"sent_to": " ".join(receipt.sent_to)} if receipt.sent_to else {}),
    }


def to_receipt(row: Mapping[str, Any]) -> Receipt:
    return Receipt(
        key=row["RowKey"].removeprefix("receipt|"),
        fingerprint=row["fingerprint"],
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        at=datetime.fromisoformat(row["at"]),
        ticket_number=row["ticket_number"] or None,
        reason=row.get("reason", ""),
        sent_to=tuple(row.get("sent_to", "").split()),
    )


def ticket_row(ticket: Ticket) -> Row:
    participants, _ = _json_list(sorted(ticket.participants))
    return {
        "RowKey": ticket_key(ticket.number),
        "v": VERSION,
        "number": ticket.number,
        "prefix": ticket.prefix,
        "subject": cut(ticket.subject),
        "requester_address": cut(ticket.requester.address),
        "requester_name": cut(ticket.requester.name),
        "status": ticket.status.value,
        "created_at": _time(ticket.created_at),
        "updated_at": _time(ticket.updated_at),
        "comment_count": ticket.comment_count,
        "participants": participants,
        **{name: cut(value) for name in _TEXTS if (value := getattr(ticket, name))},
        **_lists(ticket),
        **({"closed_at": _time(ticket.closed_at)} if ticket.closed_at else {}),
        **({"merged_into": ticket.merged_into} if ticket.merged_into else {}),
    }


_TEXTS = ("type", "priority", "group", "assignee", "category", "service", "company", "external_id", "language")
"""Fields of a ticket that most tickets do not have: their columns are there only where they have a value."""


def _lists(ticket: Ticket) -> Row:
    lists = {
        "tags": ticket.tags,
        "cc": [[each.address, each.name] for each in ticket.cc],
        "links": ticket.linked_to,
    }
    custom = {"custom": _json_values(ticket.custom)} if ticket.custom else {}
    return {name: _json_list(items)[0] for name, items in lists.items() if items} | custom


def open_row(ticket: Ticket) -> Row:
    """The same columns under the key by which open tickets are listed."""
    return {**ticket_row(ticket), "RowKey": open_key(ticket.number)}


def to_ticket(row: Mapping[str, Any]) -> Ticket:
    return Ticket(
        mailbox_id=row["PartitionKey"],
        number=row["number"],
        prefix=row["prefix"],
        subject=row["subject"],
        requester=Address(row["requester_address"], row["requester_name"]),
        status=Status(row["status"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
        comment_count=row["comment_count"],
        participants=frozenset(json.loads(row["participants"])),
        linked_to=tuple(json.loads(row["links"])) if "links" in row else _linked_before(row),
        custom=dict(json.loads(row.get("custom", "[]"))),
        tags=tuple(json.loads(row.get("tags", "[]"))),
        cc=tuple(Address(*each) for each in json.loads(row.get("cc", "[]"))),
        closed_at=_moment(row.get("closed_at")),
        merged_into=row.get("merged_into"),
        **{name: row.get(name, "") for name in _TEXTS},
    )


def _linked_before(row: Mapping[str, Any]) -> tuple[int, ...]:
    """As version 2 and those before it have it."""
    return (row["linked_to"],) if row.get("linked_to") else ()


def comment_row(comment: Comment) -> Row:
    text, full_text = cut(comment.text), cut(comment.full_text or "")
    attachments, complete = _json_list(
        [each.index, each.name, each.content_type, each.size, each.content_id, each.inline]
        for each in comment.attachments
    )
    row: Row = {
        "RowKey": comment_key(comment.ticket_number, comment.seq),
        "v": VERSION,
        "kind": comment.kind.value,
        "author_address": cut(comment.author.address),
        "author_name": cut(comment.author.name),
        "at": _time(comment.at),
        "text": text,
        "is_cut": comment.is_cut
        or len(text) + len(full_text) < len(comment.text) + len(comment.full_text or "")
        or not complete,
        "message_id": cut(comment.message_id or ""),
        "attachments": attachments,
        "notes": _json_list(comment.notes)[0],
    }
    said = {"full_text": full_text, "protection": comment.protection, "defects": " ".join(comment.defects)}
    return {**row, **{name: value for name, value in said.items() if value}, **_pointer_columns(comment.raw)}


def to_comment(row: Mapping[str, Any]) -> Comment:
    _, number, seq = row["RowKey"].split("|")
    return Comment(
        ticket_number=int(number),
        seq=int(seq),
        kind=CommentKind(row["kind"]),
        author=Address(row["author_address"], row["author_name"]),
        at=datetime.fromisoformat(row["at"]),
        text=row["text"],
        full_text=row.get("full_text"),
        is_cut=row["is_cut"],
        message_id=row["message_id"] or None,
        raw=_to_pointer(row),
        attachments=tuple(Attachment(*values) for values in json.loads(row["attachments"])),
        notes=tuple(json.loads(row["notes"])),
        defects=tuple(row.get("defects", "").split()),
        protection=row.get("protection", ""),
    )


def _pointer_columns(pointer: RawPointer | None, name: str = "raw") -> Row:
    if pointer is None:
        return {}
    return {f"{name}_sha256": pointer.sha256, f"{name}_size": pointer.size, f"{name}_inline": pointer.inline}


def _to_pointer(row: Mapping[str, Any], name: str = "raw") -> RawPointer | None:
    if f"{name}_sha256" not in row:
        return None
    return RawPointer(row[f"{name}_sha256"], row[f"{name}_size"], row[f"{name}_inline"])


def raw_row(raw: StoredRaw) -> Row:
    return {"RowKey": raw_key(raw.pointer.sha256), "v": VERSION, "gzip": raw.packed}


def outbox_key(entry_id: str) -> str:
    return f"outbox|{entry_id}"


def sent_key(contact_id: str) -> str:
    return f"sent|{contact_id}"


def sent_row(sent: SentTo) -> Row:
    times = [[_time(at), number] for at, number in sent.times]
    row = {"RowKey": sent_key(sent.contact_id), "v": VERSION, "times": json.dumps(times, separators=(",", ":"))}
    return row | ({"bounced_at": _time(sent.bounced_at)} if sent.bounced_at else {})


def to_sent(row: Mapping[str, Any]) -> SentTo:
    times = tuple((datetime.fromisoformat(at), number) for at, number in json.loads(row["times"]))
    bounced_at = datetime.fromisoformat(row["bounced_at"]) if "bounced_at" in row else None
    return SentTo(row["RowKey"].removeprefix("sent|"), times, bounced_at)


def outbox_row(entry: OutboxEntry) -> Row:
    return {
        "RowKey": outbox_key(entry.id),
        "v": VERSION,
        "kind": entry.kind,
        "due_at": _time(entry.due_at),
        "payload": json.dumps(entry.payload, separators=(",", ":")),
        "attempts": entry.attempts,
        "state": entry.state,
        "error": cut(entry.error),
    }


def to_outbox(row: Mapping[str, Any]) -> OutboxEntry:
    return OutboxEntry(
        id=row["RowKey"].removeprefix("outbox|"),
        kind=row["kind"],
        due_at=datetime.fromisoformat(row["due_at"]),
        payload=json.loads(row["payload"]),
        attempts=row["attempts"],
        state=row.get("state", "waiting"),
        error=row.get("error", ""),
    )


def quarantine_key(entry_id: str) -> str:
    return f"quarantine|{entry_id}"


def quarantine_row(entry: QuarantineEntry) -> Row:
    row: Row = {
        "RowKey": quarantine_key(entry.id),
        "v": VERSION,
        "folder": cut(entry.ref.folder),
        "ref": cut(entry.ref.id),
        "at": _time(entry.at),
        "attempts": entry.attempts,
        "error_code": entry.error_code,
        "error": cut(entry.error),
        **{name: True for name, is_set in asdict(entry.terms).items() if is_set},
    }
    return {**row, **_pointer_columns(entry.raw), **_pointer_columns(entry.corrected, "corrected")}


def to_quarantine(row: Mapping[str, Any]) -> QuarantineEntry:
    return QuarantineEntry(
        ref=MessageRef(row["folder"], row["ref"]),
        at=datetime.fromisoformat(row["at"]),
        attempts=row["attempts"],
        error_code=row["error_code"],
        error=row["error"],
        raw=_to_pointer(row),
        corrected=_to_pointer(row, "corrected"),
        terms=Terms(silent=row.get("silent", False), original_dates=row.get("original_dates", False)),
    )


def run_row(run: PollRun) -> Row:
    return {
        "RowKey": run_key(run.started_at),
        "v": VERSION,
        "started_at": _time(run.started_at),
        "ended_at": _time(run.ended_at),
        "reason": run.reason,
        "listed": run.listed,
        "outcomes": json.dumps(run.outcomes),
        "ignored": json.dumps(run.ignored),
        "error_code": run.error_code or "",
    }


def sums_row(sums: RunSums) -> Row:
    return {
        "RowKey": sums_key(sums.hour),
        "v": VERSION,
        "hour": _time(sums.hour),
        "runs": sums.runs,
        "failed": sums.failed,
        "listed": sums.listed,
        "outcomes": json.dumps(sums.outcomes),
    }


def to_sums(row: Mapping[str, Any]) -> RunSums:
    return RunSums(
        hour=datetime.fromisoformat(row["hour"]),
        runs=row["runs"],
        failed=row["failed"],
        listed=row["listed"],
        outcomes=json.loads(row["outcomes"]),
    )


def to_run(row: Mapping[str, Any]) -> PollRun:
    return PollRun(
        started_at=datetime.fromisoformat(row["started_at"]),
        ended_at=datetime.fromisoformat(row["ended_at"]),
        reason=row["reason"],
        listed=row["listed"],
        outcomes=json.loads(row["outcomes"]),
        ignored=json.loads(row["ignored"]),
        error_code=row["error_code"] or None,
    )
