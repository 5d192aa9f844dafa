"""Sign-ins on their way through a browser, in one small partition that each new one clears of old ones."""

from datetime import timedelta

from shared.adapters.storage.clients import StorageClients
from shared.adapters.storage.columns import AS_IS, TIME, Column, Row, to_fields, to_row
from shared.adapters.storage.table import Table, versioned
from shared.application.ports.stores import Versioned
from shared.domain.sign_in import NewSignIn, SignInAttempt

_PARTITION = "sign-in"
_KEPT = timedelta(days=1)
_COLUMNS = dict.fromkeys(("id", "key", "status", "account", "error", "advice"), AS_IS) | {
    "asked": Column(NewSignIn.model_dump_json, NewSignIn.model_validate_json),
    "expires_at": TIME,
}


class TableSignInStore:
    def __init__(self, clients: StorageClients) -> None:
        self._table = Table(clients, "signins", noun="sign-in")

    def add(self, attempt: SignInAttempt) -> None:
        old = (attempt.expires_at - _KEPT).isoformat()
        query = "PartitionKey eq @partition and expires_at lt @old"
        for row in self._table.query(query, partition=_PARTITION, old=old):
            self._table.delete(_PARTITION, row["RowKey"])
        self._table.write(_row(attempt), None)

    def get(self, attempt_id: str) -> Versioned[SignInAttempt] | None:
        return versioned(lambda row: SignInAttempt(**to_fields(_COLUMNS, row)), self._table.get(_PARTITION, attempt_id))

    def replace(self, attempt: SignInAttempt, etag: str) -> str:
        return self._table.write(_row(attempt), etag)


def _row(attempt: SignInAttempt) -> Row:
    return {"PartitionKey": _PARTITION, "RowKey": attempt.id, **to_row(_COLUMNS, attempt)}
