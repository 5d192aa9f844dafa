"""A mailbox in memory that behaves like a provider: a real source for tests of polling, with faults to switch on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.application.ports.connections import CheckStage, FetchFailure, Folder, Page
from shared.domain.errors import AppError, CursorExpired, MessageError, MessageGone, SourceUnavailable
from shared.domain.message import Cursor, Listed, MessageRef, RawMessage
from shared.domain.settlement import Move, Settled, Settlement

ARRIVED = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@dataclass
class MemoryMailbox:
    """What the provider holds. `arrivals` are when messages came, where it tells that. `unfetchable` ids fail when
    fetched, `unsettleable` ones when settled; the connection breaks on `breaking` ones.
    """

    messages: dict[int, bytes] = field(default_factory=dict)
    settled: dict[int, str] = field(default_factory=dict)
    moved: dict[int, str] = field(default_factory=dict)
    unfetchable: set[int] = field(default_factory=set)
    breaking: set[int] = field(default_factory=set)
    unsettleable: set[int] = field(default_factory=set)
    down: AppError | None = None
    forgets_cursors: bool = False
    repeats: bool = False
    arrivals: dict[int, datetime] = field(default_factory=dict)
    tells_dates: bool = True
    fetched: int = 0
    before_fetch: Callable[[], None] = lambda: None

    def deliver(self, *contents: bytes) -> None:
        for content in contents:
            self.messages[len(self.messages) + 1] = content

    def open(self, mailbox, secrets=None) -> "MemorySource":
        return MemorySource(self, mailbox.start_from)


@dataclass
class MemorySource:
    mailbox: MemoryMailbox
    start_from: datetime | None = None

    def changes(self, cursor: Cursor | None, limit: int) -> Page:
        if self.mailbox.down:
            raise self.mailbox.down
        if cursor and self.mailbox.forgets_cursors:
            self.mailbox.forgets_cursors = False
            raise CursorExpired
        arrivals, start_from = self.mailbox.arrivals, self.start_from or datetime.min.replace(tzinfo=UTC)
        present = [uid for uid in self.mailbox.messages if arrivals.get(uid, start_from) >= start_from]
        waiting = [uid for uid in present if uid > int(cursor or 0)]
        listed = tuple(Listed(_ref(uid), len(self.mailbox.messages[uid]), arrivals.get(uid)) for uid in waiting[:limit])
        last = max(waiting[:limit], default=int(cursor or 0))
        listed *= 1 + self.mailbox.repeats
        return Page(listed, Cursor(str(last)), more=len(waiting) > limit)

    def fetch(self, messages: Sequence[Listed]) -> Iterator[RawMessage | FetchFailure]:
        for listed in messages:
            uid = int(listed.ref.id)
            self.mailbox.fetched += 1
            self.mailbox.before_fetch()
            if uid in self.mailbox.breaking:
                raise SourceUnavailable
            if uid in self.mailbox.unfetchable:
                yield FetchFailure(listed.ref, MessageError("the server fails on it"))
            elif uid not in self.mailbox.messages:
                yield FetchFailure(listed.ref, MessageGone())
            else:
                content = self.mailbox.messages[uid]
                received_at = self.mailbox.arrivals.get(uid, ARRIVED) if self.mailbox.tells_dates else None
                yield RawMessage(listed.ref, content, received_at, len(content))

    def settle(self, refs: Sequence[MessageRef], settlement: Settlement) -> Sequence[Settled]:
        return [self._settle(ref, settlement) for ref in refs]

    def _settle(self, ref: MessageRef, settlement: Settlement) -> Settled:
        if int(ref.id) in self.mailbox.unsettleable:
            return Settled(ref, MessageError("it is locked"))
        if isinstance(settlement, Move):
            self.mailbox.moved[int(ref.id)] = settlement.folder
        self.mailbox.settled[int(ref.id)] = settlement.action
        return Settled(ref)

    def folders(self) -> Sequence[Folder]:
        return [Folder("INBOX")]

    def check(self) -> Iterator[CheckStage]:
        yield CheckStage("name", ok=True, milliseconds=0)

    def close(self) -> None: ...


def _ref(uid: int) -> MessageRef:
    return MessageRef("INBOX", str(uid))
