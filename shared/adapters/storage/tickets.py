"""The ticket store on Azure Table Storage: one partition a mailbox, one transaction a batch (ADR 1)."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cached_property

from azure.data.tables import TableErrorCode, TableTransactionError

from shared.adapters.storage import rows
from shared.adapters.storage.clients import StorageClients, translated
from shared.adapters.storage.columns import Row
from shared.adapters.storage.table import AT_ONCE, Operation, Table, replacing, unchanged, upsert, versioned
from shared.application.ports.stores import Versioned
from shared.application.ports.tickets import (
    ChangedEntry,
    ChangedQuarantine,
    ChangedTicket,
    Commit,
    Fenced,
    OutboxChanged,
    QuarantineChanged,
    ReceiptExists,
    TicketChanged,
)
from shared.domain.intake import MailboxState, PollRun, QuarantineEntry, RunFilter, RunSums
from shared.domain.outbox import EntryKind, OutboxEntry, SentTo
from shared.domain.ticket import Comment, Receipt, Status, Ticket

_CONFLICTS = (404, 409, 412)


class TableTicketStore:
    def __init__(self, clients: StorageClients) -> None:
        self._table = Table(clients, "tickets")

    @cached_property
    def _readers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=16, thread_name_prefix="table-read")

    def state(self, mailbox_id: str) -> tuple[MailboxState, str | None]:
        row = self._table.get(mailbox_id, rows.STATE)
        return (rows.to_state(row), str(row.metadata["etag"])) if row else (MailboxState(), None)

    def commit(self, mailbox_id: str, commit: Commit) -> str:
        operations = [*_operations(commit)]
        assert len(operations) <= AT_ONCE, "a batch has to fit into one transaction"
        for operation in operations:
            operation[1]["PartitionKey"] = mailbox_id
        with translated():
            try:
                results = self._table.client.submit_transaction(operations)
            except TableTransactionError as error:
                raise _conflict(error, operations) from error
        return str(results[0].get("etag", ""))

    def receipts(self, mailbox_id: str, keys: Sequence[str]) -> Mapping[str, Receipt]:
        found = self._readers.map(lambda key: self._table.get(mailbox_id, rows.receipt_key(key)), keys)
        return {key: rows.to_receipt(row) for key, row in zip(keys, found, strict=True) if row}

    def ticket(self, mailbox_id: str, number: int) -> Versioned[Ticket] | None:
        return versioned(rows.to_ticket, self._table.get(mailbox_id, rows.ticket_key(number)))

    def tickets(self, mailbox_id: str, *, open_only: bool, limit: int, before: int | None) -> Sequence[Ticket]:
        kind, key = ("open", rows.open_key) if open_only else ("ticket", rows.ticket_key)
        after = key(before) if before else f"{kind}|"
        return [rows.to_ticket(row) for row in self._table.between(mailbox_id, after, f"{kind}}}", limit=limit)]

    def comments(self, mailbox_id: str, number: int) -> Sequence[Comment]:
        return [rows.to_comment(row) for row in self._table.between(mailbox_id, *rows.comment_range(number))]

    def outbox(self, mailbox_id: str) -> Sequence[OutboxEntry]:
        return [rows.to_outbox(row) for row in self._table.between(mailbox_id, "outbox|", "outbox}")]

    def owed(
        self, mailbox_id: str, kind: EntryKind | None, limit: int, due_by: datetime | None = None
    ) -> Sequence[Versioned[OutboxEntry]]:
        only = f" and kind eq '{kind}'" if kind else ""
        if due_by:
            only += f" and due_at le '{due_by.isoformat()}' and state ne 'failed'"
        found = self._table.between(mailbox_id, "outbox|", "outbox}", only, limit=limit)
        return [Versioned(rows.to_outbox(row), str(row.metadata["etag"])) for row in found]

    def entry(self, mailbox_id: str, entry_id: str) -> Versioned[OutboxEntry] | None:
        return versioned(rows.to_outbox, self._table.get(mailbox_id, rows.outbox_key(entry_id)))

    def sent_to(self, mailbox_id: str, contact_id: str) -> Versioned[SentTo] | None:
        return versioned(rows.to_sent, self._table.get(mailbox_id, rows.sent_key(contact_id)))

    def quarantine(self, mailbox_id: str) -> Sequence[QuarantineEntry]:
        return [rows.to_quarantine(row) for row in self._table.between(mailbox_id, "quarantine|", "quarantine}")]

    def quarantined(self, mailbox_id: str, entry_id: str) -> Versioned[QuarantineEntry] | None:
        return versioned(rows.to_quarantine, self._table.get(mailbox_id, rows.quarantine_key(entry_id)))

    def runs(self, mailbox_id: str, limit: int, wanted: RunFilter | None = None) -> Sequence[PollRun]:
        between = rows.run_range(wanted.since, wanted.until) if wanted else ("run|", "run}")
        only = (
            "" if wanted is None or wanted.failed is None else f" and error_code {'ne' if wanted.failed else 'eq'} ''"
        )
        return [rows.to_run(row) for row in self._table.between(mailbox_id, *between, only, limit=limit)]

    def sums(self, mailbox_id: str, since: datetime, until: datetime) -> Sequence[RunSums]:
        hour = timedelta(hours=1)
        between = rows.sums_key(since - hour), rows.sums_key(until + hour - timedelta(microseconds=1))
        return [rows.to_sums(row) for row in self._table.between(mailbox_id, *between)]


def _operations(commit: Commit) -> Iterator[Operation]:
    """The state first: where another worker has been faster, that is what the answer says."""
    if commit.state:
        yield _replace(rows.state_row(commit.state), commit.state_etag)
    for changed in commit.changed_tickets:
        yield _replace(rows.ticket_row(changed.after), changed.before.etag)
        yield from _open_operation(changed)
    yield from map(_changed_entry, commit.changed_outbox)
    yield from map(_changed_quarantine, commit.changed_quarantine)
    for sent, etag in commit.sent_to:
        yield _replace(rows.sent_row(sent), etag)
    for row in _new_rows(commit):
        yield "create", row
    for row in _renewed_rows(commit):
        yield upsert(row)


def _new_rows(commit: Commit) -> Iterator[Row]:
    yield from map(rows.receipt_row, commit.receipts)
    yield from map(rows.ticket_row, commit.new_tickets)
    yield from map(rows.open_row, commit.new_tickets)
    yield from map(rows.comment_row, commit.comments)
    yield from map(rows.outbox_row, commit.outbox)


def _renewed_rows(commit: Commit) -> Iterator[Row]:
    yield from map(rows.receipt_row, commit.incidents)
    yield from map(rows.raw_row, commit.raws)
    yield from map(rows.quarantine_row, commit.quarantined)
    if commit.run:
        yield rows.run_row(commit.run)
        if commit.state and commit.state.sums:
            yield rows.sums_row(commit.state.sums)


def _replace(row: Row, etag: str | None) -> Operation:
    if etag is None:
        return "create", row
    return "update", row, replacing(etag)


def _changed_entry(change: ChangedEntry) -> Operation:
    if change.after:
        return _replace(rows.outbox_row(change.after), change.before.etag)
    return _delete(rows.outbox_key(change.before.value.id), change.before.etag)


def _changed_quarantine(change: ChangedQuarantine) -> Operation:
    if change.after:
        return _replace(rows.quarantine_row(change.after), change.before.etag)
    return _delete(rows.quarantine_key(change.before.value.id), change.before.etag)


def _delete(key: str, etag: str) -> Operation:
    return "delete", {"RowKey": key}, unchanged(etag)


def _open_operation(changed: ChangedTicket) -> Iterator[Operation]:
    if changed.after.status is not Status.CLOSED:
        yield upsert(rows.open_row(changed.after))
    elif changed.before.value.status is not Status.CLOSED:
        yield "delete", {"RowKey": rows.open_key(changed.after.number), "number": changed.after.number}


def _conflict(error: TableTransactionError, operations: Sequence[Operation]) -> Exception:
    """What the failure of one operation means; any other failure as it is."""
    if (
        error.status_code not in _CONFLICTS
        or error.index is None
        or getattr(error, "error_code", None) == TableErrorCode.TABLE_NOT_FOUND
    ):
        return error
    row = operations[error.index][1]
    kind, _, rest = str(row["RowKey"]).partition("|")
    match kind:
        case "state":
            return Fenced()
        case "receipt":
            return ReceiptExists(rest)
        case "ticket" | "open":
            return TicketChanged(row["number"])
        case "outbox" | "sent" | "quarantine":
            return QuarantineChanged() if kind == "quarantine" else OutboxChanged()
        case _:
            return error
