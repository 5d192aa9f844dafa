"""One table as the stores see it: rows by their keys, versions, and the errors of Azure as ours."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableClient, TableEntity, TableErrorCode, UpdateMode

from shared.adapters.storage.clients import StorageClients, translated
from shared.adapters.storage.columns import Row
from shared.application.ports.stores import Versioned
from shared.domain.errors import Conflict

AT_ONCE = 100
"""A transaction has no more operations."""

T = TypeVar("T")

Operation = tuple[str, Row] | tuple[str, Row, dict[str, Any]]


class Table:
    """Opened on first use. `noun` is what a row is, in the errors that people read."""

    def __init__(self, clients: StorageClients, name: str, noun: str = "row") -> None:
        self._clients = clients
        self._name = name
        self._noun = noun

    @cached_property
    def client(self) -> TableClient:
        return self._clients.table(self._name)

    def get(self, partition: str, key: str) -> TableEntity | None:
        """One row, or None where there is none; a missing table is an error like any other."""
        with translated():
            try:
                return self.client.get_entity(partition, key)
            except ResourceNotFoundError as error:
                if _is_of_row(error):
                    return None
                raise

    def query(
        self, query: str, *, limit: int | None = None, select: Sequence[str] | None = None, **parameters: str
    ) -> Iterator[TableEntity]:
        """The rows in the order of their keys, `limit` at most."""
        with translated():
            found = self.client.query_entities(
                query,
                parameters=parameters,
                results_per_page=min(limit or 1000, 1000),
                select=[*select] if select else None,
            )
            yield from islice(found, limit)

    def partition(self, name: str) -> Iterator[TableEntity]:
        return self.query("PartitionKey eq @name", name=name)

    def between(
        self,
        partition: str,
        after: str,
        before: str,
        only: str = "",
        *,
        limit: int | None = None,
        select: Sequence[str] | None = None,
    ) -> Iterator[TableEntity]:
        """The rows of one partition with `after < key < before`."""
        query = f"PartitionKey eq @partition and RowKey gt @after and RowKey lt @before{only}"
        return self.query(query, limit=limit, select=select, partition=partition, after=after, before=before)

    def put(self, row: Mapping[str, Any]) -> None:
        """Whatever is there."""
        with translated():
            self.client.upsert_entity(row, mode=UpdateMode.REPLACE)

    def write(self, row: Mapping[str, Any], etag: str | None) -> str:
        """In place of the version with that ETag (None: there is none yet); the new ETag.

        :raises Conflict: it is another version, or not there, or there.
        """
        with translated():
            try:
                if etag is None:
                    return str(self.client.create_entity(row)["etag"])
                return str(self.client.update_entity(row, **replacing(etag))["etag"])
            except ResourceExistsError as error:
                raise Conflict(f"the {self._noun} is there already") from error
            except (ResourceModifiedError, ResourceNotFoundError) as error:
                if isinstance(error, ResourceNotFoundError) and not _is_of_row(error):
                    raise
                raise Conflict(f"the {self._noun} was changed meanwhile") from error

    def delete(self, partition: str, key: str, etag: str | None = None) -> None:
        """Whatever is there, or nothing; with an ETag, that version. :raises Conflict: it is another."""
        with translated():
            try:
                self.client.delete_entity(partition, key, **(unchanged(etag) if etag else {}))
            except ResourceModifiedError as error:
                raise Conflict(f"the {self._noun} was changed meanwhile") from error

    def submit(self, operations: Iterable[Operation]) -> None:
        """Changes of one partition, as many transactions as it takes."""
        waiting = iter(operations)
        while batch := [*islice(waiting, AT_ONCE)]:
            with translated():
                self.client.submit_transaction(batch)


def _is_of_row(error: ResourceNotFoundError) -> bool:
    return getattr(error, "error_code", None) == TableErrorCode.RESOURCE_NOT_FOUND


def versioned(read: Callable[[TableEntity], T], row: TableEntity | None) -> Versioned[T] | None:
    return Versioned(read(row), str(row.metadata["etag"])) if row else None


def unchanged(etag: str) -> dict[str, Any]:
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def replacing(etag: str) -> dict[str, Any]:
    return {"mode": UpdateMode.REPLACE, **unchanged(etag)}


def upsert(row: Row, mode: UpdateMode = UpdateMode.REPLACE) -> Operation:
    return "upsert", row, {"mode": mode}
