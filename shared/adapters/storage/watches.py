"""The watches of each mailbox, a row each in the table of the schedule; and the polls that notifications ask for."""

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import UpdateMode

from shared.adapters.storage.clients import StorageClients, translated
from shared.adapters.storage.columns import AS_IS, MAYBE, TIME, Column, to_fields, to_row
from shared.adapters.storage.table import Table
from shared.domain.errors import Conflict
from shared.domain.watch import Watch, Watches

_WATCHES, _ASKED = "watch", "asked"


def _written(watches: Sequence[Watch]) -> str:
    return json.dumps([[each.folder, each.id, each.expires_at.isoformat()] for each in watches])


def _read(text: str) -> tuple[Watch, ...]:
    return tuple(Watch(folder, id_, datetime.fromisoformat(expires_at)) for folder, id_, expires_at in json.loads(text))


_COLUMNS = {
    "of": AS_IS,
    "due_at": TIME,
    "watches": Column(_written, _read),
    "failures": AS_IS,
    "error_code": MAYBE,
    "error": AS_IS,
    "advice": AS_IS,
}


class TableWatchStore:
    def __init__(self, clients: StorageClients) -> None:
        self._table = Table(clients, "schedule")

    def all(self) -> Sequence[Watches]:
        return [Watches(row["RowKey"], **to_fields(_COLUMNS, row)) for row in self._table.partition(_WATCHES)]

    def put(self, watches: Watches) -> None:
        key = {"PartitionKey": _WATCHES, "RowKey": watches.mailbox_id}
        self._table.put(key | to_row(_COLUMNS, watches))

    def mark_due(self, mailbox_id: str, at: datetime) -> None:
        row = {"PartitionKey": _WATCHES, "RowKey": mailbox_id, "due_at": at.isoformat()}
        with translated(), suppress(ResourceNotFoundError):  # it is not watched any more
            self._table.client.update_entity(row, mode=UpdateMode.MERGE)

    def delete(self, mailbox_id: str) -> None:
        for partition in (_WATCHES, _ASKED):
            self._table.delete(partition, mailbox_id)

    def ask(self, mailbox_id: str, now: datetime, until: datetime) -> bool:
        row = self._table.get(_ASKED, mailbox_id)
        if row and datetime.fromisoformat(row["until"]) > now:
            return False
        asked = {"PartitionKey": _ASKED, "RowKey": mailbox_id, "until": until.isoformat()}
        try:
            self._table.write(asked, row.metadata["etag"] if row else None)
        except Conflict:  # somebody else asks just now
            return False
        return True
