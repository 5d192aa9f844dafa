"""The schedule: one small row a mailbox in one partition, so that a thousand are one query."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from azure.data.tables import UpdateMode

from shared.adapters.storage.clients import StorageClients
from shared.adapters.storage.columns import AS_IS, JSON, MAYBE, TIME, Column, Row, to_fields, to_row
from shared.adapters.storage.table import Table, upsert
from shared.domain.health import Backlog, MailboxHealth

_PARTITION = "schedule"


class TableScheduleStore:
    def __init__(self, clients: StorageClients) -> None:
        self._table = Table(clients, "schedule")

    def all(self) -> Sequence[MailboxHealth]:
        return [_health(row) for row in self._table.partition(_PARTITION)]

    def get(self, mailbox_id: str) -> MailboxHealth | None:
        row = self._table.get(_PARTITION, mailbox_id)
        return _health(row) if row else None

    def put(self, health: MailboxHealth) -> None:
        """Without what only a success tells, where there is none: a merge keeps what is stored."""
        told = to_row(_AT_SUCCESS, health) if health.last_success_at else {}
        self._merge({health.mailbox_id: to_row(_AT_POLLS, health) | told})

    def postpone(self, due: Mapping[str, datetime]) -> None:
        self._merge({mailbox_id: {"next_due_at": at.isoformat()} for mailbox_id, at in due.items()})

    def begin(self, mailbox_ids: Sequence[str], at: datetime) -> None:
        begun = {"next_due_at": at.isoformat(), "watched_from": at.isoformat()}
        self._merge(dict.fromkeys(mailbox_ids, begun))

    def mark_quarantined(self, mailbox_id: str, at: datetime | None) -> None:
        self._merge({mailbox_id: {"quarantined_at": TIME.write(at)}})

    def mark_alerted(self, mailbox_id: str, at: datetime, *, is_alerted: bool) -> None:
        self._merge({mailbox_id: {"is_alerted": is_alerted, "alerted_at": at.isoformat()}})

    def _merge(self, changes: Mapping[str, Row]) -> None:
        rows = (_key(mailbox_id) | change for mailbox_id, change in changes.items())
        self._table.submit(upsert(row, UpdateMode.MERGE) for row in rows)

    def delete(self, mailbox_id: str) -> None:
        self._table.delete(_PARTITION, mailbox_id)


def _key(mailbox_id: str) -> Row:
    return {"PartitionKey": _PARTITION, "RowKey": mailbox_id}


def _health(row: Mapping[str, Any]) -> MailboxHealth:
    return MailboxHealth(row["RowKey"], **to_fields({**_AT_POLLS, **_AT_SUCCESS, **_MARKED}, row))


def _backlog_written(backlog: Backlog | None) -> str:
    if backlog is None:
        return "null"
    waits = (backlog.first_wait, backlog.wait)
    seconds = (None if each is None else each.total_seconds() for each in waits)
    return json.dumps([backlog.since.isoformat(), *seconds])


def _backlog_read(text: str) -> Backlog | None:
    if (found := json.loads(text)) is None:
        return None
    since, *seconds = found
    waits = (None if each is None else timedelta(seconds=each) for each in seconds)
    return Backlog(datetime.fromisoformat(since), *waits)


_AT_POLLS = {
    "next_due_at": TIME,
    "last_polled_at": TIME,
    "consecutive_failures": AS_IS,
    "error_code": MAYBE,
    "error": MAYBE,
    "advice": MAYBE,
    "last_outcomes": JSON,
    "backlog": Column(_backlog_written, _backlog_read),
}
_AT_SUCCESS = {"last_success_at": TIME, "secret_expires_at": TIME}
_MARKED = {"watched_from": TIME, "quarantined_at": TIME, "is_alerted": AS_IS, "alerted_at": TIME}
