"""Configuration in Table Storage: one JSON document a row, all of one kind in one partition."""

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableClient, UpdateMode

from shared.adapters.storage.clients import StorageClients, get_row, translated
from shared.application.ports.stores import Versioned
from shared.domain.errors import Conflict, WrittenByNewer
from shared.domain.fields import Document

_CACHE_SECONDS = 20

D = TypeVar("D", bound=Document)


class TableDocuments(Generic[D]):
    """`partition` names the kind, as in the errors that people read."""

    def __init__(self, clients: StorageClients, table: str, partition: str, model: type[D]) -> None:
        self._clients = clients
        self._table_name = table
        self._partition = partition
        self._model = model
        self._cache: tuple[float, Sequence[D]] | None = None

    @cached_property
    def _table(self) -> TableClient:
        return self._clients.table(self._table_name)

    def cached(self) -> Sequence[D]:
        if self._cache is None or self._cache[0] < time.monotonic() - _CACHE_SECONDS:
            self.all()
        assert self._cache is not None
        return self._cache[1]

    def all(self) -> Sequence[Versioned[D]]:
        with translated():
            found = [self._versioned(row) for row in self._table.query_entities(f"PartitionKey eq '{self._partition}'")]
        self._cache = (time.monotonic(), tuple(each.value for each in found))
        return found

    def get(self, document_id: str) -> Versioned[D] | None:
        row = get_row(self._table, self._partition, document_id)
        return self._versioned(row) if row else None

    def add(self, document: D) -> str:
        self._cache = None
        with translated():
            try:
                return str(self._table.create_entity(self._row(document))["etag"])
            except ResourceExistsError as error:
                raise Conflict(f"a {self._partition} with this id exists") from error

    def replace(self, document: D, etag: str) -> str:
        self._cache = None
        with translated():
            try:
                stored = self._table.update_entity(
                    self._row(document),
                    mode=UpdateMode.REPLACE,
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
            except (ResourceModifiedError, ResourceNotFoundError) as error:
                raise Conflict(f"the {self._partition} was changed meanwhile") from error
            return str(stored["etag"])

    def delete(self, document_id: str, etag: str) -> None:
        self._cache = None
        with translated():
            try:
                self._table.delete_entity(
                    {"PartitionKey": self._partition, "RowKey": document_id},
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
            except ResourceModifiedError as error:
                raise Conflict(f"the {self._partition} was changed meanwhile") from error

    def _row(self, document: D) -> dict[str, Any]:
        return {
            "PartitionKey": self._partition,
            "RowKey": document.id,
            "schema_version": document.schema_version,
            "document": document.model_dump_json(),
        }

    def _versioned(self, row: Any) -> Versioned[D]:
        if row["schema_version"] > self._model.model_fields["schema_version"].default:
            raise WrittenByNewer(f"the {self._partition} {row['RowKey']}")
        return Versioned(self._model.model_validate_json(row["document"]), row.metadata["etag"])
