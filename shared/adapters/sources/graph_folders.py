"""The folders of an Exchange mailbox: paths with `/` as people write them, well-known names in any language."""

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from shared.adapters.sources.graph_client import GraphClient
from shared.adapters.sources.graph_errors import GraphRefused
from shared.application.ports import Folder
from shared.domain.errors import FolderMissing, SourceMisbehaved

ROOT = "msgfolderroot"
_ROLES = {
    "inbox": "inbox",
    "archive": "archive",
    "deleteditems": "trash",
    "drafts": "drafts",
    "junkemail": "junk",
    "sentitems": "sent",
}
"""Well-known names that work in every language, with the role of each as RFC 6154 calls it."""

_WELL_KNOWN = frozenset((*_ROLES, ROOT, "clutter", "conversationhistory", "outbox", "recoverableitemsdeletions"))
_NAMED_AT_MOST = 50
_PAGE = 100
_SELECT = "id,displayName,childFolderCount"


class Folders:
    """Ids of folders do not change, so what has been found once is not looked up again."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client
        self._known: dict[str, str] = {}

    def find(self, path: str, *, create: bool = False) -> str:
        """What names the folder in requests: its id, or a well-known name; created where it is missing and may be.

        :raises FolderMissing: naming those that exist.
        """
        if path not in self._known:
            name, missing = self._walk(split_path(path))
            if missing and not create:
                names = ", ".join(sorted(folder.path for folder in self.list())[:_NAMED_AT_MOST])
                raise FolderMissing(f"There is no folder `{path}`.", advice=f"The folders are: {names}.")
            for segment in missing:
                name = self._create(name, segment)
            self._known[path] = name
        return self._known[path]

    def get(self, path: str) -> dict[str, Any]:
        """The folder as Graph describes it."""
        return _checked(self._client.get(f"/mailFolders/{quote(self.find(path), safe='')}"))

    def still_knows(self, path: str) -> bool:
        """Whether the folder that was found on this path is still there."""
        try:
            self.get(path)
        except GraphRefused as refused:
            if refused.is_gone:
                return False
            raise
        return True

    def forget(self, path: str) -> None:
        self._known.pop(path, None)

    def list(self) -> list[Folder]:
        roles = self._roles()
        return [Folder(path, roles.get(item["id"])) for path, item in self._below(ROOT, "")]

    def _walk(self, segments: Sequence[str]) -> tuple[str, Sequence[str]]:
        """As far as the folders exist, and the segments that are missing from there."""
        name = ROOT
        for position, segment in enumerate(segments):
            if position == 0 and segment.casefold() in _WELL_KNOWN:
                name = segment.casefold()
                continue
            found = self._child(name, segment)
            if found is None:
                return name, segments[position:]
            name = found
        return name, ()

    def _child(self, parent: str, name: str) -> str | None:
        matching = (item["id"] for item in self._children(parent) if item["displayName"].casefold() == name.casefold())
        return next(matching, None)

    def _children(self, parent: str) -> Iterator[dict[str, Any]]:
        return map(_checked, self._client.pages(_path(parent), select=_SELECT, top=_PAGE))

    def _create(self, parent: str, name: str) -> str:
        try:
            return str(_checked(self._client.post(_path(parent), {"displayName": name}))["id"])
        except GraphRefused as refused:
            existing = self._child(parent, name) if refused.status in (400, 409) else None  # somebody was faster
            if existing is None:
                advice = "Create the folder by hand, or choose another one."
                raise FolderMissing(f"The folder `{name}` cannot be created.", advice=advice) from refused
            return existing

    def _below(self, parent: str, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for item in self._children(parent):
            path = prefix + item["displayName"].replace("/", "\\/")
            yield path, item
            if item.get("childFolderCount"):
                yield from self._below(item["id"], f"{path}/")

    def _roles(self) -> dict[str, str]:
        """Roles by folder id. A well-known folder may be missing, so each is asked for on its own."""
        roles = {}
        for name, role in _ROLES.items():
            try:
                roles[_checked(self._client.get(f"/mailFolders/{name}", select=_SELECT))["id"]] = role
            except GraphRefused:
                continue
        return roles


def split_path(path: str) -> list[str]:
    r"""The names on a path; `/` and `\` separate them, and `\/` is a slash within a name."""
    parts = re.findall(r"(?:\\/|[^/\\])+", path)
    return [part.replace("\\/", "/").strip() for part in parts if part.strip()]


def _path(folder: str) -> str:
    return f"/mailFolders/{quote(folder, safe='')}/childFolders"


def _checked(item: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(item.get("id"), str) or not isinstance(item.get("displayName"), str):
        raise SourceMisbehaved("Graph described a folder without its id or name.")
    return item
