"""The folders of an Exchange mailbox: paths with `/` as people write them, well-known names in any language."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exchangelib.folders import DistinguishedFolderId, FolderId
from exchangelib.folders import Folder as EwsFolder
from exchangelib.properties import Mailbox
from exchangelib.services import CreateFolder, FindFolder, GetFolder
from exchangelib.util import TNS

from shared.adapters.sources.ews_client import ID_ONLY, EwsClient, folder_fields
from shared.adapters.sources.ews_errors import FULL_ACCESS, EwsRefused, ews_errors
from shared.adapters.sources.graph_folders import split_path
from shared.application.ports import Folder
from shared.domain.errors import AccessDenied, FolderMissing

ROOT = "msgfolderroot"
_ROLES = {"inbox": "inbox", "deleteditems": "trash", "drafts": "drafts", "junkemail": "junk", "sentitems": "sent"}
_NAMED_AT_MOST = 50


@dataclass(frozen=True, slots=True)
class _Tree:
    """`below` has the names of folders by parent and id, `well_known` the ids of those that the mailbox has."""

    below: Mapping[str, Mapping[str, str]]
    well_known: Mapping[str, str]

    def child(self, parent: str, name: str) -> str | None:
        siblings = self.below.get(parent, {}).items()
        return next((key for key, each in siblings if each.casefold() == name.casefold()), None)

    def paths(self, parent: str, prefix: str = "") -> Iterator[tuple[str, str]]:
        for key, name in self.below.get(parent, {}).items():
            path = prefix + name.replace("/", "\\/")
            yield path, key
            yield from self.paths(key, f"{path}/")


class Folders:
    """A folder is named by its id or, where it has one, by its well-known name, which takes no request to find. For
    any other one the whole tree is read, once.
    """

    def __init__(self, client: EwsClient, address: str) -> None:
        self._client = client
        self._mailbox = Mailbox(email_address=address)
        self._known: dict[str, str] = {}
        self._tree: _Tree | None = None

    def ref(self, name: str) -> Any:
        """What names the folder in requests."""
        if name in (ROOT, *_ROLES):
            return DistinguishedFolderId(id=name, mailbox=self._mailbox)
        return FolderId(id=name)

    def find(self, path: str) -> str:
        """:raises FolderMissing: naming the others."""
        return self.find_or_create(path, create=False)

    def find_or_create(self, path: str, *, create: bool) -> str:
        """:raises FolderMissing: it is not there, and may not or cannot be created."""
        if path.casefold() in (ROOT, *_ROLES):
            return path.casefold()
        if path not in self._known:
            found, missing = self._walk(split_path(path))
            if missing and not create:
                names = ", ".join(sorted(folder.path for folder in self.list())[:_NAMED_AT_MOST])
                raise FolderMissing(f"There is no folder `{path}`.", advice=f"The folders are: {names}.")
            for name in missing:
                found = self._create(found, name)
            self._known[path] = found
        return self._known[path]

    def forget(self) -> None:
        """Look for all of them afresh: one was not there any more."""
        self._known.clear()
        self._tree = None

    def get(self, path: str, *fields: str) -> Any:
        """The folder with these of its properties. :raises FolderMissing: it is not there any more."""
        fetched = {"folders": [self.ref(self.find(path))], "additional_fields": folder_fields(*fields)}
        try:
            return self._client.one(GetFolder, shape=ID_ONLY, **fetched)
        except EwsRefused as refused:
            raise invisible(path) from refused

    def list(self) -> list[Folder]:
        tree = self._read()
        roles = {key: _ROLES.get(name) for name, key in tree.well_known.items()}
        return [Folder(path, roles.get(key)) for path, key in tree.paths(tree.well_known[ROOT])]

    def _walk(self, names: Sequence[str]) -> tuple[str, Sequence[str]]:
        """As far as the folders exist, and the names that are missing from there."""
        tree = self._read()
        found = tree.well_known[ROOT]
        for position, name in enumerate(names):
            first = tree.well_known.get(name.casefold()) if position == 0 else None
            child = first or tree.child(found, name)
            if child is None:
                return found, names[position:]
            found = child
        return found, ()

    def _create(self, parent: str, name: str) -> str:
        try:
            created = self._client.one(CreateFolder, parent_folder=self.ref(parent), folders=[EwsFolder(name=name)])
        except EwsRefused as refused:
            self.forget()
            existing = self._read().child(parent, name)  # somebody was faster
            if existing is None:
                advice = "Create the folder by hand, or choose another one."
                raise FolderMissing(f"The folder `{name}` cannot be created.", advice=advice) from refused
            return existing
        return folder_id(created)

    @ews_errors()
    def _read(self) -> _Tree:
        if self._tree is None:
            below: dict[str, dict[str, str]] = {}
            fields = folder_fields("name", "parent_folder_id", "folder_class")
            listing = {"folders": [self.ref(ROOT)], "additional_fields": fields, "restriction": None, "depth": "Deep"}
            for page in self._client.pages(FindFolder, **listing):
                for item in page.find(f"{{{TNS}}}Folders"):
                    if item.findtext(f"{{{TNS}}}FolderClass", "IPF.Note").startswith("IPF.Note"):
                        parent = item.find(f"{{{TNS}}}ParentFolderId").get("Id")
                        below.setdefault(parent, {})[folder_id(item)] = item.findtext(f"{{{TNS}}}DisplayName", "")
            self._tree = _Tree(below, self._well_known())
        return self._tree

    def _well_known(self) -> dict[str, str]:
        names = (ROOT, *_ROLES)
        wanted = [self.ref(name) for name in names]
        found = self._client.call(GetFolder, folders=wanted, additional_fields=None, shape=ID_ONLY)
        ids = {
            name: folder_id(each) for name, each in zip(names, found, strict=True) if not isinstance(each, EwsRefused)
        }
        if ROOT not in ids:
            raise AccessDenied("The account may not see the mailbox's folders.", advice=FULL_ACCESS)
        return ids


def invisible(path: str) -> FolderMissing:
    advice = "Check the folder, and that the account may see it."
    return FolderMissing(f"The account does not find the folder `{path}`.", advice=advice)


@ews_errors()
def folder_id(folder: Any) -> str:
    return str(folder.find(f"{{{TNS}}}FolderId").get("Id"))
