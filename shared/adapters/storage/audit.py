"""The audit in Table Storage: one partition a month; months and entries read newest first."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from azure.data.tables import TableClient, UpdateMode

from shared.adapters.storage.clients import StorageClients, translated
from shared.application.continuations import Continuation
from shared.domain.audit import AuditEntry, AuditFilter, AuditOutcome

_VERSION = 1
_PLACES = Continuation[tuple[str, str]](tuple[str, str])
_KEYS = ("PartitionKey", "RowKey")
_LONG_AGO, _FAR_AHEAD = datetime(2000, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)


class TableAuditStore:
    def __init__(self, clients: StorageClients) -> None:
        self._clients = clients

    @cached_property
    def _table(self) -> TableClient:
        return self._clients.table("audit")

    def add(self, entry: AuditEntry) -> None:
        with translated():
            self._table.create_entity(_row(entry))

    def settle(self, entry: AuditEntry, outcome: AuditOutcome) -> None:
        with translated():
            self._table.update_entity({**_key(entry), "outcome": outcome.value}, mode=UpdateMode.MERGE)

    def list(
        self, wanted: AuditFilter, limit: int, continuation: str | None
    ) -> tuple[Sequence[AuditEntry], str | None]:
        query, parameters = _query(wanted)
        token: Any = dict(zip(_KEYS, _PLACES.read(continuation), strict=True)) if continuation else None
        with translated():
            found = self._table.query_entities(query, parameters=parameters, results_per_page=limit)
            pages: Any = found.by_page(token)
            entries = [_entry(row) for row in next(pages, ())]
        more = pages.continuation_token
        return entries, _PLACES.write((more[_KEYS[0]], more[_KEYS[1]])) if more else None


def _query(wanted: AuditFilter) -> tuple[str, dict[str, str]]:
    columns = {"by": wanted.by, "kind": wanted.kind, "subject": wanted.subject}
    terms = {f"{name} eq @{name}": (name, value) for name, value in columns.items() if value is not None}
    if wanted.since:
        terms["PartitionKey le @last"] = ("last", _month(wanted.since))
        terms["RowKey lt @oldest"] = ("oldest", f"{_inverted(wanted.since)}}}")
    if wanted.until:
        terms["PartitionKey ge @first"] = ("first", _month(wanted.until))
        terms["RowKey gt @newest"] = ("newest", f"{_inverted(wanted.until)}}}")
    return " and ".join(terms) or "PartitionKey ge ''", dict(terms.values())


def _month(moment: datetime) -> str:
    moment = _within_reach(moment)
    return str(999_999 - moment.year * 100 - moment.month)


def _inverted(moment: datetime) -> str:
    return f"{10**17 - int(_within_reach(moment).timestamp() * 1_000_000):017d}"


def _within_reach(moment: datetime) -> datetime:
    """In UTC, as months begin; what is far from any entry would have more digits."""
    return min(max(moment, _LONG_AGO), _FAR_AHEAD).astimezone(UTC)


def _key(entry: AuditEntry) -> dict[str, Any]:
    return {"PartitionKey": _month(entry.at), "RowKey": f"{_inverted(entry.at)}|{entry.id}"}


def _row(entry: AuditEntry) -> dict[str, Any]:
    return {
        **_key(entry),
        "v": _VERSION,
        "at": entry.at.isoformat(),
        "by": entry.by,
        "action": entry.action,
        "kind": entry.kind,
        "subject": entry.subject,
        "before": json.dumps(entry.before),
        "after": json.dumps(entry.after),
        "outcome": entry.outcome.value,
    }


def _entry(row: Mapping[str, Any]) -> AuditEntry:
    return AuditEntry(
        id=row["RowKey"].partition("|")[2],
        at=datetime.fromisoformat(row["at"]),
        by=row["by"],
        action=row["action"],
        kind=row["kind"],
        subject=row["subject"],
        before=json.loads(row["before"]),
        after=json.loads(row["after"]),
        outcome=AuditOutcome(row["outcome"]),
    )
