"""IMAP4rev1: any server (req C2). Messages are known by UIDVALIDITY and UID (RFC 3501 section 2.3.1.1)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

from imapclient import DELETED, SEEN

from shared.adapters.checks import Finding, FolderCheck, move_target
from shared.adapters.net import Timeouts
from shared.adapters.refusals import CommandRefused
from shared.adapters.services import SourceServices
from shared.adapters.sources.fetching import CUT_BYTES, SLOWEST_BYTES_PER_SECOND, batches, chunks, raw_message
from shared.adapters.sources.folder_listing import Position, list_folders
from shared.adapters.sources.imap_folders import Folders, ImapConnection, OpenFolder
from shared.application.ports.connections import CheckStage, FetchFailure, Folder, Page
from shared.domain import sources as configured
from shared.domain.errors import (
    AccessDenied,
    FolderMissing,
    MessageError,
    MessageGone,
    SourceError,
    SourceMisbehaved,
    SourceUnavailable,
    Throttled,
)
from shared.domain.mailbox import Mailbox
from shared.domain.message import Cursor, Listed, MessageRef, RawMessage
from shared.domain.settlement import Delete, Keep, MarkRead, Move, Settled, Settlement

_UIDS_PER_COMMAND = 500  # fit into a line
_WIDEST_SEARCH = 50_000
"""UIDs in one search: its answer is one line, and lines have a limit."""


@dataclass(frozen=True, slots=True)
class _Position(Position):
    """The folder is listed up to `uid`. Messages up to `past` were there when it was first
    listed: the mailbox's `start_from` decides about them, later ones are all taken (req D6).
    """

    folder: str
    uidvalidity: int
    uid: int = 0
    past: int = 0


class ImapSource:
    """Reads the folders of an IMAP mailbox."""

    def __init__(self, mailbox: Mailbox, services: SourceServices, timeouts: Timeouts | None = None) -> None:
        assert isinstance(mailbox.source, configured.ImapSource)
        self._mailbox = mailbox
        self._paths = mailbox.source.folders
        self._services = services
        self._max_bytes = mailbox.intake.max_message_bytes
        self._connection = ImapConnection(mailbox, services, 2 * self._max_bytes, timeouts or Timeouts())
        self._folders = Folders(self._connection)
        self._has_blamed = False

    @property
    def _is_settling(self) -> bool:
        return not isinstance(self._mailbox.settlement, Keep)

    def changes(self, cursor: Cursor | None, limit: int) -> Page:
        return list_folders(self._paths, cursor, limit, self._changes_in)

    def _changes_in(self, path: str, cursor: Cursor | None, limit: int) -> Page:
        folder = self._folders.open(path, writable=self._is_settling, afresh=True)
        position = self._position(path, cursor, folder)
        is_past = position.uid < position.past
        since = self._mailbox.start_from if is_past else None
        last = position.past if is_past else folder.uidnext - 1
        uids, reached = self._search(position.uid + 1, last, since, limit)
        if len(uids) > limit:
            uids, reached = uids[:limit], uids[limit - 1]
        messages = self._listed(folder, uids, since)
        cursor = replace(position, uid=max(position.uid, reached)).cursor()
        return Page(messages, cursor, more=reached < folder.uidnext - 1)

    def _position(self, path: str, cursor: Cursor | None, folder: OpenFolder) -> _Position:
        """Where the cursor is, or the start: in another folder, or where UIDVALIDITY changed, UIDs mean nothing."""
        past = folder.uidnext - 1 if self._mailbox.start_from else 0
        start = _Position(path, folder.uidvalidity, past=past)
        if cursor is None:
            return start
        position = _Position.of(cursor)
        is_current = (position.folder, position.uidvalidity) == (start.folder, start.uidvalidity)
        return position if is_current else start

    def _search(self, first: int, last: int, since: datetime | None, limit: int) -> tuple[list[int], int]:
        """The next UIDs from `first` to `last`, ascending, and how far the search went. It goes in windows, so that
        its answers stay short, and a long backlog is not listed again for each page.
        """
        # Where settling deletes, a deleted message may be one that a dead worker of ours has left half settled.
        is_deleting = isinstance(self._mailbox.settlement, Delete | Move)
        criteria: list[str | date] = [] if is_deleting else ["UNDELETED"]
        if self._mailbox.intake.unread_only:
            criteria.append("UNSEEN")
        if since:
            criteria += ["SINCE", since.astimezone(UTC).date() - timedelta(days=1)]  # dates are in unknown time zones
        width = 10 * limit
        while first <= last:
            end = min(first + width - 1, last)
            with self._connection.command("list messages") as client:
                found = client.search(["UID", f"{first}:{end}", *criteria])
            uids = sorted({uid for uid in found if first <= uid <= end})
            if uids:
                return uids, end
            first, width = end + 1, min(2 * width, _WIDEST_SEARCH)
        return [], last

    def _listed(self, folder: OpenFolder, uids: Sequence[int], since: datetime | None) -> tuple[Listed, ...]:
        """Those that are still there, and arrived since then (to the second, as IMAP has it), with their sizes."""
        if not uids:
            return ()
        since = since and since.replace(microsecond=0)
        with self._connection.command("list messages") as client:
            found = client.fetch(uids, ["RFC822.SIZE", "INTERNALDATE"])
        arrivals = {uid: _arrival(found[uid]) for uid in uids if uid in found}
        return tuple(
            Listed(MessageRef(folder.path, f"{folder.uidvalidity}:{uid}"), found[uid].get(b"RFC822.SIZE"), arrival)
            for uid, arrival in arrivals.items()
            if since is None or (arrival or since) >= since
        )

    def fetch(self, messages: Sequence[Listed]) -> Iterator[RawMessage | FetchFailure]:
        for (path, uidvalidity), group in groupby(messages, lambda message: _place(message.ref)):
            yield from self._fetch_from(path, uidvalidity, {_uid(message.ref): message for message in group})

    def _fetch_from(
        self, path: str, uidvalidity: int, wanted: Mapping[int, Listed]
    ) -> Iterator[RawMessage | FetchFailure]:
        sizes = self._sizes(path, uidvalidity, wanted)
        for batch in batches(sizes, self._max_bytes):
            for uid, body in self._bodies((path, uidvalidity), batch, sizes):
                yield self._fetched(wanted[uid].ref, sizes[uid], body)

    def _sizes(self, path: str, uidvalidity: int, wanted: Mapping[int, Listed]) -> dict[int, int]:
        sizes = {uid: message.size or 0 for uid, message in wanted.items()}
        unknown = [uid for uid, message in wanted.items() if message.size is None]
        if unknown and self._is_open(path, uidvalidity):
            with self._connection.command("tell sizes") as client:
                found = client.fetch(unknown, ["RFC822.SIZE"])
            sizes |= {uid: data.get(b"RFC822.SIZE", 0) for uid, data in found.items()}
        return sizes

    def _bodies(
        self, place: tuple[str, int], uids: Sequence[int], sizes: Mapping[int, int]
    ) -> "Iterator[tuple[int, _Body | None]]":
        """Each message with what the server has of it; one that it fails on is found by halves and fails alone."""
        try:
            found = self._handed_over(place, uids, sizes)
        except Throttled:
            raise
        except (SourceUnavailable, SourceMisbehaved) as error:
            half = len(uids) // 2
            if not half:
                yield uids[0], self._blamed(error)
                return
            yield from self._bodies(place, uids[:half], sizes)
            yield from self._bodies(place, uids[half:], sizes)
        else:
            self._has_blamed = False
            for uid in uids:
                yield uid, found.pop(uid, None)

    def _handed_over(
        self, place: tuple[str, int], uids: Sequence[int], sizes: Mapping[int, int]
    ) -> dict[int, dict[bytes, Any]]:
        if not self._is_open(*place):
            return {}
        part = (
            f"BODY.PEEK[]<0.{min(CUT_BYTES, self._max_bytes)}>" if sizes[uids[0]] > self._max_bytes else "BODY.PEEK[]"
        )
        seconds = sum(sizes[uid] for uid in uids) / SLOWEST_BYTES_PER_SECOND
        with self._connection.command("hand over messages", seconds) as client:
            found: dict[int, dict[bytes, Any]] = client.fetch(uids, [part, "INTERNALDATE"])
            empty = [uid for uid, body in found.items() if not _content(body)]
            gone = set(empty).difference(client.search(["UID", _set(empty)]) if empty else ())  # RFC 2180
            return {uid: body for uid, body in found.items() if uid not in gone}

    def _blamed(self, error: SourceError) -> MessageError:
        """A connection that breaks may break on the message, but the next one is blamed only after others were handed
        over: a server that breaks on everything shall not fail them all.
        """
        if not isinstance(error, CommandRefused):
            if self._has_blamed:
                raise error
            self._has_blamed = True
        return MessageError("The server does not hand over this message.")

    def _fetched(self, ref: MessageRef, size: int, body: "_Body | None") -> RawMessage | FetchFailure:
        if body is None:
            return FetchFailure(ref, MessageGone("The message is not in its folder any more."))
        if isinstance(body, MessageError):
            return FetchFailure(ref, body)
        content = _content(body)
        if not content:
            return FetchFailure(ref, MessageError("The server hands over an empty message."))
        return raw_message(ref, content, _arrival(body), self._max_bytes, size if size > self._max_bytes else 0)

    def _is_open(self, path: str, uidvalidity: int, *, writable: bool = False) -> bool:
        """Open the folder; False where it is gone, or has other messages under the same UIDs."""
        if not uidvalidity:
            return False
        try:
            folder = self._folders.open(path, writable=writable or self._is_settling)
        except FolderMissing:
            return False
        return folder.uidvalidity == uidvalidity

    def settle(self, refs: Sequence[MessageRef], settlement: Settlement) -> Sequence[Settled]:
        errors: dict[MessageRef, MessageError] = {}
        for (path, uidvalidity), group in groupby(() if isinstance(settlement, Keep) else refs, _place):
            for some in chunks(list(group), _UIDS_PER_COMMAND):
                try:
                    if self._is_open(path, uidvalidity, writable=True):
                        self._apply(settlement, [_uid(ref) for ref in some])
                except CommandRefused as refusal:
                    errors |= dict.fromkeys(some, MessageError(str(refusal)))
        return [Settled(ref, errors.get(ref)) for ref in refs]

    def _apply(self, settlement: Settlement, uids: Sequence[int]) -> None:
        match settlement:
            case MarkRead():
                self._flag(uids, SEEN)
            case Delete():
                self._delete(uids)
            case Move(folder=path, create=create):
                self._move(uids, path, create=create)

    def _flag(self, uids: Sequence[int], flag: bytes) -> None:
        with self._connection.command("mark messages") as client:
            client.add_flags(uids, [flag], silent=True)

    def _move(self, uids: Sequence[int], path: str, *, create: bool) -> None:
        try:
            self._transfer(uids, self._folders.name(path))
        except CommandRefused:
            self._transfer(uids, self._folders.find_or_create(path, create=create))

    def _transfer(self, uids: Sequence[int], name: str) -> None:
        with self._connection.command("move messages") as client:
            if client.has_capability("MOVE"):
                client.move(uids, name)
                return
            rest = client.search(["UID", _set(uids), "UNDELETED"])  # the others were copied before
            if rest:
                client.copy(rest, name)
        self._delete(uids)

    def _delete(self, uids: Sequence[int]) -> None:
        """Without UIDPLUS, EXPUNGE takes every deleted message: it is left undone while others' are among them."""
        self._flag(uids, DELETED)
        with self._connection.command("delete messages") as client:
            if client.has_capability("UIDPLUS"):
                client.uid_expunge(uids)
            elif set(client.search(["DELETED"])) <= set(uids):
                client.expunge()

    def folders(self) -> Sequence[Folder]:
        return self._folders.list()

    def check(self) -> Iterator[CheckStage]:
        return _Check(self, self._mailbox, self._services.clock(), self._folders).run()

    def waiting_in(self, folder: OpenFolder) -> int:
        """How many messages the first poll of this mailbox would take in."""
        since = self._mailbox.start_from
        if since is None:
            return len(self._all(folder, None))
        certain = self._all(folder, since + timedelta(days=3))
        edge = [uid for uid in self._all(folder, since) if uid not in certain]
        return len(certain) + sum(len(self._listed(folder, some, since)) for some in chunks(edge, _UIDS_PER_COMMAND))

    def _all(self, folder: OpenFolder, since: datetime | None) -> set[int]:
        found: set[int] = set()
        reached = 0
        while reached < folder.uidnext - 1:
            uids, reached = self._search(reached + 1, folder.uidnext - 1, since, _WIDEST_SEARCH // 10)
            found.update(uids)
        return found

    def close(self) -> None:
        self._connection.close()


class _Check(FolderCheck):
    _connection: ImapConnection

    def __init__(self, source: ImapSource, mailbox: Mailbox, now: datetime, folders: Folders) -> None:
        super().__init__(mailbox, now)
        self._source, self._folders, self._connection = source, folders, folders.connection

    def sign_in(self) -> Finding:
        self._connection.sign_in()
        return Finding("The server accepts the account.")

    def mailbox(self) -> Finding:
        return Finding(f"The mailbox has {len(self._folders.list())} folders.")

    def _shown(self, path: str) -> str:
        return f"`{path}` has {self._open(path).message_count} messages"

    def _open(self, path: str) -> OpenFolder:
        return self._folders.open(path, writable=False)

    def _settled(self) -> Finding:
        settlement = self._mailbox.settlement
        folder = self._folders.open(self._paths[0], writable=True)
        with self._connection.command("tell its capabilities") as client:
            can_move, can_expunge = client.has_capability("MOVE"), client.has_capability("UIDPLUS")
        if isinstance(settlement, MarkRead):
            _require(folder, SEEN)
            return Finding("Messages can be marked as read.")
        detail = "Messages can be deleted."
        if isinstance(settlement, Move):
            detail = move_target(self._folders.find, self._paths, settlement)
            if can_move:
                return Finding(detail)
        _require(folder, DELETED)
        if can_expunge:
            return Finding(detail)
        advice = "The server lacks UIDPLUS: messages stay marked as deleted while others' deleted messages are there."
        return Finding(detail, advice, warning=True)

    def _waiting(self, path: str) -> int:
        return self._source.waiting_in(self._open(path))


def _require(folder: OpenFolder, flag: bytes) -> None:
    if folder.settable_flags is not None and flag.lower() not in folder.settable_flags:
        what = "mark messages as read" if flag == SEEN else "delete messages"
        raise AccessDenied(f"The account may not {what}.", advice="Grant the account the right, or settle otherwise.")


_Body = dict[bytes, Any] | MessageError


def _place(ref: MessageRef) -> tuple[str, int]:
    """The folder and its UIDVALIDITY: 0, which no server has, where another source made the ref."""
    uidvalidity = ref.id.partition(":")[0]
    return ref.folder, int(uidvalidity) if uidvalidity.isdecimal() else 0


def _uid(ref: MessageRef) -> int:
    uid = ref.id.partition(":")[2]
    return int(uid) if uid.isdecimal() else 0


def _set(uids: Iterable[int]) -> str:
    return ",".join(map(str, uids))


def _content(data: Mapping[bytes, Any]) -> bytes:
    """The bytes of a message or of its beginning; none where the server answers NIL."""
    content = data.get(b"BODY[]", data.get(b"BODY[]<0>"))
    return content if isinstance(content, bytes) else b""


def _arrival(data: Mapping[bytes, Any]) -> datetime | None:
    """When the message came into this mailbox, if the server says so in a way that makes sense."""
    moment = data.get(b"INTERNALDATE")
    try:
        return moment.astimezone(UTC) if moment else None
    except (ValueError, OverflowError):
        return None
