"""The stages of a connection test of Graph; nothing in the mailbox changes."""

from collections.abc import Mapping
from urllib.parse import quote

from shared.adapters.sources.checks import Finding, move_target
from shared.adapters.sources.graph_client import GraphClient, graph_time
from shared.adapters.sources.graph_errors import GraphRefused
from shared.adapters.sources.graph_folders import ROOT, Folders
from shared.adapters.sources.rest_check import RestCheck
from shared.adapters.sources.services import SourceServices
from shared.domain.mailbox import Mailbox
from shared.domain.settlement import Keep, Move
from shared.domain.sources import GraphSource

_NO_MESSAGE = "AAMkAGNobWVzc2FnZQ=="
"""No message has this id: asking for a change of it shows whether changes are allowed, and changes nothing."""


class GraphCheck(RestCheck):
    def __init__(self, mailbox: Mailbox, services: SourceServices, client: GraphClient, folders: Folders) -> None:
        assert isinstance(mailbox.source, GraphSource)
        super().__init__(mailbox, services, client)
        self._paths = mailbox.source.folders
        self._client = client
        self._folders = folders

    def _look(self) -> None:
        self._client.get(f"/mailFolders/{ROOT}", select="id")

    def _folder(self) -> Finding:
        counts = [(path, self._folders.get(path).get("totalItemCount", "an unknown number of")) for path in self._paths]
        return Finding("; ".join(f"`{path}` has {count} messages" for path, count in counts) + ".")

    def _settlement(self) -> Finding:
        settlement = self._mailbox.settlement
        if isinstance(settlement, Keep):
            return Finding("Messages are left as they are.")
        try:
            self._client.patch(f"/messages/{_NO_MESSAGE}", {"isRead": True})
        except GraphRefused as refused:
            if not refused.is_gone:
                raise
        if isinstance(settlement, Move):
            return Finding(move_target(lambda path: str(self._folders.get(path)["id"]), self._paths, settlement))
        return Finding("Messages can be changed.")

    def _waiting(self) -> Finding:
        conditions = []
        if self._mailbox.start_from is not None:
            conditions.append(f"receivedDateTime ge {graph_time(self._mailbox.start_from)}")
        if self._mailbox.intake.unread_only:
            conditions.append("isRead eq false")
        query = {"filter": " and ".join(conditions)} if conditions else {}
        count = sum(self._count(path, query) for path in self._paths)
        return Finding(f"A first poll would take in {count} messages.")

    def _count(self, path: str, query: Mapping[str, str]) -> int:
        folder = f"/mailFolders/{quote(self._folders.find(path), safe='')}/messages"
        return int(self._client.get(folder, count="true", top=1, select="id", **query).get("@odata.count", 0))
