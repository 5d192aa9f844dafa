"""Settling messages through Graph, twenty in one request."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from requests.structures import CaseInsensitiveDict

from shared.adapters.https import retry_after
from shared.adapters.sources.errors import Refused
from shared.adapters.sources.graph_client import BATCH_REQUESTS, GraphClient
from shared.adapters.sources.graph_errors import refusal
from shared.adapters.sources.graph_folders import Folders
from shared.adapters.sources.rest_client import wait_for
from shared.domain.errors import AppError, MessageError, SourceMisbehaved, SourceUnavailable
from shared.domain.message import MessageRef
from shared.domain.settlement import Delete, Keep, MarkRead, Move, Settled, Settlement

_NOT_TRIED = 424
_TRIES_WITHOUT_PROGRESS = 3


class Settling:
    """The requests of a batch run one after another, for side by side they exceed what a mailbox serves. After one
    that fails the rest is not tried, and is sent again.
    """

    def __init__(self, client: GraphClient, folders: Folders, settlement: Settlement) -> None:
        self._client = client
        self._folders = folders
        self._settlement = settlement

    def settle(self, refs: Sequence[MessageRef]) -> list[Settled]:
        if isinstance(self._settlement, Keep):
            return [Settled(ref) for ref in refs]
        settled: list[Settled] = []
        tries_left = _TRIES_WITHOUT_PROGRESS
        while len(settled) < len(refs):
            progress, error = self._some(refs[len(settled) :][:BATCH_REQUESTS])
            settled += progress
            tries_left = _TRIES_WITHOUT_PROGRESS if progress else tries_left - 1
            if error and not (isinstance(error, SourceUnavailable) and tries_left and wait_for(error)):
                raise error
            if not tries_left:
                raise SourceMisbehaved("Graph does not settle messages, and does not say why.")
        return settled

    def _some(self, refs: Sequence[MessageRef]) -> tuple[list[Settled], AppError | None]:
        """One batch: what is settled of it, from its beginning, and what stopped it."""
        settled: list[Settled] = []
        answers = self._client.batch([self._request(ref) for ref in refs])
        for ref, answer in zip(refs, answers, strict=True):
            status = answer.get("status")
            if status == _NOT_TRIED:
                break
            error = None if isinstance(status, int) and status < 300 else _refusal(status, answer)
            if isinstance(error, Refused):
                if error.is_gone and self._has_lost_its_target():
                    break
                settled.append(Settled(ref, None if error.is_gone else MessageError(str(error))))
            elif error is not None:
                return settled, error
            else:
                settled.append(Settled(ref))
        return settled, None

    def _request(self, ref: MessageRef) -> Mapping[str, Any]:
        url = f"/messages/{quote(ref.id, safe='')}"
        match self._settlement:
            case MarkRead():
                return {"method": "PATCH", "url": url, "body": {"isRead": True}}
            case Move(folder=path, create=create):
                destination = self._folders.find(path, create=create)
                return {"method": "POST", "url": f"{url}/move", "body": {"destinationId": destination}}
            case Delete():
                return {"method": "DELETE", "url": url}
        raise AssertionError(self._settlement)

    def _has_lost_its_target(self) -> bool:
        """Graph answers the same when the message is gone and when the folder to move to is."""
        if not isinstance(self._settlement, Move) or self._folders.still_knows(self._settlement.folder):
            return False
        self._folders.forget()
        return True


def _refusal(status: Any, answer: Mapping[str, Any]) -> AppError:
    if not isinstance(status, int):
        raise SourceMisbehaved("Graph answered a request of a batch without a status.")
    headers = CaseInsensitiveDict(answer.get("headers") or {})
    return refusal(status, answer.get("body"), retry_after(headers))
