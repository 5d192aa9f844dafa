"""The audit in Table Storage: one partition a month; months and entries read newest first."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from azure.data.tables import UpdateMode

from shared.adapters.storage.clients import StorageClients, translated
from shared.adapters.storage.columns import AS_IS, JSON, TIME, one_of, to_fields, to_row
from shared.adapters.storage.table import Table
from shared.application.continuations import Continuation
from shared.domain.audit import AuditEntry, AuditFilter, AuditOutcome

_VERSION = 1
_PLACES = Continuation[tuple[str, str | None]](tuple[str, str | None])
"""At the end of a partition, Azure names the next one without a row."""
_KEYS = ("PartitionKey", "RowKey")
_COLUMNS = {
    "at": TIME,
    **dict.fromkeys(("by", "action", "kind", "subject"), AS_IS),
    "before": JSON,
    "after": JSON,
    "outcome": one_of(AuditOutcome),
}
_LONG_AGO, _FAR_AHEAD = datetime(2000, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)


class TableAuditStore:
    def __init__(self, clients: StorageClients) -> None:
        self._table = Table(clients, "audit")

    def add(self, entry: AuditEntry) -> None:
        self._table.write({**_key(entry), "v": _VERSION, **to_row(_COLUMNS, entry)}, None)

    def settle(self, entry: AuditEntry, outcome: AuditOutcome) -> None:
        with translated():
            self._table.client.update_entity({**_key(entry), "outcome": outcome.value}, mode=UpdateMode.MERGE)

    def list(
        self, wanted: AuditFilter, limit: int, continuation: str | None
    ) -> tuple[Sequence[AuditEntry], str | None]:
        query, parameters = _query(wanted)
        token: Any = dict(zip(_KEYS, _PLACES.read(continuation), strict=True)) if continuation else None
        with translated():
            found = self._table.client.query_entities(query, parameters=parameters, results_per_page=limit)
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


def _entry(row: Mapping[str, Any]) -> AuditEntry:
    return AuditEntry(id=row["RowKey"].partition("|")[2], **to_fields(_COLUMNS, row))
