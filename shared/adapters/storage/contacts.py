"""Contacts, one row each, spread over partitions by the hash of the address.

Technicians have a second row, all in one partition, so that one query finds them. It is written before the contact's
own row, which alone decides: a change that breaks off in between has not happened; repeating it puts both rows right.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cached_property
from itertools import groupby
from typing import Annotated, Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableClient, TableEntity, UpdateMode
from pydantic import StringConstraints

from shared.adapters.storage.clients import StorageClients, get_row, translated
from shared.application.continuations import Continuation
from shared.application.ports.stores import Versioned
from shared.domain.contact import Contact, ContactFilter, Role, contact_id
from shared.domain.errors import Conflict
from shared.domain.message import Address

_TECHNICIANS = "technician"
"""Sorts behind the partitions of contacts, which are two hexadecimal digits."""

_CONTACTS = f"PartitionKey lt '{_TECHNICIANS}'"

_PLACES = Continuation[str](Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")])

_CACHE_SECONDS = 20
_FOUND_SECONDS = 120
_FOUND_AT_MOST = 10_000
_POINT_READS_AT_MOST = 300
_LOOKED_THROUGH_AT_MOST = 5_000
_TRANSACTION = 100

_Operation = tuple[str, dict[str, Any]] | tuple[str, dict[str, Any], dict[str, Any]]


class TableContactStore:
    def __init__(self, clients: StorageClients) -> None:
        self._clients = clients
        self._technicians: tuple[float, tuple[Sequence[Contact], bool]] | None = None
        self._found: dict[str, tuple[float, Contact | None]] = {}

    @cached_property
    def _table(self) -> TableClient:
        return self._clients.table("contacts")

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
            rows = self._side_by_side.map(lambda row_key: get_row(self._table, row_key[:2], row_key), ids)
        else:
            every = {row["RowKey"]: row for row in self._query(_CONTACTS)}
            rows = (every.get(row_key) for row_key in ids)
        return {
            key: Versioned(_contact(row), str(row.metadata["etag"])) for key, row in zip(keys, rows, strict=True) if row
        }

    def list(self, wanted: ContactFilter, limit: int, continuation: str | None) -> tuple[Sequence[Contact], str | None]:
        after = _PLACES.read(continuation) if continuation else ""
        first, last = (_TECHNICIANS,) * 2 if wanted.role is Role.TECHNICIAN else (after[:2], "ff")
        query = "PartitionKey ge @first and PartitionKey le @last and RowKey gt @after"
        found: list[Contact] = []
        for looked_through, row in enumerate(self._query(query, first=first, last=last, after=after), 1):
            contact = _contact(row)
            if wanted.admits(contact):
                found.append(contact)
            if len(found) > limit:
                return found[:limit], _PLACES.write(contact_id(found[-2].address.address))
            if looked_through == _LOOKED_THROUGH_AT_MOST:
                return found, _PLACES.write(row["RowKey"])
        return found, None

    def put(self, contact: Contact, etag: str | None) -> str:
        self._forget()
        row = _row(contact)
        with translated():
            if contact.is_technician:
                self._table.upsert_entity({**row, "PartitionKey": _TECHNICIANS}, mode=UpdateMode.REPLACE)
            else:
                self._table.delete_entity(_TECHNICIANS, row["RowKey"])
            try:
                if etag is None:
                    return str(self._table.create_entity(row)["etag"])
                options: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
                return str(self._table.update_entity(row, mode=UpdateMode.REPLACE, **options)["etag"])
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
                raise Conflict("the contact was changed meanwhile") from error

    def put_many(self, contacts: Sequence[Contact]) -> None:
        self._forget()
        listed = {row["RowKey"] for row in self._query(f"PartitionKey eq '{_TECHNICIANS}'")}
        rows = sorted((_row(contact) for contact in contacts), key=lambda row: str(row["RowKey"]))
        second = [{**row, "PartitionKey": _TECHNICIANS} for row in rows]
        self._submit([_upsert(row) for row in second if row["role"] == Role.TECHNICIAN])
        self._submit([("delete", row) for row in second if row["role"] != Role.TECHNICIAN and row["RowKey"] in listed])
        partitions = groupby(map(_upsert, rows), key=lambda operation: str(operation[1]["PartitionKey"]))
        for _ in self._side_by_side.map(self._submit, [[*operations] for _, operations in partitions]):
            pass

    def delete(self, key: str, etag: str) -> None:
        self._forget()
        row_key = contact_id(key)
        with translated():
            self._table.delete_entity(_TECHNICIANS, row_key)
            try:
                self._table.delete_entity(
                    row_key[:2], row_key, etag=etag, match_condition=MatchConditions.IfNotModified
                )
            except (ResourceModifiedError, ResourceNotFoundError) as error:
                raise Conflict("the contact was changed meanwhile") from error

    def _overview(self) -> tuple[Sequence[Contact], bool]:
        """The technicians, and whether there are contacts at all."""
        if self._technicians is None or self._technicians[0] < time.monotonic() - _CACHE_SECONDS:
            technicians = tuple(_contact(row) for row in self._query(f"PartitionKey eq '{_TECHNICIANS}'"))
            any_at_all = bool(technicians) or next(self._query(_CONTACTS, page=1), None) is not None
            self._technicians = time.monotonic(), (technicians, any_at_all)
        return self._technicians[1]

    def _forget(self) -> None:
        self._technicians = None
        self._found.clear()

    def _query(self, query: str, page: int = 1000, **parameters: str) -> Iterator[TableEntity]:
        with translated():
            yield from self._table.query_entities(query, parameters=parameters, results_per_page=page)

    def _submit(self, operations: Sequence[_Operation]) -> None:
        """Changes of one partition, as many transactions as it takes."""
        for start in range(0, len(operations), _TRANSACTION):
            with translated():
                self._table.submit_transaction(operations[start : start + _TRANSACTION])


def _upsert(row: dict[str, Any]) -> _Operation:
    return "upsert", row, {"mode": UpdateMode.REPLACE}


def _row(contact: Contact) -> dict[str, Any]:
    row_key = contact_id(contact.address.address)
    return {
        "PartitionKey": row_key[:2],
        "RowKey": row_key,
        "v": 1,
        "address": contact.address.address,
        "name": contact.address.name,
        "role": contact.role.value,
        "groups": json.dumps(sorted(contact.groups)),
        "company": contact.company,
        "language": contact.language,
        "bounced_at": contact.bounced_at.isoformat() if contact.bounced_at else "",
        "bounce": contact.bounce,
        "unsubscribed_at": contact.unsubscribed_at.isoformat() if contact.unsubscribed_at else "",
    }


def _contact(row: Mapping[str, Any]) -> Contact:
    return Contact(
        address=Address(row["address"], row["name"]),
        role=Role(row["role"]),
        groups=frozenset(json.loads(row["groups"])),
        company=row["company"],
        language=row["language"],
        bounced_at=datetime.fromisoformat(row["bounced_at"]) if row["bounced_at"] else None,
        bounce=row["bounce"],
        unsubscribed_at=datetime.fromisoformat(row["unsubscribed_at"]) if row["unsubscribed_at"] else None,
    )
