"""The stages of a connection test over EWS."""

from collections.abc import Callable
from datetime import UTC, datetime

from shared.adapters.sources.checks import ApiCheck, Finding, move_target
from shared.adapters.sources.ews_client import EwsClient, part, shape
from shared.adapters.sources.ews_connection import EwsConnection
from shared.adapters.sources.ews_folders import Folders, folder_id
from shared.adapters.sources.folders import ROOT
from shared.domain.errors import AccessDenied
from shared.domain.mailbox import Mailbox
from shared.domain.providers import EWS_ONLINE, is_microsoft
from shared.domain.settlement import MarkRead, Move
from shared.domain.sources import EwsSource

_VIEW = '<IndexedPageItemView MaxEntriesReturned="1" Offset="0" BasePoint="Beginning"/>'


class EwsCheck(ApiCheck):
    service = "The server"

    def __init__(
        self, mailbox: Mailbox, now: datetime, opened: Callable[[], tuple[EwsConnection, EwsClient, Folders]]
    ) -> None:
        assert isinstance(mailbox.source, EwsSource)
        super().__init__(mailbox, now, mailbox.source.folders)
        self._opened = opened
        self._is_found = mailbox.source.url is None

    def name(self) -> Finding:
        self._connection, self._client, self._folders = self._opened()
        self._endpoint = self._connection.resolve()
        detail = f"{self._connection.url} is at {', '.join(self._endpoint.addresses)}."
        if is_microsoft(self._endpoint.host):
            return Finding(detail, EWS_ONLINE, warning=True)
        return Finding(
            detail, f"Give {self._connection.url} as server, to spare each poll the search." * self._is_found
        )

    def _look(self) -> None:
        self._folders.get(ROOT)

    def mailbox(self) -> Finding:
        return Finding(f"{super().mailbox().detail} The server is Exchange {self._client.build}.")

    def folder(self) -> Finding:
        self._denied: set[str] = set()
        return super().folder()

    def _shown(self, path: str) -> str:
        folder = self._folders.get(path, "folder:TotalCount", "folder:EffectiveRights")
        self._denied |= {right.tag for right in folder.iterfind("EffectiveRights/*") if right.text == "false"}
        return f"`{path}` has {folder.findtext('TotalCount', 'an unknown number of')} messages"

    def _settled(self) -> Finding:
        settlement = self._mailbox.settlement
        right, what = ("Modify", "marked as read") if isinstance(settlement, MarkRead) else ("Delete", "taken away")
        if right in self._denied:
            advice = "Grant the account full access, or settle otherwise."
            raise AccessDenied(f"The account may not have messages {what}.", advice=advice)
        if isinstance(settlement, Move):
            return Finding(move_target(lambda path: folder_id(self._folders.get(path)), self._paths, settlement))
        return Finding(f"Messages can be {what}.")

    def _waiting(self, path: str) -> int:
        conditions = ""
        if self._mailbox.start_from is not None:
            since = self._mailbox.start_from.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            conditions += _condition("IsGreaterThanOrEqualTo", "item:DateTimeReceived", since)
        if self._mailbox.intake.unread_only:
            conditions += _condition("IsEqualTo", "message:IsRead", "false")
        if conditions.count("<t:Constant") > 1:
            conditions = f"<t:And>{conditions}</t:And>"
        restriction = conditions and f"<Restriction>{conditions}</Restriction>"
        folder = f"<ParentFolderIds>{self._folders.ref(path)}</ParentFolderIds>"
        found = self._client.one("FindItem", shape("Item") + _VIEW + restriction + folder, Traversal="Shallow")
        return int(part(found, "RootFolder").get("TotalItemsInView", 0))


def _condition(kind: str, field: str, value: str) -> str:
    constant = f'<t:FieldURIOrConstant><t:Constant Value="{value}"/></t:FieldURIOrConstant>'
    return f'<t:{kind}><t:FieldURI FieldURI="{field}"/>{constant}</t:{kind}>'
