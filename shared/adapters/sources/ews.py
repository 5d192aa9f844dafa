"""Exchange Web Services (req C4). Messages are known by their item ids, which last as long as they stay in a folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from shared.adapters.net import Timeouts
from shared.adapters.sources.ews_autodiscover import reach
from shared.adapters.sources.ews_check import EwsCheck
from shared.adapters.sources.ews_client import EwsClient, part, received_at, shape, size_of
from shared.adapters.sources.ews_connection import EwsConnection
from shared.adapters.sources.ews_errors import EwsRefused
from shared.adapters.sources.ews_folders import Folders, invisible
from shared.adapters.sources.ews_items import Fetching, settle
from shared.adapters.sources.folder_listing import Position, list_folders
from shared.adapters.sources.services import SourceServices
from shared.application.ports.connections import CheckStage, FetchFailure, Folder, Page
from shared.domain import sources as configured
from shared.domain.errors import CursorExpired, SourceMisbehaved
from shared.domain.mailbox import Mailbox
from shared.domain.message import Cursor, Listed, MessageRef, RawMessage
from shared.domain.settlement import Settled, Settlement

_MOST_CHANGES = 512
_SHAPE = shape("Item", "item:Size", "item:DateTimeReceived", "message:IsRead")


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
        self._address = mailbox.source.mailbox or mailbox.address
        self._services = services
        self._timeouts = timeouts or Timeouts()
        self._arrivals: dict[str, datetime] = {}

    @cached_property
    def _connection(self) -> EwsConnection:
        return reach(self._settings, self._mailbox.address, self._services, self._timeouts)

    @cached_property
    def _client(self) -> EwsClient:
        return EwsClient(self._connection, self._address, self._settings)

    @cached_property
    def _folders(self) -> Folders:
        return Folders(self._client, self._address)

    def changes(self, cursor: Cursor | None, limit: int) -> Page:
        self._arrivals = {}
        return list_folders(self._settings.folders, cursor, limit, self._changes_in)

    def _changes_in(self, path: str, cursor: Cursor | None, limit: int) -> Page:
        ours = {"address": self._address, "path": path}
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
        start = _Position(self._address, path, self._folders.find(path))
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
        return list(settle(self._client, self._folders, refs, settlement))

    def folders(self) -> Sequence[Folder]:
        return self._folders.list()

    def check(self) -> Iterator[CheckStage]:
        return EwsCheck(self._mailbox, self._services.clock(), self._opened).run()

    def _opened(self) -> tuple[EwsConnection, EwsClient, Folders]:
        return self._connection, self._client, self._folders

    def close(self) -> None:
        if "_connection" in self.__dict__:
            self._connection.drop()
