"""How the senders are doing: a row each, beside their configuration."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableClient, UpdateMode

from shared.adapters.storage.clients import StorageClients, get_row, translated
from shared.domain.errors import StoreUnavailable
from shared.domain.health import SenderState

_PARTITION = "state"
_TRIES = 10

T = TypeVar("T")


class TableSenderStates:
    def __init__(self, clients: StorageClients) -> None:
        self._clients = clients

    @cached_property
    def _table(self) -> TableClient:
        return self._clients.table("senders")

    def all(self) -> Sequence[SenderState]:
        with translated():
            return [_state(row) for row in self._table.query_entities(f"PartitionKey eq '{_PARTITION}'")]

    def change(self, sender_id: str, changed: Callable[[SenderState], tuple[SenderState, T]]) -> T:
        for _ in range(_TRIES):
            row = get_row(self._table, _PARTITION, sender_id)
            before = _state(row) if row else SenderState(sender_id)
            after, result = changed(before)
            if after == before or self._stored(_row(after), row.metadata["etag"] if row else None):
                return result
        raise StoreUnavailable("the state of a sender kept being changed by others")

    def _stored(self, row: Mapping[str, Any], etag: str | None) -> bool:
        with translated():
            try:
                if etag is None:
                    self._table.create_entity(row)
                else:
                    self._table.update_entity(
                        row, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
                    )
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
                return False
        return True


def _row(state: SenderState) -> dict[str, Any]:
    return {
        "PartitionKey": _PARTITION,
        "RowKey": state.sender_id,
        "failures": state.failures,
        "open_until": state.open_until.isoformat() if state.open_until else "",
        "error_code": state.error_code,
        "error": state.error[:1000],
        "minute": state.minute.isoformat() if state.minute else "",
        "used": state.used,
        "is_alerted": state.is_alerted,
        "alerted_at": state.alerted_at.isoformat() if state.alerted_at else "",
    }


def _state(row: Mapping[str, Any]) -> SenderState:
    return SenderState(
        sender_id=row["RowKey"],
        failures=row["failures"],
        open_until=datetime.fromisoformat(row["open_until"]) if row["open_until"] else None,
        error_code=row["error_code"],
        error=row["error"],
        minute=datetime.fromisoformat(row["minute"]) if row["minute"] else None,
        used=row["used"],
        is_alerted=row.get("is_alerted", False),
        alerted_at=datetime.fromisoformat(row["alerted_at"]) if row.get("alerted_at") else None,
    )
