"""POP3: any server that has unique ids for messages (req C3). There is one folder, and nothing can be marked."""

import hashlib
from base64 import b64encode
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from shared.adapters.checks import Check, Finding
from shared.adapters.net import Timeouts
from shared.adapters.refusals import CommandRefused
from shared.adapters.services import SourceServices
from shared.adapters.sources.fetching import CUT_BYTES, SLOWEST_BYTES_PER_SECOND, raw_message
from shared.adapters.sources.folder_listing import Position
from shared.adapters.sources.pop3_wire import Pop3Connection
from shared.application.ports.connections import CheckStage, FetchFailure, Folder, Page
from shared.domain.errors import (
    MessageError,
    MessageGone,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
    Throttled,
)
from shared.domain.mailbox import Mailbox
from shared.domain.message import Cursor, Listed, MessageRef, RawMessage
from shared.domain.providers import retirement
from shared.domain.settlement import Delete, Move, Settled, Settlement
from shared.mime.dates import moment
from shared.mime.headers import read_fields

_FOLDER = "INBOX"
_CUT_LINES = CUT_BYTES // 80
_MARK_CHARACTERS = 8
_MAX_MARKS = 3500
_MAX_DATED = 500
"""Of so many messages at most is asked when they came: only what came since the mailbox was saved is of interest."""


@dataclass(frozen=True, slots=True)
class _Known(Position):
    """Which messages are listed already, by 48 bits of the hash of their unique ids, as many of
    the latest as a table's property has room for. Of those before them only the number is kept: they are known by
    their place, because servers add new messages at the end.
    """

    marks: str = ""
    before: int = 0

    @classmethod
    def all(cls, marks: Sequence[str], before: int = 0) -> "_Known":
        dropped = max(0, len(marks) - _MAX_MARKS)
        return cls("".join(marks[dropped:]), before + dropped)

    def place(self, marks: Sequence[str]) -> tuple[int, set[str]]:
        """How many of the messages are known by their place, and the marks of the others that are known.

        :raises SourceMisconfigured: new messages come before known ones, so that the place tells nothing.
        """
        step = _MARK_CHARACTERS
        known = {self.marks[start : start + step] for start in range(0, len(self.marks), step)}
        if not self.before:
            return 0, known
        place = next((index for index, mark in enumerate(marks) if mark in known), 0)
        if place > self.before:
            advice = "Have messages deleted after they are taken in, or the server list the oldest messages first."
            raise SourceMisconfigured("The mailbox is too full to tell which of its messages are new.", advice=advice)
        return place, known


