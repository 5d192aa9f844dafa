"""The labels of a Gmail mailbox, which stand for folders: by name with `/` between segments, Gmail's own by id."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from shared.adapters.sources.errors import Refused
from shared.adapters.sources.fetching import chunks
from shared.adapters.sources.folders import folder_missing, split_path
from shared.adapters.sources.gmail_client import GmailClient, items
from shared.application.ports.connections import Folder
from shared.domain.errors import FolderMissing, MessageError
from shared.domain.message import MessageRef
from shared.domain.settlement import Delete, Keep, MarkRead, Move, Settled, Settlement

_ROLES = {"INBOX": "inbox", "DRAFT": "drafts", "SENT": "sent", "SPAM": "junk", "TRASH": "trash"}
_NO_FOLDERS = ("CHAT", "UNREAD")
_SETTLED_AT_ONCE = 1000


class Labels:
    """Ids by name, read when one is first asked for."""

    def __init__(self, client: GmailClient) -> None:
        self._client = client
        self._known: dict[str, str] = {}

    def find(self, path: str, *, create: bool = False) -> str:
        """The label's id; created where it is missing and may be. :raises FolderMissing: naming those that exist."""
        path = "/".join(split_path(path))
        label = self._found(path)
        if label is None:
            self._read()
            label = self._found(path)
        if label is None and create:
            return self._create(path)
        if label is None:
            raise folder_missing(path, [folder.path for folder in self.list()], "label")
        return label

    def list(self) -> list[Folder]:
        self._read()
        return [
            Folder(name, _ROLES.get(label)) for name, label in sorted(self._known.items()) if name not in _NO_FOLDERS
        ]

    def _found(self, path: str) -> str | None:
        return next((label for name, label in self._known.items() if name.casefold() == path.casefold()), None)

    def _read(self) -> None:
        found = items(self._client.get("/labels"), "labels")
        self._known = {str(label.get("name", label["id"])): label["id"] for label in found}

    def _create(self, path: str) -> str:
        try:
            self._client.post("/labels", {"name": path})
        except Refused as refused:
            if refused.status != 409:  # somebody was faster
                advice = "Create the label by hand, or choose another one."
                raise FolderMissing(f"The label `{path}` cannot be created.", advice=advice) from refused
        return self.find(path)

    def settle(self, refs: Sequence[MessageRef], settlement: Settlement) -> Iterator[Settled]:
        """Labels change and nothing else: what is deleted lies in the trash, where Gmail keeps it for 30 days."""
        for folder, group in groupby(refs, key=lambda ref: ref.folder):
            change = self._change(folder, settlement)
            for some in chunks(list(group), _SETTLED_AT_ONCE):
                yield from self._changed(some, change) if change else map(Settled, some)

    def _change(self, folder: str, settlement: Settlement) -> Mapping[str, Sequence[str]]:
        match settlement:
            case Keep():
                return {}
            case MarkRead():
                return {"removeLabelIds": ["UNREAD"]}
            case Move(folder=path, create=create):
                return {"addLabelIds": [self.find(path, create=create)], "removeLabelIds": [self.find(folder)]}
            case Delete():
                return {"addLabelIds": ["TRASH"], "removeLabelIds": [self.find(folder)]}

    def _changed(self, refs: Sequence[MessageRef], change: Mapping[str, Sequence[str]]) -> Iterator[Settled]:
        """What is refused is halved until the message that is the reason is alone."""
        try:
            self._client.post("/messages/batchModify", {"ids": [ref.id for ref in refs], **change})
        except Refused as refused:
            if len(refs) == 1:
                yield Settled(refs[0], None if refused.status == 404 else MessageError(str(refused)))
                return
            for half in chunks(refs, (len(refs) + 1) // 2):
                yield from self._changed(half, change)
        else:
            yield from map(Settled, refs)
