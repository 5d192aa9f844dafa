"""Settling messages through the Gmail API: all of a batch in one request."""

from collections.abc import Sequence
from itertools import groupby

from shared.adapters.sources.gmail_client import GmailClient
from shared.adapters.sources.gmail_errors import GmailRefused
from shared.adapters.sources.gmail_labels import Labels
from shared.domain.errors import MessageError
from shared.domain.message import MessageRef
from shared.domain.settlement import Delete, Keep, MarkRead, Move, Settled, Settlement

_AT_ONCE = 1000


class Settling:
    """Labels change and nothing else: what is deleted lies in the trash, where Gmail keeps it for 30 days."""

    def __init__(self, client: GmailClient, labels: Labels, settlement: Settlement) -> None:
        self._client = client
        self._labels = labels
        self._settlement = settlement

    def settle(self, refs: Sequence[MessageRef]) -> list[Settled]:
        if isinstance(self._settlement, Keep):
            return [Settled(ref) for ref in refs]
        settled: list[Settled] = []
        for folder, group in groupby(refs, key=lambda ref: ref.folder):
            same = list(group)
            change = self._change(folder)
            for start in range(0, len(same), _AT_ONCE):
                settled += self._changed(same[start : start + _AT_ONCE], change)
        return settled

    def _change(self, folder: str) -> dict[str, list[str]]:
        match self._settlement:
            case MarkRead():
                return {"removeLabelIds": ["UNREAD"]}
            case Move(folder=path, create=create):
                target = self._labels.find(path, create=create)
                return {"addLabelIds": [target], "removeLabelIds": [self._labels.find(folder)]}
            case Delete():
                return {"addLabelIds": ["TRASH"], "removeLabelIds": [self._labels.find(folder)]}
        raise AssertionError(self._settlement)

    def _changed(self, refs: Sequence[MessageRef], change: dict[str, list[str]]) -> list[Settled]:
        """What is refused is halved until the message that is the reason is alone."""
        try:
            self._client.post("/messages/batchModify", {"ids": [ref.id for ref in refs], **change})
        except GmailRefused as refused:
            if len(refs) == 1:
                return [Settled(refs[0], None if refused.status == 404 else MessageError(str(refused)))]
            middle = len(refs) // 2
            return self._changed(refs[:middle], change) + self._changed(refs[middle:], change)
        return [Settled(ref) for ref in refs]
