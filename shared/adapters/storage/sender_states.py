"""How the senders are doing: a row each, beside their configuration."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from shared.adapters.storage.clients import StorageClients
from shared.adapters.storage.columns import AS_IS, TIME, Column, to_fields, to_row
from shared.adapters.storage.table import Table
from shared.domain.errors import Conflict, StoreUnavailable
from shared.domain.health import SenderState

_PARTITION = "state"
_TRIES = 10
_COLUMNS = {
    "failures": AS_IS,
    "open_until": TIME,
    "error_code": AS_IS,
    "error": Column(lambda text: text[:1000], str),
    "minute": TIME,
    "used": AS_IS,
    "is_alerted": AS_IS,
    "alerted_at": TIME,
}

T = TypeVar("T")


class TableSenderStates:
    def __init__(self, clients: StorageClients) -> None:
        self._table = Table(clients, "senders", noun="sender")

    def all(self) -> Sequence[SenderState]:
        return [_state(row) for row in self._table.partition(_PARTITION)]

    def change(self, sender_id: str, changed: Callable[[SenderState], tuple[SenderState, T]]) -> T:
        for _ in range(_TRIES):
            row = self._table.get(_PARTITION, sender_id)
            before = _state(row) if row else SenderState(sender_id)
            after, result = changed(before)
            if after == before:
                return result
            key = {"PartitionKey": _PARTITION, "RowKey": sender_id}
            try:
                self._table.write(key | to_row(_COLUMNS, after), row.metadata["etag"] if row else None)
            except Conflict:
                continue
            return result
        raise StoreUnavailable("the state of a sender kept being changed by others")


def _state(row: Mapping[str, Any]) -> SenderState:
    return SenderState(row["RowKey"], **to_fields(_COLUMNS, row))
