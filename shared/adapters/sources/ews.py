"""Exchange Web Services (req C4). Messages are known by their item ids, which last as long as they stay in a folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from shared.adapters.checks import ApiCheck, Finding, move_target
from shared.adapters.net import Timeouts
from shared.adapters.services import SourceServices
from shared.adapters.sources.ews_client import (
    EwsClient,
    EwsRefused,
    Folders,
    folder_id,
    invisible,
    part,
    received_at,
    shape,
    size_of,
)
from shared.adapters.sources.ews_connection import EwsConnection
from shared.adapters.sources.ews_items import Fetching, settle
from shared.adapters.sources.folder_listing import Position, list_folders
from shared.adapters.sources.folders import ROOT
from shared.application.ports.connections import CheckStage, FetchFailure, Folder, Page
from shared.domain import sources as configured
from shared.domain.errors import AccessDenied, CursorExpired, SourceMisbehaved
from shared.domain.mailbox import Mailbox
from shared.domain.message import Cursor, Listed, MessageRef, RawMessage
from shared.domain.providers import EWS_ONLINE, is_microsoft
from shared.domain.settlement import MarkRead, Move, Settled, Settlement

_MOST_CHANGES = 512
_SHAPE = shape("Item", "item:Size", "item:DateTimeReceived", "message:IsRead")
_VIEW = '<IndexedPageItemView MaxEntriesReturned="1" Offset="0" BasePoint="Beginning"/>'


@dataclass(frozen=True, slots=True)
class _Position(Position):
    """The state of synchronisation with this folder, whose id saves looking for it by its path.

    In the first round, which lists what there was, `start_from` (ISO) tells what to leave out.
    """

    address: str
    path: str
    folder: str
    state: str | None = None
    start_from: str | None = None


class EwsSource:
    """A `Source`. It lists by synchronisation, which sees every message that comes in, also one that is moved in."""

    def __init__(self, mailbox: Mailbox, services: SourceServices, timeouts: Timeouts | None = None) -> None:
        assert isinstance(mailbox.source, configured.EwsSource)
        self._mailbox = mailbox
        self._settings = mailbox.source
        self._services = services
        self._client = EwsClient(mailbox.source, mailbox.address, services, timeouts)
        self._folders = Folders(self._client)
        self._arrivals: dict[str, datetime] = {}

    def changes(self, cursor: Cursor | None, limit: int) -> Page:
        self._arrivals = {}
        return list_folders(self._settings.folders, cursor, limit, self._changes_in)

    def _changes_in(self, path: str, cursor: Cursor | None, limit: int) -> Page:
        ours = {"address": self._client.address, "path": path}
        position = _Position.of(cursor, **ours) if cursor else self._first_round(path)
        answer = self._synchronised(position, _MOST_CHANGES if position.start_from else min(limit, _MOST_CHANGES))
        if isinstance(answer, EwsRefused):
            if not answer.is_gone:
                raise answer
            raise (CursorExpired() if cursor else invisible(path)) from answer
        state, more = part(answer, "SyncState").text, answer.findtext("IncludesLastItemInRange") != "true"
        if more and state == position.state:
            raise SourceMisbehaved("Exchange does not get on with its listing.")
        following = replace(position, state=state, start_from=position.start_from if more else None)
        return Page(tuple(self._listed(part(answer, "Changes"), position)), following.cursor(), more)

    def _synchronised(self, position: _Position, limit: int) -> Element | EwsRefused:
        state = f"<SyncState>{escape(position.state)}</SyncState>" if position.state else ""
        most = f"<MaxChangesReturned>{limit}</MaxChangesReturned><SyncScope>NormalItems</SyncScope>"
        folder = f"<SyncFolderId>{self._folders.ref_of(position.folder)}</SyncFolderId>"
        return self._client.ask("SyncFolderItems", _SHAPE + folder + state + most)[0]

    def _first_round(self, path: str) -> _Position:
        start_from = self._mailbox.start_from
        start = _Position(self._client.address, path, self._folders.find(path))
        return replace(start, start_from=start_from.isoformat()) if start_from else start

    def _listed(self, changes: Element, position: _Position) -> Iterator[Listed]:
        """The new ones, oldest first; Exchange promises no order, and tells times to the second."""
        start_from = position.start_from and datetime.fromisoformat(position.start_from).replace(microsecond=0)
        created = {part(item, "ItemId").get("Id", ""): item for item in changes.iterfind("Create/*")}
        now = self._services.clock()
        arrivals = {key: received_at(item) or now for key, item in created.items()}
        self._arrivals |= arrivals
        for key, arrival in sorted(arrivals.items(), key=lambda pair: pair[1]):
            is_unwanted = self._mailbox.intake.unread_only and created[key].findtext("IsRead") == "true"
            if not is_unwanted and not (start_from and arrival < start_from):
                yield Listed(MessageRef(position.path, key), size_of(created[key]), arrival)

    def fetch(self, messages: Sequence[Listed]) -> Iterator[RawMessage | FetchFailure]:
        return Fetching(self._client, self._arrivals, self._mailbox.intake.max_message_bytes).fetch(messages)

    def settle(self, refs: Sequence[MessageRef], settlement: Settlement) -> Sequence[Settled]:
        return list(settle(self._folders, refs, settlement))

    def folders(self) -> Sequence[Folder]:
        return self._folders.list()

    def check(self) -> Iterator[CheckStage]:
        return _Check(self._mailbox, self._services.clock(), self._folders).run()

    def close(self) -> None:
        self._client.close()


class _Check(ApiCheck):
    service = "The server"
    _connection: EwsConnection

    def __init__(self, mailbox: Mailbox, now: datetime, folders: Folders) -> None:
        assert isinstance(mailbox.source, configured.EwsSource)
        super().__init__(mailbox, now)
        self._client, self._folders = folders.client, folders
        self._is_found = mailbox.source.url is None

    def name(self) -> Finding:
        self._connection = self._client.connection
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
