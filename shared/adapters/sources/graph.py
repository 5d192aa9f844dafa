"""Exchange Online through Microsoft Graph (req C1). Messages are known by their immutable ids."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from requests.structures import CaseInsensitiveDict

from shared.adapters.checks import RestCheck
from shared.adapters.https import retry_after
from shared.adapters.refusals import Refused
from shared.adapters.services import SourceServices
from shared.adapters.sources.fetching import raw_message
from shared.adapters.sources.folder_listing import Position, list_folders
from shared.adapters.sources.folders import ROOT
from shared.adapters.sources.graph_client import BATCH_REQUESTS, Folders, GraphClient, graph_time, items
from shared.adapters.sources.rest_client import wait_for
from shared.adapters.sources.rest_download import fetch_ahead, read_at_most
from shared.application.ports.connections import CheckStage, FetchFailure, Folder, Page
from shared.domain import sources as configured
from shared.domain.errors import AppError, CursorExpired, MessageError, SourceMisbehaved, SourceUnavailable
from shared.domain.mailbox import Mailbox
from shared.domain.message import Cursor, Listed, MessageRef, RawMessage
from shared.domain.settlement import Delete, Keep, MarkRead, Move, Settled, Settlement

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_SELECT = "id,receivedDateTime,isRead"
_SIZE = "singleValueExtendedProperties($filter=id eq 'LONG 0x0E08')"
"""PidTagMessageSize. It is no use in a listing: a delta query fails on the filter within."""

_FILTERED_ROUND_LIMIT = 5000
"""A first round with a filter returns at most so many messages, and does not say that there are more."""

_NOT_TRIED = 424
_TRIES_WITHOUT_PROGRESS = 3


@dataclass(frozen=True, slots=True)
class _Position(Position):
    """The link that goes on listing this folder of this mailbox.

    While a first round is filtered by the service, `listed` counts it; `start_from` (ISO) filters one that is not.
    """

    address: str
    folder: str
    link: str
    listed: int | None = None
    start_from: str | None = None


class GraphSource:
    """A `Source`. It lists by delta query, which sees every message that arrives, also one that is moved in."""

    def __init__(self, mailbox: Mailbox, services: SourceServices) -> None:
        assert isinstance(mailbox.source, configured.GraphSource)
        self._mailbox = mailbox
        self._settings = mailbox.source
        self._services = services
        self._client = GraphClient(mailbox.source.mailbox or mailbox.address, mailbox.source.sign_in, services)
        self._folders = Folders(self._client)
        self._received: dict[str, datetime] = {}

    def changes(self, cursor: Cursor | None, limit: int) -> Page:
        self._received = {}
        return list_folders(self._settings.folders, cursor, limit, self._changes_in)

    def _changes_in(self, path: str, cursor: Cursor | None, limit: int) -> Page:
        position = self._first_round(path) if cursor is None else self._resumed(path, cursor)
        try:
            page = self._client.get(position.link, f"odata.maxpagesize={limit}")
        except Refused as refused:
            if refused.is_gone:  # the folder; the next round looks for it by its path
                raise CursorExpired from refused
            raise
        found = items(page)
        following, more = self._following(position, page, len(found))
        return Page(tuple(self._listed(found, position)), following.cursor(), more)

    def fetch(self, messages: Sequence[Listed]) -> Iterator[RawMessage | FetchFailure]:
        return fetch_ahead(messages, self._download)

    def settle(self, refs: Sequence[MessageRef], settlement: Settlement) -> Sequence[Settled]:
        return _Settling(self._folders, settlement).settle(refs)

    def folders(self) -> Sequence[Folder]:
        return self._folders.list()

    def check(self) -> Iterator[CheckStage]:
        return _Check(self._mailbox, self._folders).run()

    def close(self) -> None:
        self._client.close()

    def _first_round(self, path: str) -> _Position:
        start_from = self._mailbox.start_from
        if start_from is None:
            return self._round(path)
        return replace(self._round(path, {"$filter": f"receivedDateTime ge {graph_time(start_from)}"}), listed=0)

    def _round(self, path: str, options: Mapping[str, str] | None = None) -> _Position:
        folder = quote(self._folders.find(path), safe="")
        query = urlencode({"changeType": "created", "$select": _SELECT, **(options or {})}, safe="$,:", quote_via=quote)
        link = f"{self._client.mailbox_url}/mailFolders/{folder}/messages/delta?{query}"
        return _Position(self._mailbox.address, path, link)

    def _resumed(self, path: str, cursor: Cursor) -> _Position:
        """:raises CursorExpired: it is for another folder, mailbox or cloud, or of another kind of source."""
        position = _Position.of(cursor, address=self._mailbox.address, folder=path)
        if not self._client.is_own(position.link):
            raise CursorExpired
        return position

    def _following(self, position: _Position, page: Mapping[str, Any], found: int) -> tuple[_Position, bool]:
        listed = None if position.listed is None else position.listed + found
        if "@odata.nextLink" in page:
            return replace(position, link=self._client.link(page, "@odata.nextLink"), listed=listed), True
        if "@odata.deltaLink" not in page:
            raise SourceMisbehaved("Graph does not say where its listing goes on.")
        if listed is not None and listed >= _FILTERED_ROUND_LIMIT and self._mailbox.start_from:
            return replace(self._round(position.folder), start_from=graph_time(self._mailbox.start_from)), True
        link = self._client.link(page, "@odata.deltaLink")
        return replace(position, link=link, listed=None, start_from=None), False

    def _listed(self, found: Sequence[Mapping[str, Any]], position: _Position) -> Iterator[Listed]:
        """Oldest first; Graph promises neither order nor that a message comes once."""
        present = {item["id"]: item for item in found if isinstance(item.get("id"), str) and "@removed" not in item}
        received = {message_id: self._received_at(item) for message_id, item in present.items()}
        self._received |= received
        start_from = datetime.fromisoformat(position.start_from) if position.start_from else _LONG_AGO
        for message_id, received_at in sorted(received.items(), key=lambda pair: pair[1]):
            is_unwanted = self._mailbox.intake.unread_only and present[message_id].get("isRead")
            if received_at >= start_from and not is_unwanted:
                yield Listed(MessageRef(position.folder, message_id), received_at=received_at)

    def _received_at(self, item: Mapping[str, Any]) -> datetime:
        """Where Graph does not say, it is taken as new: the receipts recognise what is not."""
        try:
            return datetime.fromisoformat(item["receivedDateTime"]).astimezone(UTC)
        except (KeyError, TypeError, ValueError):
            return self._services.clock()

    def _download(self, ref: MessageRef) -> RawMessage:
        path, max_bytes = f"/messages/{quote(ref.id, safe='')}", self._mailbox.intake.max_message_bytes
        content, size = read_at_most(self._client, f"{path}/$value", max_bytes)
        if size > max_bytes:
            size = max(size, self._full_size(path))
        return raw_message(ref, content, self._received.get(ref.id), max_bytes, size)

    def _full_size(self, path: str) -> int:
        """As Exchange counts it, which is near what it would send; 0 where it does not say."""
        try:
            [size] = self._client.get(path, select="id", expand=_SIZE)["singleValueExtendedProperties"]
            return int(size["value"])
        except (AppError, KeyError, TypeError, ValueError):
            return 0


class _Settling:
    """The requests of a batch run one after another, for side by side they exceed what a mailbox serves. After one
    that fails the rest is not tried, and is sent again.
    """

    def __init__(self, folders: Folders, settlement: Settlement) -> None:
        self._client = folders.client
        self._folders = folders
        self._settlement = settlement

    def settle(self, refs: Sequence[MessageRef]) -> list[Settled]:
        if isinstance(self._settlement, Keep):
            return [Settled(ref) for ref in refs]
        settled: list[Settled] = []
        tries_left = _TRIES_WITHOUT_PROGRESS
        while len(settled) < len(refs):
            progress, error = self._some(refs[len(settled) :][:BATCH_REQUESTS])
            settled += progress
            tries_left = _TRIES_WITHOUT_PROGRESS if progress else tries_left - 1
            if error and not (isinstance(error, SourceUnavailable) and tries_left and wait_for(error)):
                raise error
            if not tries_left:
                raise SourceMisbehaved("Graph does not settle messages, and does not say why.")
        return settled

    def _some(self, refs: Sequence[MessageRef]) -> tuple[list[Settled], AppError | None]:
        """One batch: what is settled of it, from its beginning, and what stopped it."""
        settled: list[Settled] = []
        answers = self._client.batch([self._request(ref) for ref in refs])
        for ref, answer in zip(refs, answers, strict=True):
            status = answer.get("status")
            if status == _NOT_TRIED:
                break
            error = None if isinstance(status, int) and status < 300 else self._refusal(status, answer)
            if isinstance(error, Refused):
                if error.is_gone and self._has_lost_its_target():
                    break
                settled.append(Settled(ref, None if error.is_gone else MessageError(str(error))))
            elif error is not None:
                return settled, error
            else:
                settled.append(Settled(ref))
        return settled, None

    def _request(self, ref: MessageRef) -> Mapping[str, Any]:
        url = f"/messages/{quote(ref.id, safe='')}"
        match self._settlement:
            case MarkRead():
                return {"method": "PATCH", "url": url, "body": {"isRead": True}}
            case Move(folder=path, create=create):
                destination = self._folders.find(path, create=create)
                return {"method": "POST", "url": f"{url}/move", "body": {"destinationId": destination}}
            case Delete():
                return {"method": "DELETE", "url": url}
        raise AssertionError(self._settlement)

    def _has_lost_its_target(self) -> bool:
        """Graph answers the same when the message is gone and when the folder to move to is."""
        if not isinstance(self._settlement, Move) or self._folders.still_knows(self._settlement.folder):
            return False
        self._folders.forget()
        return True

    def _refusal(self, status: Any, answer: Mapping[str, Any]) -> AppError:
        if not isinstance(status, int):
            raise SourceMisbehaved("Graph answered a request of a batch without a status.")
        headers = CaseInsensitiveDict(answer.get("headers") or {})
        return self._client.refusal(status, answer.get("body"), retry_after(headers))


class _Check(RestCheck):
    def __init__(self, mailbox: Mailbox, folders: Folders) -> None:
        super().__init__(mailbox, folders.client)
        self._client = folders.client
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