class Pop3Source:
    """Reads a POP3 mailbox. It is locked for others while it is read, and deletes when a session ends."""

    def __init__(self, mailbox: Mailbox, services: SourceServices, timeouts: Timeouts | None = None) -> None:
        self._mailbox = mailbox
        self._max_bytes = mailbox.intake.max_message_bytes
        self._connection = Pop3Connection(mailbox, services, timeouts or Timeouts())
        self._services = services

    def changes(self, cursor: Cursor | None, limit: int) -> Page:
        """POP3 tells no dates: what is past at the first listing, the headers of messages must tell."""
        self._connection.close()  # a session does not see what arrives after it began
        uidls = list(self._connection.numbers())
        marks = [_mark(uidl) for uidl in uidls]
        known = _Known.all(marks[: self.past()]) if cursor is None else _Known.of(cursor)
        place, before = known.place(marks)
        fresh = [index for index in range(place, len(marks)) if marks[index] not in before]
        taken = before | {marks[index] for index in fresh[:limit]}
        following = _Known.all([mark for mark in marks[place:] if mark in taken], place)
        return Page(self._listed([uidls[index] for index in fresh[:limit]]), following.cursor(), len(fresh) > limit)

    def past(self) -> int:
        """How many messages came before `start_from`: all but the last ones of which the server itself says that they
        came later.
        """
        start, numbers = self._mailbox.start_from, [*self._connection.numbers().values()]
        if start is None:
            return 0
        past = len(numbers)
        with suppress(CommandRefused):
            while past > max(0, len(numbers) - _MAX_DATED) and self._came_after(start, numbers[past - 1]):
                past -= 1
        return past

    def _came_after(self, start: datetime, number: int) -> bool:
        with self._connection.command("tell when a message came") as wire:
            if not wire.takes("TOP"):
                return False
            header, is_whole = wire.download(f"TOP {number} 0", CUT_BYTES)
        if not is_whole:
            self._connection.drop()
        at = _arrived_at(header)
        return at is not None and at >= start

    def _listed(self, uidls: Collection[str]) -> tuple[Listed, ...]:
        if not uidls:
            return ()
        numbers = self._connection.numbers()
        with self._connection.command("tell sizes") as wire:
            sizes = {number: int(size) for number, size in wire.table("LIST")}
        return tuple(Listed(MessageRef(_FOLDER, uidl), sizes.get(numbers[uidl])) for uidl in uidls)

    def fetch(self, messages: Sequence[Listed]) -> Iterator[RawMessage | FetchFailure]:
        """A message on which the connection breaks fails alone, but another one only after others were handed over: a
        server that breaks on everything shall not fail them all.
        """
        has_blamed = False
        for message in messages:
            self._connection.numbers()
            try:
                fetched = self._fetched(message)
            except CommandRefused as refusal:
                fetched = self._refused(message.ref, refusal)
            except (SourceUnavailable, SourceMisbehaved) as error:
                if has_blamed or isinstance(error, Throttled):
                    raise
                has_blamed = True
                fetched = FetchFailure(message.ref, MessageError("The server does not hand over this message."))
            else:
                has_blamed = False
            yield fetched

    def _refused(self, ref: MessageRef, refusal: CommandRefused) -> FetchFailure:
        """A session still lists what somebody else has deleted; a new one does not."""
        self._connection.close()
        is_there = ref.id in self._connection.numbers()
        return FetchFailure(ref, MessageError(str(refusal)) if is_there else _gone())

    def _fetched(self, message: Listed) -> RawMessage | FetchFailure:
        number = self._connection.numbers().get(message.ref.id)
        if number is None or message.ref.folder != _FOLDER:
            return FetchFailure(message.ref, _gone())
        size = message.size or self._size(number)
        is_cut = size > self._max_bytes
        wanted = CUT_BYTES if is_cut else 2 * self._max_bytes
        with self._connection.command("hand over a message", min(size, wanted) / SLOWEST_BYTES_PER_SECOND) as wire:
            can_cut = is_cut and "TOP" in wire.capabilities
            content, is_whole = wire.download(f"TOP {number} {_CUT_LINES}" if can_cut else f"RETR {number}", wanted)
        if not is_whole:
            self._connection.drop()
        known = max(size, len(content) + 1) if is_cut or not is_whole else 0
        return raw_message(message.ref, content, None, self._max_bytes, known)

    def _size(self, number: int) -> int:
        with self._connection.command("tell sizes") as wire:
            return int(wire.request(f"LIST {number}").split()[2])

    def settle(self, refs: Sequence[MessageRef], settlement: Settlement) -> Sequence[Settled]:
        """Messages are deleted when the session ends, which therefore is part of it; whatever else is asked for but
        moving, they stay on the server, and are known by their unique ids.
        """
        if isinstance(settlement, Move):
            raise SourceMisconfigured("POP3 cannot move messages.", advice="Leave them on the server, or delete them.")
        errors = self._delete(refs) if isinstance(settlement, Delete) else {}
        return [Settled(ref, errors.get(ref)) for ref in refs]

    def _delete(self, refs: Sequence[MessageRef]) -> dict[MessageRef, MessageError]:
        numbers = self._connection.numbers()
        there = [ref for ref in refs if ref.id in numbers]
        errors: dict[MessageRef, MessageError] = {}
        for ref in there:
            try:
                with self._connection.command("delete messages") as wire:
                    wire.request(f"DELE {numbers[ref.id]}")
            except CommandRefused as refusal:
                errors[ref] = MessageError(str(refusal))
        try:
            self._connection.quit()
        except CommandRefused as refusal:
            return dict.fromkeys(there, MessageError(str(refusal)))
        rest = self._connection.numbers() if errors else {}
        return {ref: error for ref, error in errors.items() if ref.id in rest}  # the others are gone

    def folders(self) -> Sequence[Folder]:
        self._connection.numbers()
        return [Folder(_FOLDER, "inbox")]

    def check(self) -> Iterator[CheckStage]:
        return _Check(self, self._mailbox, self._services.clock(), self._connection).run()

    def close(self) -> None:
        self._connection.close()


def _gone() -> MessageGone:
    return MessageGone("The message is not in the mailbox any more.")


def _arrived_at(header: bytes) -> datetime | None:
    """As the last server puts down in front of all others (RFC 5321 section 4.4)."""
    fields, _ = read_fields(header, 0, len(header), [])
    return moment(fields.first("received").rpartition(";")[2].strip())


def _mark(uidl: str) -> str:
    return b64encode(hashlib.sha256(uidl.encode()).digest()[:6]).decode()


class _Check(Check):
    stages = ("name", "port", "tls", "sign_in", "mailbox", "settlement", "waiting")
    _connection: Pop3Connection

    def __init__(self, source: Pop3Source, mailbox: Mailbox, now: datetime, connection: Pop3Connection) -> None:
        super().__init__(now, retirement(mailbox.source))
        self._source, self._mailbox, self._connection = source, mailbox, connection

    def sign_in(self) -> Finding:
        self._connection.sign_in()
        return Finding("The server accepts the sign-in.")

    def mailbox(self) -> Finding:
        return Finding(f"The mailbox has {len(self._connection.numbers())} messages.")

    def settlement(self) -> Finding:
        match self._mailbox.settlement:
            case Delete():
                return Finding("Messages are deleted from the server.")
            case Move():
                advice = "Leave messages on the server, or delete them."
                raise SourceMisconfigured("POP3 cannot move messages.", advice=advice)
            case _:
                return Finding("Messages stay on the server, where POP3 cannot mark them.")

    def waiting(self) -> Finding:
        past = self._source.past()
        others = f"; {past} that came before count as the past" if past else ""
        return Finding(f"A first poll would take in {len(self._connection.numbers()) - past} messages{others}.")
