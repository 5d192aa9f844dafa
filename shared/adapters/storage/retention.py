"""Removing rows of a mailbox's partition, and blobs, that are past their retention."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableEntity, TableTransactionError, UpdateMode

from shared.adapters.storage import rows
from shared.adapters.storage.clients import StorageClients, translated
from shared.adapters.storage.raws import blob_name
from shared.adapters.storage.table import AT_ONCE, Operation, Table, unchanged
from shared.application.ports.stores import Versioned
from shared.domain.ticket import Comment, RawPointer, Ticket

_GONE = (404, 412)
_KEYS = ("RowKey",)


class TableRetentionStore:
    def __init__(self, clients: StorageClients) -> None:
        self._clients = clients
        self._table = Table(clients, "tickets")

    def remove_runs(self, mailbox_id: str, before: datetime, limit: int) -> int:
        runs = self._table.between(mailbox_id, rows.run_key(before), "run}", select=_KEYS)
        hours = self._table.between(mailbox_id, "hour|", rows.sums_key(before), select=_KEYS)
        return self._remove(mailbox_id, _keys(islice(chain(runs, hours), limit)))

    def remove_quarantine(self, mailbox_id: str, before: datetime, limit: int) -> int:
        found = self._table.between(mailbox_id, "quarantine|", "quarantine}", _older(before), select=_KEYS)
        return self._remove(mailbox_id, _keys(islice(found, limit)))

    def remove_receipts(self, mailbox_id: str, before: datetime, spared: Collection[int], limit: int) -> int:
        found = self._table.between(
            mailbox_id, "receipt|", "receipt}", _older(before), select=("RowKey", "ticket_number")
        )
        wanted = (each for each in found if each["ticket_number"] not in spared)
        return self._remove(mailbox_id, _keys(islice(wanted, limit)))

    def closed(self, mailbox_id: str, before: datetime, limit: int) -> Sequence[Versioned[Ticket]]:
        only = f" and status eq 'closed' and closed_at lt '{before.isoformat()}'"
        found = islice(self._table.between(mailbox_id, "ticket|", "ticket}", only), limit)
        return [Versioned(rows.to_ticket(row), str(row.metadata["etag"])) for row in found]

    def remove_ticket(self, mailbox_id: str, ticket: Versioned[Ticket]) -> bool:
        """The ticket's own row goes last, with the last of its comments: what is broken off is gone on with."""
        number = ticket.value.number
        comments = [*_keys(self._table.between(mailbox_id, *rows.comment_range(number), select=_KEYS))]
        last = comments[-(AT_ONCE - 1) :]
        row = self._table.get(mailbox_id, rows.ticket_key(number))
        if row is None or row.metadata["etag"] != ticket.etag:
            return False
        self._remove(mailbox_id, comments[: -(AT_ONCE - 1)])
        own: Operation = ("delete", _row(mailbox_id, rows.ticket_key(number)), unchanged(ticket.etag))
        with translated():
            try:
                self._table.client.submit_transaction([own, *(("delete", _row(mailbox_id, key)) for key in last)])
            except TableTransactionError as error:
                if error.status_code not in _GONE:
                    raise
                return False
        return True

    def references(self, mailbox_id: str) -> Mapping[str, set[int]]:
        referring: dict[str, set[int]] = {}
        for row in self._table.between(mailbox_id, "comment|", "comment}", select=("RowKey", "raw_sha256")):
            if sha256 := row.get("raw_sha256"):
                referring.setdefault(sha256, set()).add(int(row["RowKey"].split("|")[1]))
        for row in self._table.between(mailbox_id, "quarantine|", "quarantine}"):
            for name in ("raw_sha256", "corrected_sha256"):
                if name in row:
                    referring.setdefault(row[name], set()).add(0)
        return referring

    def raws(self, mailbox_id: str, before: datetime) -> Iterator[RawPointer]:
        stamp = f" and Timestamp lt datetime'{before:%Y-%m-%dT%H:%M:%SZ}'"
        for row in self._table.between(mailbox_id, "raw|", "raw}", stamp, select=_KEYS):
            yield RawPointer(row["RowKey"].removeprefix("raw|"), 0, inline=True)
        with translated():
            for blob in self._clients.raw_container.list_blobs(name_starts_with=f"{mailbox_id}/"):
                if blob.last_modified < before:
                    sha256 = blob.name.removeprefix(f"{mailbox_id}/").partition(".")[0]
                    yield RawPointer(sha256, blob.size, inline=False)

    def remove_raws(self, mailbox_id: str, pointers: Sequence[RawPointer]) -> int:
        removed = self._remove(mailbox_id, (rows.raw_key(each.sha256) for each in pointers if each.inline))
        for pointer in (each for each in pointers if not each.inline):
            with translated():
                try:
                    self._clients.raw_container.delete_blob(blob_name(mailbox_id, pointer))
                except ResourceNotFoundError:
                    continue
            removed += 1
        return removed

    def authors(self, mailbox_id: str) -> Iterator[tuple[int, str]]:
        for row in self._table.between(mailbox_id, "comment|", "comment}", select=("RowKey", "author_address")):
            yield int(row["RowKey"].split("|")[1]), row["author_address"]

    def rewrite(self, mailbox_id: str, comments: Sequence[Comment]) -> None:
        for comment in comments:
            row = rows.comment_row(comment) | {"PartitionKey": mailbox_id}
            with translated():
                self._table.client.update_entity(row, mode=UpdateMode.REPLACE)

    def remove_sent_to(self, mailbox_id: str, contact_id: str) -> None:
        self._table.delete(mailbox_id, rows.sent_key(contact_id))

    def _remove(self, mailbox_id: str, keys: Iterable[str]) -> int:
        """A hundred in one transaction, or singly where one of them is gone already."""
        waiting, removed = iter(dict.fromkeys(keys)), 0
        while batch := [_row(mailbox_id, key) for key in islice(waiting, AT_ONCE)]:
            with translated():
                try:
                    self._table.client.submit_transaction([("delete", row) for row in batch])
                except TableTransactionError as error:
                    if error.status_code not in _GONE:
                        raise
                    for row in batch:
                        self._table.client.delete_entity(row)
            removed += len(batch)
        return removed


def _older(before: datetime) -> str:
    return f" and at lt '{before.isoformat()}'"


def _keys(found: Iterable[TableEntity]) -> Iterator[str]:
    return (row["RowKey"] for row in found)


def _row(mailbox_id: str, key: str) -> dict[str, Any]:
    return {"PartitionKey": mailbox_id, "RowKey": key}
