"""The configured mailboxes: one JSON document each, in one partition of the `mailboxes` table."""

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableClient, UpdateMode

from shared.adapters.storage.clients import StorageClients, get_row, translated
from shared.application.ports import Versioned
from shared.domain.errors import Conflict
from shared.domain.mailbox import Mailbox

_PARTITION = "mailbox"
_CACHE_SECONDS = 20


class TableMailboxStore:
    def __init__(self, clients: StorageClients) -> None:
        self._clients = clients
        self._cache: tuple[float, Sequence[Mailbox]] | None = None

    @cached_property
    def _table(self) -> TableClient:
        return self._clients.table("mailboxes")

    def cached(self) -> Sequence[Mailbox]:
        if self._cache is None or self._cache[0] < time.monotonic() - _CACHE_SECONDS:
            self.all()
        assert self._cache is not None
        return self._cache[1]

    def all(self) -> Sequence[Versioned[Mailbox]]:
        with translated():
            found = [_versioned(row) for row in self._table.query_entities(f"PartitionKey eq '{_PARTITION}'")]
        self._cache = (time.monotonic(), tuple(each.value for each in found))
        return found

    def get(self, mailbox_id: str) -> Versioned[Mailbox] | None:
        row = get_row(self._table, _PARTITION, mailbox_id)
        return _versioned(row) if row else None

    def add(self, mailbox: Mailbox) -> str:
        self._cache = None
        with translated():
            try:
                return str(self._table.create_entity(_row(mailbox))["etag"])
            except ResourceExistsError as error:
                raise Conflict("a mailbox with this id exists") from error

    def replace(self, mailbox: Mailbox, etag: str) -> str:
        self._cache = None
        with translated():
            try:
                stored = self._table.update_entity(
                    _row(mailbox), mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
                )
            except (ResourceModifiedError, ResourceNotFoundError) as error:
                raise Conflict("the mailbox was changed meanwhile") from error
            return str(stored["etag"])

    def delete(self, mailbox_id: str, etag: str) -> None:
        self._cache = None
        with translated():
            try:
                self._table.delete_entity(
                    {"PartitionKey": _PARTITION, "RowKey": mailbox_id},
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
            except ResourceModifiedError as error:
                raise Conflict("the mailbox was changed meanwhile") from error


def _row(mailbox: Mailbox) -> dict[str, Any]:
    return {
        "PartitionKey": _PARTITION,
        "RowKey": mailbox.id,
        "schema_version": mailbox.schema_version,
        "document": mailbox.model_dump_json(),
    }


def _versioned(row: Any) -> Versioned[Mailbox]:
    return Versioned(Mailbox.model_validate_json(row["document"]), row.metadata["etag"])
