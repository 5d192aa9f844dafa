"""Configuration in Table Storage: one JSON document a row, all of one kind in one partition.

A property holds 64 KiB: a longer document goes on in `document1`, `document2` and so on, as far as a row holds them.
"""

import json
import time
from collections.abc import Mapping, Sequence
from itertools import count, takewhile
from typing import Any, Generic, TypeVar

from azure.data.tables import TableEntity

from shared.adapters.storage.clients import StorageClients
from shared.adapters.storage.table import Table, versioned
from shared.application.ports.stores import Versioned
from shared.domain.errors import StoreRejected, WrittenByNewer
from shared.domain.fields import Document

_CACHE_SECONDS = 20
_PART = 15_000
"""Characters of one property, which may take four bytes each."""
_MAX_BYTES = 1_000_000
"""A row holds 1 MiB, which services count as UTF-16 or as the request has it."""

D = TypeVar("D", bound=Document)


class TableDocuments(Generic[D]):
    """`partition` names the kind, as in the errors that people read."""

    def __init__(self, clients: StorageClients, table: str, partition: str, model: type[D]) -> None:
        self._table = Table(clients, table, noun=partition)
        self._partition = partition
        self._model = model
        self._cache: tuple[float, Sequence[D]] | None = None

    def cached(self) -> Sequence[D]:
        if self._cache is None or self._cache[0] < time.monotonic() - _CACHE_SECONDS:
            self.all()
        assert self._cache is not None
        return self._cache[1]

    def all(self) -> Sequence[Versioned[D]]:
        rows = self._table.partition(self._partition)
        found = [Versioned(self._read(row), str(row.metadata["etag"])) for row in rows]
        self._cache = (time.monotonic(), tuple(each.value for each in found))
        return found

    def get(self, document_id: str) -> Versioned[D] | None:
        return versioned(self._read, self._table.get(self._partition, document_id))

    def add(self, document: D) -> str:
        self._cache = None
        return self._table.write(self._row(document), None)

    def replace(self, document: D, etag: str) -> str:
        self._cache = None
        return self._table.write(self._row(document), etag)

    def delete(self, document_id: str, etag: str) -> None:
        self._cache = None
        self._table.delete(self._partition, document_id, etag)

    def _row(self, document: D) -> dict[str, Any]:
        return {
            "PartitionKey": self._partition,
            "RowKey": document.id,
            "schema_version": document.schema_version,
            **self._parts(document.model_dump_json()),
        }

    def _parts(self, text: str) -> Mapping[str, str]:
        if max(len(text.encode("utf-16-le")), len(json.dumps(text))) > _MAX_BYTES:
            raise StoreRejected(f"the {self._partition} is too large: as JSON, it may have some 400,000 characters")
        return {_column(at // _PART): text[at : at + _PART] for at in range(0, len(text), _PART)}

    def _read(self, row: TableEntity) -> D:
        if row["schema_version"] > self._model.model_fields["schema_version"].default:
            raise WrittenByNewer(f"the {self._partition} {row['RowKey']}")
        parts = takewhile(row.__contains__, map(_column, count()))
        return self._model.model_validate_json("".join(row[part] for part in parts))


def _column(number: int) -> str:
    return f"document{number or ''}"
