"""The folders of a mailbox on an Exchange server, whose whole tree is read at once."""

from collections.abc import Iterable
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from shared.adapters.refusals import advice
from shared.adapters.sources.ews_client import EwsClient, part, shape
from shared.adapters.sources.ews_errors import EwsRefused
from shared.adapters.sources.folders import ROOT, FolderTree
from shared.domain.errors import AccessDenied, FolderMissing

_ROLES = {"inbox": "inbox", "deleteditems": "trash", "drafts": "drafts", "junkemail": "junk", "sentitems": "sent"}


class Folders(FolderTree):
    well_known = (ROOT, *_ROLES, "outbox")

    def __init__(self, client: EwsClient, address: str) -> None:
        super().__init__()
        self._client = client
        self._mailbox = f"<t:Mailbox><t:EmailAddress>{escape(address)}</t:EmailAddress></t:Mailbox>"
        self._tree: dict[str, dict[str, str]] = {}
        self._ids: dict[str, str] = {}

    def ref(self, path: str, *, create: bool = False) -> str:
        return self.ref_of(self.find(path, create=create))

    def ref_of(self, found: str) -> str:
        """What names the folder in requests, as an element."""
        if found in self.well_known:
            return f'<t:DistinguishedFolderId Id="{found}">{self._mailbox}</t:DistinguishedFolderId>'
        return f"<t:FolderId Id={quoteattr(found)}/>"

    def forget(self) -> None:
        super().forget()
        self._tree.clear()

    def get(self, path: str, *fields: str) -> Element:
        """The folder with these of its properties. :raises FolderMissing: it is not there any more."""
        try:
            found = self._client.one("GetFolder", self._request(self.ref(path), *fields))
        except EwsRefused as refused:
            raise invisible(path) from refused
        return part(found, "Folders/*")

    def _request(self, refs: str, *fields: str) -> str:
        return f"{shape('Folder', *fields)}<FolderIds>{refs}</FolderIds>"

    def _children(self, parent: str) -> Iterable[tuple[str, str, bool]]:
        tree = self._read()
        return [(key, name, key in tree) for key, name in tree.get(self._ids.get(parent, parent), {}).items()]

    def _roles(self) -> dict[str, str]:
        self._read()
        return {self._ids[name]: role for name, role in _ROLES.items() if name in self._ids}

    def _create(self, parent: str, name: str) -> str:
        new = f"<Folders><t:Folder><t:DisplayName>{escape(name)}</t:DisplayName></t:Folder></Folders>"
        request = f"<ParentFolderId>{self.ref_of(parent)}</ParentFolderId>{new}"
        return folder_id(self._client.one("CreateFolder", request))

    def _read(self) -> dict[str, dict[str, str]]:
        """The names of folders, by their parent and their id."""
        if not self._tree:
            self._find_well_known()
            before = shape("Folder", "folder:DisplayName", "folder:ParentFolderId", "folder:FolderClass")
            after = f"<ParentFolderIds>{self.ref_of(ROOT)}</ParentFolderIds>"
            self._tree[self._ids[ROOT]] = {}
            for page in self._client.pages("FindFolder", before, after, Traversal="Deep"):
                for folder in page.iterfind("Folders/*"):
                    if folder.findtext("FolderClass", "IPF.Note").startswith("IPF.Note"):
                        names = self._tree.setdefault(part(folder, "ParentFolderId").get("Id", ""), {})
                        names[folder_id(folder)] = folder.findtext("DisplayName", "")
        return self._tree

    def _find_well_known(self) -> None:
        request = self._request("".join(map(self.ref_of, self.well_known)))
        found = zip(self.well_known, self._client.ask("GetFolder", request), strict=True)
        self._ids = {name: folder_id(each) for name, each in found if not isinstance(each, EwsRefused)}
        if ROOT not in self._ids:
            raise AccessDenied("The account may not see the mailbox's folders.", advice=advice("full_access"))


def invisible(path: str) -> FolderMissing:
    advice = "Check the folder, and that the account may see it."
    return FolderMissing(f"The account does not find the folder `{path}`.", advice=advice)


def folder_id(answer: Element) -> str:
    """The id of the folder in an answer, or of a folder itself."""
    return part(answer, ".//FolderId").get("Id", "")
