"""Contacts, one row each, spread over partitions by the hash of the address.

Technicians have a second row, all in one partition, so that one query finds them. It is written before the contact's
own row, which alone decides: a change that breaks off in between has not happened; repeating it puts both rows right.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import groupby
from typing import Annotated, Any

from azure.data.tables import TableEntity
from pydantic import StringConstraints

from shared.adapters.storage.clients import StorageClients
from shared.adapters.storage.columns import AS_IS, TEXTS, TIME, Row, one_of, to_fields, to_row
from shared.adapters.storage.table import Table, upsert
from shared.application.continuations import Continuation
from shared.application.ports.stores import Versioned
from shared.domain.contact import Contact, ContactFilter, Role, contact_id

_TECHNICIANS = "technician"
"""Sorts behind the partitions of contacts, which are two hexadecimal digits."""

_CONTACTS = f"PartitionKey lt '{_TECHNICIANS}'"

_PLACES = Continuation[str](Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")])

_CACHE_SECONDS = 20
_FOUND_SECONDS = 120
_FOUND_AT_MOST = 10_000
_POINT_READS_AT_MOST = 300
_LOOKED_THROUGH_AT_MOST = 5_000

_COLUMNS = {
    "address": AS_IS,
    "name": AS_IS,
    "role": one_of(Role),
    "groups": TEXTS,
    "company": AS_IS,
    "language": AS_IS,
    "bounced_at": TIME,
    "bounce": AS_IS,
    "unsubscribed_at": TIME,
}


class TableContactStore:
    def __init__(self, clients: StorageClients) -> None:
        self._table = Table(clients, "contacts", noun="contact")
        self._technicians: tuple[float, tuple[Sequence[Contact], bool]] | None = None
        self._found: dict[str, tuple[float, Contact | None]] = {}

    @cached_property
    def _side_by_side(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=16, thread_name_prefix="contacts")

    def get(self, keys: Sequence[str]) -> Mapping[str, Contact]:
        if not self.any():
            return {}
        now = time.monotonic()
        found = {key: hit for key in keys if (hit := self._found.get(key)) and hit[0] > now}
        unknown = [key for key in keys if key not in found]
        fresh = self.read(unknown)
        found |= {key: (now + _FOUND_SECONDS, fresh[key].value if key in fresh else None) for key in unknown}
        if len(self._found) + len(unknown) > _FOUND_AT_MOST:
            self._found.clear()
        self._found |= found
        return {key: contact for key, (_, contact) in found.items() if contact}

    def technicians(self) -> Sequence[Contact]:
        return self._overview()[0]

    def any(self) -> bool:
        return self._overview()[1]

    def read(self, keys: Sequence[str]) -> Mapping[str, Versioned[Contact]]:
        ids = [contact_id(key) for key in keys]
        rows: Iterable[TableEntity | None]
        if len(ids) <= _POINT_READS_AT_MOST:
            rows = self._side_by_side.map(lambda row_key: self._table.get(row_key[:2], row_key), ids)
        else:
            every = {row["RowKey"]: row for row in self._table.query(_CONTACTS)}
            rows = (every.get(row_key) for row_key in ids)
        return {
            key: Versioned(_contact(row), str(row.metadata["etag"])) for key, row in zip(keys, rows, strict=True) if row
        }

    def list(self, wanted: ContactFilter, limit: int, continuation: str | None) -> tuple[Sequence[Contact], str | None]:
        after = _PLACES.read(continuation) if continuation else ""
        first, last = (_TECHNICIANS,) * 2 if wanted.role is Role.TECHNICIAN else (after[:2], "ff")
        query = "PartitionKey ge @first and PartitionKey le @last and RowKey gt @after"
        found: list[Contact] = []
        for looked_through, row in enumerate(self._table.query(query, first=first, last=last, after=after), 1):
            contact = _contact(row)
            if wanted.admits(contact):
                found.append(contact)
            if len(found) > limit:
                return found[:limit], _PLACES.write(contact_id(found[-2].address))
            if looked_through == _LOOKED_THROUGH_AT_MOST:
                return found, _PLACES.write(row["RowKey"])
        return found, None

    def put(self, contact: Contact, etag: str | None) -> str:
        self._forget()
        row = _row(contact)
        if contact.is_technician:
            self._table.put({**row, "PartitionKey": _TECHNICIANS})
        else:
            self._table.delete(_TECHNICIANS, row["RowKey"])
        return self._table.write(row, etag)

    def put_many(self, contacts: Sequence[Contact]) -> None:
        self._forget()
        listed = {row["RowKey"] for row in self._table.partition(_TECHNICIANS)}
        rows = sorted((_row(contact) for contact in contacts), key=lambda row: str(row["RowKey"]))
        second = [{**row, "PartitionKey": _TECHNICIANS} for row in rows]
        self._table.submit(upsert(row) for row in second if row["role"] == Role.TECHNICIAN)
        others = (row for row in second if row["role"] != Role.TECHNICIAN)
        self._table.submit(("delete", row) for row in others if row["RowKey"] in listed)
        partitions = groupby(map(upsert, rows), key=lambda operation: str(operation[1]["PartitionKey"]))
        for _ in self._side_by_side.map(self._table.submit, [[*operations] for _, operations in partitions]):
            pass

    def delete(self, key: str, etag: str) -> None:
        self._forget()
        row_key = contact_id(key)
        self._table.delete(_TECHNICIANS, row_key)
        self._table.delete(row_key[:2], row_key, etag)

    def _overview(self) -> tuple[Sequence[Contact], bool]:
        """The technicians, and whether there are contacts at all."""
        if self._technicians is None or self._technicians[0] < time.monotonic() - _CACHE_SECONDS:
            technicians = tuple(_contact(row) for row in self._table.partition(_TECHNICIANS))
            any_at_all = bool(technicians) or next(self._table.query(_CONTACTS, limit=1), None) is not None
            self._technicians = time.monotonic(), (technicians, any_at_all)
        return self._technicians[1]

    def _forget(self) -> None:
        self._technicians = None
        self._found.clear()


def _row(contact: Contact) -> Row:
    row_key = contact_id(contact.address)
    return {"PartitionKey": row_key[:2], "RowKey": row_key, "v": 1, **to_row(_COLUMNS, contact)}


def _contact(row: Mapping[str, Any]) -> Contact:
    return Contact(**to_fields(_COLUMNS, row))
