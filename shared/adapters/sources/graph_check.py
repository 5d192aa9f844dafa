"""The stages of a connection test of Graph."""

from urllib.parse import quote

from shared.adapters.sources.folders import ROOT
from shared.adapters.sources.graph_client import GraphClient, graph_time
from shared.adapters.sources.graph_folders import Folders
from shared.adapters.sources.rest_check import RestCheck
from shared.adapters.sources.services import SourceServices
from shared.domain.mailbox import Mailbox
from shared.domain.sources import GraphSource


class GraphCheck(RestCheck):
    def __init__(self, mailbox: Mailbox, services: SourceServices, client: GraphClient, folders: Folders) -> None:
        assert isinstance(mailbox.source, GraphSource)
        super().__init__(mailbox, mailbox.source.folders, services, client)
        self._client = client
        self._folders = folders

    def _look(self) -> None:
        self._client.get(f"/mailFolders/{ROOT}", select="id")

    def _shown(self, path: str) -> str:
        return f"`{path}` has {self._folders.get(path).get('totalItemCount', 'an unknown number of')} messages"

    def _change_nothing(self) -> None:
        self._client.patch("/messages/AAMkAGNobWVzc2FnZQ==", {"isRead": True})

    def _id(self, path: str) -> str:
        return str(self._folders.get(path)["id"])

    def _waiting(self, path: str) -> int:
        conditions = []
        if self._mailbox.start_from is not None:
            conditions.append(f"receivedDateTime ge {graph_time(self._mailbox.start_from)}")
        if self._mailbox.intake.unread_only:
            conditions.append("isRead eq false")
        query = {"filter": " and ".join(conditions)} if conditions else {}
        folder = f"/mailFolders/{quote(self._folders.find(path), safe='')}/messages"
        return int(self._client.get(folder, count="true", top=1, select="id", **query).get("@odata.count", 0))
