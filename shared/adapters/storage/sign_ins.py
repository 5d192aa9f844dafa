"""Sign-ins on their way through a browser, in one small partition that each new one clears of old ones."""

from dataclasses import asdict
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableClient, UpdateMode

from shared.adapters.storage.clients import StorageClients, get_row, translated
from shared.application.ports.stores import Versioned
from shared.domain.errors import Conflict
from shared.domain.sign_in import NewSignIn, SignInAttempt

_PARTITION = "sign-in"
_KEPT = timedelta(days=1)


class TableSignInStore:
    def __init__(self, clients: StorageClients) -> None:
        self._clients = clients

    @cached_property
    def _table(self) -> TableClient:
        return self._clients.table("signins")

    def add(self, attempt: SignInAttempt) -> None:
        old = (attempt.expires_at - _KEPT).isoformat()
        with translated():
            query = "PartitionKey eq @partition and expires_at lt @old"
            for row in self._table.query_entities(query, parameters={"partition": _PARTITION, "old": old}):
                self._table.delete_entity(row)
            self._table.create_entity(_row(attempt))

    def get(self, attempt_id: str) -> Versioned[SignInAttempt] | None:
        row = get_row(self._table, _PARTITION, attempt_id)
        return _versioned(row) if row else None

    def replace(self, attempt: SignInAttempt, etag: str) -> str:
        with translated():
            try:
                stored = self._table.update_entity(
                    _row(attempt), mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
                )
            except (ResourceModifiedError, ResourceNotFoundError) as error:
                raise Conflict("the sign-in was used meanwhile") from error
            return str(stored["etag"])


def _row(attempt: SignInAttempt) -> dict[str, Any]:
    changed = {"asked": attempt.asked.model_dump_json(), "expires_at": attempt.expires_at.isoformat()}
    return {"PartitionKey": _PARTITION, "RowKey": attempt.id, **asdict(attempt), **changed}


def _versioned(row: Any) -> Versioned[SignInAttempt]:
    fields = {name: row[name] for name in SignInAttempt.__slots__}
    read = {
        "asked": NewSignIn.model_validate_json(row["asked"]),
        "expires_at": datetime.fromisoformat(row["expires_at"]),
    }
    return Versioned(SignInAttempt(**fields | read), row.metadata["etag"])
