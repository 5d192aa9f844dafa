"""The watches of each mailbox, a row each in the table of the schedule; and the polls that notifications ask for."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableClient, UpdateMode

from shared.adapters.storage.clients import StorageClients, get_row, translated
from shared.domain.watch import Watch, Watches

_WATCHES, _ASKED = "watch", "asked"


class TableWatchStore:
    def __init__(self, clients: StorageClients) -> None:
        self._clients = clients

    @cached_property
    def _table(self) -> TableClient:
        return self._clients.table("schedule")

    def all(self) -> Sequence[Watches]:
        with translated():
            return [_watches(row) for row in self._table.query_entities(f"PartitionKey eq '{_WATCHES}'")]

    def put(self, watches: Watches) -> None:
        with translated():
            self._table.upsert_entity(_row(watches), mode=UpdateMode.REPLACE)

    def mark_due(self, mailbox_id: str, at: datetime) -> None:
        row = {"PartitionKey": _WATCHES, "RowKey": mailbox_id, "due_at": at.isoformat()}
        with translated():
            try:
                self._table.update_entity(row, mode=UpdateMode.MERGE)
            except ResourceNotFoundError:  # it is not watched any more
                return

    def delete(self, mailbox_id: str) -> None:
        with translated():
            for partition in (_WATCHES, _ASKED):
                self._table.delete_entity({"PartitionKey": partition, "RowKey": mailbox_id})

    def ask(self, mailbox_id: str, now: datetime, until: datetime) -> bool:
        row = get_row(self._table, _ASKED, mailbox_id)
        if row and datetime.fromisoformat(row["until"]) > now:
            return False
        asked = {"PartitionKey": _ASKED, "RowKey": mailbox_id, "until": until.isoformat()}
        with translated():
            try:
                if row is None:
                    self._table.create_entity(asked)
                else:
                    self._table.update_entity(
                        asked,
                        mode=UpdateMode.REPLACE,
                        etag=row.metadata["etag"],
                        match_condition=MatchConditions.IfNotModified,
                    )
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):  # somebody else asks just now
                return False
        return True


def _row(watches: Watches) -> dict[str, Any]:
    return {
        "PartitionKey": _WATCHES,
        "RowKey": watches.mailbox_id,
        "of": watches.of,
        "due_at": watches.due_at.isoformat(),
        "watches": json.dumps([[each.folder, each.id, each.expires_at.isoformat()] for each in watches.watches]),
        "failures": watches.failures,
        "error_code": watches.error_code or "",
        "error": watches.error,
        "advice": watches.advice,
    }


def _watches(row: Mapping[str, Any]) -> Watches:
    return Watches(
        mailbox_id=row["RowKey"],
        of=row["of"],
        due_at=datetime.fromisoformat(row["due_at"]),
        watches=tuple(
            Watch(folder, watch_id, datetime.fromisoformat(expires_at))
            for folder, watch_id, expires_at in json.loads(row["watches"])
        ),
        failures=row["failures"],
        error_code=row["error_code"] or None,
        error=row.get("error", ""),
        advice=row.get("advice", ""),
    )
