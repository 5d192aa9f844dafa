"""The schedule: one small row a mailbox in one partition, so that a thousand are one query."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from azure.data.tables import TableClient, UpdateMode

from shared.adapters.storage.clients import StorageClients, get_row, translated
from shared.domain.health import Backlog, MailboxHealth

_PARTITION = "schedule"


class TableScheduleStore:
    def __init__(self, clients: StorageClients) -> None:
        self._clients = clients

    @cached_property
    def _table(self) -> TableClient:
        return self._clients.table("schedule")

    def all(self) -> Sequence[MailboxHealth]:
        with translated():
            return [_health(row) for row in self._table.query_entities(f"PartitionKey eq '{_PARTITION}'")]

    def get(self, mailbox_id: str) -> MailboxHealth | None:
        row = get_row(self._table, _PARTITION, mailbox_id)
        return _health(row) if row else None

    def put(self, health: MailboxHealth) -> None:
        with translated():
            self._table.upsert_entity(_row(health), mode=UpdateMode.MERGE)

    def postpone(self, due: Mapping[str, datetime]) -> None:
        self._merge([_key(mailbox_id) | {"next_due_at": moment.isoformat()} for mailbox_id, moment in due.items()])

    def begin(self, mailbox_ids: Sequence[str], at: datetime) -> None:
        begun = {"next_due_at": at.isoformat(), "watched_from": at.isoformat()}
        self._merge([_key(mailbox_id) | begun for mailbox_id in mailbox_ids])

    def mark_quarantined(self, mailbox_id: str, at: datetime | None) -> None:
        self._merge([_key(mailbox_id) | {"quarantined_at": _text(at)}])

    def mark_alerted(self, mailbox_id: str, at: datetime, *, is_alerted: bool) -> None:
        self._merge([_key(mailbox_id) | {"is_alerted": is_alerted, "alerted_at": at.isoformat()}])

    def _merge(self, rows: Sequence[dict[str, Any]]) -> None:
        updates = [("upsert", row, {"mode": UpdateMode.MERGE}) for row in rows]
        for start in range(0, len(updates), 100):
            with translated():
                self._table.submit_transaction(updates[start : start + 100])

    def delete(self, mailbox_id: str) -> None:
        with translated():
            self._table.delete_entity(_key(mailbox_id))


def _key(mailbox_id: str) -> dict[str, Any]:
    return {"PartitionKey": _PARTITION, "RowKey": mailbox_id}


def _row(health: MailboxHealth) -> dict[str, Any]:
    """Without what only a success tells, where there is none: a merge then keeps what is stored."""
    row = {
        **_key(health.mailbox_id),
        "next_due_at": _text(health.next_due_at),
        "last_polled_at": _text(health.last_polled_at),
        "consecutive_failures": health.consecutive_failures,
        "error_code": health.error_code or "",
        "error": health.error or "",
        "advice": health.advice or "",
        "last_outcomes": json.dumps(health.last_outcomes),
        "backlog": json.dumps(_backlog_columns(health.backlog)),
    }
    if health.last_success_at is None:
        return row
    told = {"last_success_at": health.last_success_at.isoformat(), "secret_expires_at": _text(health.secret_expires_at)}
    return row | told


def _health(row: Mapping[str, Any]) -> MailboxHealth:
    return MailboxHealth(
        mailbox_id=row["RowKey"],
        next_due_at=_moment(row, "next_due_at"),
        watched_from=_moment(row, "watched_from"),
        last_polled_at=_moment(row, "last_polled_at"),
        last_success_at=_moment(row, "last_success_at"),
        consecutive_failures=row.get("consecutive_failures", 0),
        error_code=row.get("error_code") or None,
        error=row.get("error") or None,
        advice=row.get("advice") or None,
        last_outcomes=json.loads(row.get("last_outcomes", "{}")),
        secret_expires_at=_moment(row, "secret_expires_at"),
        backlog=_backlog(json.loads(row.get("backlog", "null"))),
        quarantined_at=_moment(row, "quarantined_at"),
        is_alerted=row.get("is_alerted", False),
        alerted_at=_moment(row, "alerted_at"),
    )


def _backlog_columns(backlog: Backlog | None) -> list[Any] | None:
    if backlog is None:
        return None
    waits = (backlog.first_wait, backlog.wait)
    return [backlog.since.isoformat(), *(None if each is None else each.total_seconds() for each in waits)]


def _backlog(columns: list[Any] | None) -> Backlog | None:
    if columns is None:
        return None
    since, *waits = columns
    return Backlog(
        datetime.fromisoformat(since), *(None if each is None else timedelta(seconds=each) for each in waits)
    )


def _text(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


def _moment(row: Mapping[str, Any], name: str) -> datetime | None:
    return datetime.fromisoformat(row[name]) if row.get(name) else None
