"""The labels of a Gmail mailbox, which stand for folders: by name with `/` between segments, Gmail's own by id."""

from shared.adapters.sources.gmail_client import GmailClient, items
from shared.adapters.sources.gmail_errors import GmailRefused
from shared.adapters.sources.graph_folders import split_path
from shared.application.ports import Folder
from shared.domain.errors import FolderMissing

_ROLES = {"INBOX": "inbox", "DRAFT": "drafts", "SENT": "sent", "SPAM": "junk", "TRASH": "trash"}
_NO_FOLDERS = ("CHAT", "UNREAD")
_NAMED_AT_MOST = 50


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
            names = ", ".join(folder.path for folder in self.list()[:_NAMED_AT_MOST])
            raise FolderMissing(f"There is no label `{path}`.", advice=f"The labels are: {names}.")
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
        except GmailRefused as refused:
            if refused.status != 409:  # somebody was faster
                advice = "Create the label by hand, or choose another one."
                raise FolderMissing(f"The label `{path}` cannot be created.", advice=advice) from refused
        return self.find(path)
