"""The ticket store on Azure Table Storage: one partition a mailbox, one transaction a batch (ADR 1)."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from azure.core import MatchConditions
from azure.data.tables import TableClient, TableEntity, TableErrorCode, TableTransactionError, UpdateMode

from shared.adapters.storage import rows
from shared.adapters.storage.clients import StorageClients, get_row, translated
from shared.adapters.storage.rows import Row
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

_Operation = tuple[str, Row] | tuple[str, Row, dict[str, Any]]

_CONFLICTS = (404, 409, 412)
_MAX_OPERATIONS = 100


class TableTicketStore:
    def __init__(self, clients: StorageClients) -> None:
        self._clients = clients

    @cached_property
    def _table(self) -> TableClient:
        return self._clients.table("tickets")

    @cached_property
    def _readers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=16, thread_name_prefix="table-read")

    def state(self, mailbox_id: str) -> tuple[MailboxState, str | None]:
        row = get_row(self._table, mailbox_id, rows.STATE)
        return (rows.to_state(row), str(row.metadata["etag"])) if row else (MailboxState(), None)

    def commit(self, mailbox_id: str, commit: Commit) -> str:
        operations = [*_operations(commit)]
        assert len(operations) <= _MAX_OPERATIONS, "a batch has to fit into one transaction"
        for operation in operations:
            operation[1]["PartitionKey"] = mailbox_id
        with translated():
            try:
                results = self._table.submit_transaction(operations)
            except TableTransactionError as error:
                raise _conflict(error, operations) from error
        return str(results[0].get("etag", ""))

    def receipts(self, mailbox_id: str, keys: Sequence[str]) -> Mapping[str, Receipt]:
        found = self._readers.map(lambda key: get_row(self._table, mailbox_id, rows.receipt_key(key)), keys)
        return {key: rows.to_receipt(row) for key, row in zip(keys, found, strict=True) if row}

    def ticket(self, mailbox_id: str, number: int) -> Versioned[Ticket] | None:
        row = get_row(self._table, mailbox_id, rows.ticket_key(number))
        return Versioned(rows.to_ticket(row), str(row.metadata["etag"])) if row else None

    def tickets(self, mailbox_id: str, *, open_only: bool, limit: int, before: int | None) -> Sequence[Ticket]:
        kind, key = ("open", rows.open_key) if open_only else ("ticket", rows.ticket_key)
        after = key(before) if before else f"{kind}|"
        return [rows.to_ticket(row) for row in self._range(mailbox_id, after, f"{kind}}}", limit)]

    def comments(self, mailbox_id: str, number: int) -> Sequence[Comment]:
        return [rows.to_comment(row) for row in self._range(mailbox_id, *rows.comment_range(number))]

    def outbox(self, mailbox_id: str) -> Sequence[OutboxEntry]:
        return [rows.to_outbox(row) for row in self._range(mailbox_id, "outbox|", "outbox}")]

    def owed(
        self, mailbox_id: str, kind: EntryKind | None, limit: int, due_by: datetime | None = None
    ) -> Sequence[Versioned[OutboxEntry]]:
        only = f" and kind eq '{kind}'" if kind else ""
        if due_by:
            only += f" and due_at le '{due_by.isoformat()}' and state ne 'failed'"
        found = self._range(mailbox_id, "outbox|", "outbox}", limit, only)
        return [Versioned(rows.to_outbox(row), str(row.metadata["etag"])) for row in found]

    def entry(self, mailbox_id: str, entry_id: str) -> Versioned[OutboxEntry] | None:
        row = get_row(self._table, mailbox_id, rows.outbox_key(entry_id))
        return Versioned(rows.to_outbox(row), str(row.metadata["etag"])) if row else None

    def sent_to(self, mailbox_id: str, contact_id: str) -> Versioned[SentTo] | None:
        row = get_row(self._table, mailbox_id, rows.sent_key(contact_id))
        return Versioned(rows.to_sent(row), str(row.metadata["etag"])) if row else None

    def quarantine(self, mailbox_id: str) -> Sequence[QuarantineEntry]:
        return [rows.to_quarantine(row) for row in self._range(mailbox_id, "quarantine|", "quarantine}")]

    def quarantined(self, mailbox_id: str, entry_id: str) -> Versioned[QuarantineEntry] | None:
        row = get_row(self._table, mailbox_id, rows.quarantine_key(entry_id))
        return Versioned(rows.to_quarantine(row), str(row.metadata["etag"])) if row else None

    def runs(self, mailbox_id: str, limit: int, wanted: RunFilter | None = None) -> Sequence[PollRun]:
        between = rows.run_range(wanted.since, wanted.until) if wanted else ("run|", "run}")
        only = (
            "" if wanted is None or wanted.failed is None else f" and error_code {'ne' if wanted.failed else 'eq'} ''"
        )
        return [rows.to_run(row) for row in self._range(mailbox_id, *between, limit, only)]

    def sums(self, mailbox_id: str, since: datetime, until: datetime) -> Sequence[RunSums]:
        hour = timedelta(hours=1)
        between = rows.sums_key(since - hour), rows.sums_key(until + hour - timedelta(microseconds=1))
        return [rows.to_sums(row) for row in self._range(mailbox_id, *between)]

    def _range(
        self, mailbox_id: str, after: str, before: str, limit: int | None = None, only: str = ""
    ) -> Iterator[TableEntity]:
        """Rows of one partition with `after < key < before`, in order; never more than `limit`."""
        with translated():
            found = self._table.query_entities(
                f"PartitionKey eq @mailbox and RowKey gt @after and RowKey lt @before{only}",
                parameters={"mailbox": mailbox_id, "after": after, "before": before},
                results_per_page=min(limit or 1000, 1000),
            )
            for index, row in enumerate(found):
                if limit is not None and index >= limit:
                    return
                yield row


def _operations(commit: Commit) -> Iterator[_Operation]:
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
        yield "upsert", row, {"mode": UpdateMode.REPLACE}


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


def _replace(row: Row, etag: str | None) -> _Operation:
    if etag is None:
        return "create", row
    options = {"mode": UpdateMode.REPLACE, "etag": etag, "match_condition": MatchConditions.IfNotModified}
    return "update", row, options


def _changed_entry(change: ChangedEntry) -> _Operation:
    if change.after:
        return _replace(rows.outbox_row(change.after), change.before.etag)
    return _delete(rows.outbox_key(change.before.value.id), change.before.etag)


def _changed_quarantine(change: ChangedQuarantine) -> _Operation:
    if change.after:
        return _replace(rows.quarantine_row(change.after), change.before.etag)
    return _delete(rows.quarantine_key(change.before.value.id), change.before.etag)


def _delete(key: str, etag: str) -> _Operation:
    return "delete", {"RowKey": key}, {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _open_operation(changed: ChangedTicket) -> Iterator[_Operation]:
    if changed.after.status is not Status.CLOSED:
        yield "upsert", rows.open_row(changed.after), {"mode": UpdateMode.REPLACE}
    elif changed.before.value.status is not Status.CLOSED:
        yield "delete", {"RowKey": rows.open_key(changed.after.number), "number": changed.after.number}


def _conflict(error: TableTransactionError, operations: Sequence[_Operation]) -> Exception:
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
