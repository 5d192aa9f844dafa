"""Folders by their paths, with `/` as people write them and well-known names in any language."""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import ClassVar

from shared.adapters.refusals import Refused
from shared.application.ports.connections import Folder
from shared.domain.errors import FolderMissing

ROOT = "msgfolderroot"
_NAMED_AT_MOST = 50


class FolderTree(ABC):
    """The folders of an Exchange mailbox. Requests name a folder by its id or, where it has one, by its well-known
    name. Ids do not change, so what has been found once is not looked up again.
    """

    well_known: ClassVar[Collection[str]]

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def find(self, path: str, *, create: bool = False) -> str:
        """What names the folder in requests; created where it is missing and may be.

        :raises FolderMissing: naming those that exist.
        """
        if path not in self._known:
            found, missing = self._walk(split_path(path))
            if missing and not create:
                raise folder_missing(path, [folder.path for folder in self.list()])
            for name in missing:
                found = self._made(found, name)
            self._known[path] = found
        return self._known[path]

    def forget(self) -> None:
        """Look for all of them afresh: one was not there any more."""
        self._known.clear()

    def list(self) -> list[Folder]:
        roles = self._roles()
        return [Folder(path, roles.get(key)) for path, key in self._below(ROOT, "")]

    def _walk(self, names: Sequence[str]) -> tuple[str, Sequence[str]]:
        """As far as the folders exist, and the names that are missing from there."""
        found = ROOT
        for position, name in enumerate(names):
            is_well_known = position == 0 and name.casefold() in self.well_known
            child = name.casefold() if is_well_known else self._child(found, name)
            if child is None:
                return found, names[position:]
            found = child
        return found, ()

    def _child(self, parent: str, name: str) -> str | None:
        children = self._children(parent)
        return next((key for key, each, _ in children if each.casefold() == name.casefold()), None)

    def _below(self, parent: str, prefix: str) -> Iterator[tuple[str, str]]:
        for key, name, has_children in self._children(parent):
            path = prefix + name.replace("/", "\\/")
            yield path, key
            if has_children:
                yield from self._below(key, f"{path}/")

    def _made(self, parent: str, name: str) -> str:
        try:
            return self._create(parent, name)
        except Refused as refused:
            self.forget()
            existing = self._child(parent, name)  # somebody was faster
            if existing is None:
                advice = "Create the folder by hand, or choose another one."
                raise FolderMissing(f"The folder `{name}` cannot be created.", advice=advice) from refused
            return existing

    @abstractmethod
    def _children(self, parent: str) -> Iterable[tuple[str, str, bool]]:
        """The id and the name of each, and whether it may have children itself."""

    @abstractmethod
    def _roles(self) -> dict[str, str]:
        """The role of each well-known folder (RFC 6154), by its id."""

    @abstractmethod
    def _create(self, parent: str, name: str) -> str:
        """The id of the new folder. :raises Refused: there is one of this name, or it may not be created."""


def folder_missing(path: str, others: Iterable[str], what: str = "folder") -> FolderMissing:
    names = ", ".join(sorted(others)[:_NAMED_AT_MOST])
    return FolderMissing(f"There is no {what} `{path}`.", advice=f"The {what}s are: {names}.")


def split_path(path: str) -> list[str]:
    r"""The names on a path; `/` and `\` separate them, and `\/` is a slash within a name."""
    parts = re.findall(r"(?:\\/|[^/\\])+", path)
    return [part.replace("\\/", "/").strip() for part in parts if part.strip()]
