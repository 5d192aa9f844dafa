"""Gmail through its API (req C6). Folders are labels; a message has one id under all of them."""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import quote

from shared.adapters.checks import RestCheck
from shared.adapters.refusals import Refused
from shared.adapters.services import SourceServices
from shared.adapters.sources.fetching import CUT_BYTES, raw_message
from shared.adapters.sources.folder_listing import Position, list_folders
from shared.adapters.sources.gmail_client import GmailClient, Labels, items
from shared.adapters.sources.rest_download import fetch_ahead, read_at_most
from shared.application.ports.connections import CheckStage, FetchFailure, Folder, Page
from shared.domain import sources as configured
from shared.domain.errors import CursorExpired, MessageError, SourceMisbehaved
from shared.domain.mailbox import Mailbox
from shared.domain.message import Cursor, Listed, MessageRef, RawMessage
from shared.domain.settlement import Settled, Settlement

_WRAPPING = 16_384
"""More than everything else in the answer: ids, labels and a snippet."""

_EPOCH = datetime.fromtimestamp(0, UTC)


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
        return _Check(self._mailbox, self._labels).run()

    def close(self) -> None:
        self._client.close()

    def _download(self, ref: MessageRef) -> RawMessage:
        return _downloaded(self._client, ref, self._mailbox.intake.max_message_bytes)


def _history_id(answer: Mapping[str, Any]) -> str:
    history = answer.get("historyId")
    if not isinstance(history, str):
        raise SourceMisbehaved("Gmail does not say where its history goes on.")
    return history


def _downloaded(client: GmailClient, ref: MessageRef, max_bytes: int) -> RawMessage:
    path = f"/messages/{quote(ref.id, safe='')}"
    limit = max_bytes * 4 // 3 + _WRAPPING
    answer, size = read_at_most(client, f"{path}?format=raw", limit)
    if size <= limit:
        found = _parsed(answer)
        del answer  # a large message is in memory often enough while it is decoded
        content = _decoded(str(found.pop("raw", "")))
        full_size = 0
    else:
        begun = re.search(rb'"raw"\s*:\s*"([\w-]*)', answer[: CUT_BYTES * 4 // 3 + _WRAPPING])
        text = begun[1].decode() if begun else ""
        content, found = _decoded(text[: len(text) // 4 * 4]), client.get(path, format="minimal")
        full_size = max(max_bytes + 1, int(found.get("sizeEstimate", 0)))
    return raw_message(ref, content, _received_at(found), max_bytes, full_size)


def _parsed(answer: bytes) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except ValueError as exc:
        raise MessageError("Gmail answered with something else than a message.") from exc
    if not isinstance(found, dict):
        raise MessageError("Gmail answered with something else than a message.")
    return found


def _decoded(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as exc:
        raise MessageError("Gmail gave a message that is not in base64url.") from exc


def _received_at(found: dict[str, Any]) -> datetime | None:
    try:
        return _EPOCH + timedelta(milliseconds=int(found["internalDate"]))
    except (KeyError, OverflowError, TypeError, ValueError):
        return None


class _Check(RestCheck):
    counted_at_most = 5000

    def __init__(self, mailbox: Mailbox, labels: Labels) -> None:
        super().__init__(mailbox, labels.client)
        self._client = labels.client
        self._labels = labels

    def _look(self) -> None:
        self._client.get("/profile")

    def _shown(self, path: str) -> str:
        self._id(path)
        return f"There is `{path}`"

    def _id(self, path: str) -> str:
        return self._labels.find(path)

    def _change_nothing(self) -> None:
        self._client.post("/messages/0000000000000000/modify", {"removeLabelIds": ["UNREAD"]})

    def _waiting(self, path: str) -> int:
        return sum(1 for _ in islice(self._client.present(self._id(path), self._mailbox), self.counted_at_most))
