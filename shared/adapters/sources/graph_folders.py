"""The folders of a mailbox in Graph, read as far as they are asked for."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from shared.adapters.sources.errors import Refused
from shared.adapters.sources.folders import ROOT, FolderTree
from shared.adapters.sources.graph_client import GraphClient
from shared.domain.errors import SourceMisbehaved

_ROLES = {
    "inbox": "inbox",
    "archive": "archive",
    "deleteditems": "trash",
    "drafts": "drafts",
    "junkemail": "junk",
    "sentitems": "sent",
}
_PAGE = 100
_SELECT = "id,displayName,childFolderCount"


class Folders(FolderTree):
    well_known = frozenset((*_ROLES, ROOT, "clutter", "conversationhistory", "outbox", "recoverableitemsdeletions"))

    def __init__(self, client: GraphClient) -> None:
        super().__init__()
        self._client = client

    def get(self, path: str) -> dict[str, Any]:
        """The folder as Graph describes it."""
        return _checked(self._client.get(f"/mailFolders/{quote(self.find(path), safe='')}"))

    def still_knows(self, path: str) -> bool:
        """Whether the folder that was found on this path is still there."""
        try:
            self.get(path)
        except Refused as refused:
            if refused.is_gone:
                return False
            raise
        return True

    def _children(self, parent: str) -> Iterator[tuple[str, str, bool]]:
        for item in map(_checked, self._client.pages(_path(parent), select=_SELECT, top=_PAGE)):
            yield item["id"], item["displayName"], bool(item.get("childFolderCount"))

    def _create(self, parent: str, name: str) -> str:
        return str(_checked(self._client.post(_path(parent), {"displayName": name}))["id"])

    def _roles(self) -> dict[str, str]:
        """A well-known folder may be missing, so each is asked for on its own."""
        roles = {}
        for name, role in _ROLES.items():
            try:
                roles[_checked(self._client.get(f"/mailFolders/{name}", select=_SELECT))["id"]] = role
            except Refused:
                continue
        return roles


def _path(folder: str) -> str:
    return f"/mailFolders/{quote(folder, safe='')}/childFolders"


def _checked(item: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(item.get("id"), str) or not isinstance(item.get("displayName"), str):
        raise SourceMisbehaved("Graph described a folder without its id or name.")
    return item
