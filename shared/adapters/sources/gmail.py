"""Gmail through its API (req C6). Folders are labels; a message has one id under all of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.adapters.sources.errors import Refused
from shared.adapters.sources.folder_listing import Position, list_folders
from shared.adapters.sources.gmail_check import GmailCheck
from shared.adapters.sources.gmail_client import GmailClient, items
from shared.adapters.sources.gmail_download import download
from shared.adapters.sources.gmail_labels import Labels
from shared.adapters.sources.rest_download import fetch_ahead
from shared.adapters.sources.services import SourceServices
from shared.application.ports.connections import CheckStage, FetchFailure, Folder, Page
from shared.domain import sources as configured
from shared.domain.errors import CursorExpired, SourceMisbehaved
from shared.domain.mailbox import Mailbox
from shared.domain.message import Cursor, Listed, MessageRef, RawMessage
from shared.domain.settlement import Settled, Settlement


@dataclass(frozen=True, slots=True)
class _Position(Position):
    """How far the history of this label was read.

    While what was there before is still being listed, `last` is the newest message that was; the history begins
    where that listing did, so that nothing falls between them.
    """

    address: str
    folder: str
    label: str
    history: str
    last: str | None = None


class GmailSource:
    """A `Source`. It lists what is there once, and after that what the mailbox's history says was added."""

    def __init__(self, mailbox: Mailbox, services: SourceServices) -> None:
        assert isinstance(mailbox.source, configured.GmailSource)
        self._mailbox = mailbox
        self._settings = mailbox.source
        self._services = services
        self._client = GmailClient(mailbox.source.mailbox or mailbox.address, mailbox.source.sign_in, services)
        self._labels = Labels(self._client)
        self._backlogs: dict[str, list[str]] = {}

    def changes(self, cursor: Cursor | None, limit: int) -> Page:
        return list_folders(self._settings.folders, cursor, limit, self._changes_in)

    def _changes_in(self, path: str, cursor: Cursor | None, limit: int) -> Page:
        if cursor is None:
            self._backlogs.pop(path, None)
            history = _history_id(self._client.get("/profile"))
            position = _Position(self._client.address, path, self._labels.find(path), history)
            return self._backlog(position, limit)
        position = _Position.of(cursor, address=self._client.address, folder=path)
        return self._backlog(position, limit) if position.last else self._history(position, limit)

    def _backlog(self, position: _Position, limit: int) -> Page:
        """What was there before. Gmail lists newest first, so all of it is listed before the first page, and kept for
        the pages after it. Where the last message of the page before is not there any more, it begins anew.
        """
        if position.folder not in self._backlogs:
            self._backlogs[position.folder] = self._present(position.label)
        ids = self._backlogs[position.folder]
        start = ids.index(position.last) + 1 if position.last in ids else 0
        page = ids[start : start + limit]
        is_whole = start + limit >= len(ids)
        following = replace(position, last=None if is_whole else page[-1])
        messages = tuple(Listed(MessageRef(position.folder, each)) for each in page)
        return Page(messages, following.cursor(), more=not is_whole or position.last is not None)

    def _present(self, label: str) -> list[str]:
        return list(dict.fromkeys(self._client.present(label, self._mailbox)))[::-1]

    def _history(self, position: _Position, limit: int) -> Page:
        """A record's own id is where the history goes on after it."""
        try:
            page = self._records(position, limit)
        except Refused as refused:  # Gmail does not remember so far back, or has the label no more
            raise CursorExpired from refused
        records = items(page, "history")
        more = "nextPageToken" in page
        history = records[-1]["id"] if more else _history_id(page)
        found = dict.fromkeys(id_ for record in records for id_ in self._added(record, position.label))
        messages = tuple(Listed(MessageRef(position.folder, each)) for each in found)
        return Page(messages, replace(position, history=history).cursor(), more)

    def _records(self, position: _Position, limit: int) -> dict[str, Any]:
        """The first page of the history with anything in it, or the last one."""
        types = ["messageAdded", "labelAdded"]
        token: dict[str, str] = {}
        while True:
            page = self._client.get(
                "/history",
                startHistoryId=position.history,
                historyTypes=types,
                labelId=position.label,
                maxResults=limit,
                **token,
            )
            if "nextPageToken" not in page or items(page, "history"):
                return page
            token = {"pageToken": str(page["nextPageToken"])}

    def _added(self, record: Mapping[str, Any], label: str) -> Iterator[str]:
        """The ids of the messages that came under the label, in this record."""
        try:
            for change in (*record.get("messagesAdded", ()), *record.get("labelsAdded", ())):
                message = change["message"]
                labels = message.get("labelIds", [label, "UNREAD"])
                is_unwanted = self._mailbox.intake.unread_only and "UNREAD" not in labels
                if label in change.get("labelIds", labels) and not is_unwanted:
                    yield str(message["id"])
        except (AttributeError, KeyError, TypeError) as exc:
            raise SourceMisbehaved("Gmail gave a history that makes no sense.") from exc

    def fetch(self, messages: Sequence[Listed]) -> Iterator[RawMessage | FetchFailure]:
        return fetch_ahead(messages, self._download)

    def settle(self, refs: Sequence[MessageRef], settlement: Settlement) -> Sequence[Settled]:
        return list(self._labels.settle(refs, settlement))

    def folders(self) -> Sequence[Folder]:
        return self._labels.list()

    def check(self) -> Iterator[CheckStage]:
        return GmailCheck(self._mailbox, self._services, self._client, self._labels).run()

    def close(self) -> None:
        self._client.close()

    def _download(self, ref: MessageRef) -> RawMessage:
        return download(self._client, ref, self._mailbox.intake.max_message_bytes)


def _history_id(answer: Mapping[str, Any]) -> str:
    history = answer.get("historyId")
    if not isinstance(history, str):
        raise SourceMisbehaved("Gmail does not say where its history goes on.")
    return history
