"""The stores of tickets, of raw messages, and of what takes both away again."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.application.ports.stores import Versioned
from shared.domain.errors import Conflict
from shared.domain.intake import MailboxState, PollRun, QuarantineEntry, RunFilter, RunSums
from shared.domain.outbox import EntryKind, OutboxEntry, SentTo
from shared.domain.ticket import Comment, RawPointer, Receipt, Ticket


@dataclass(frozen=True, slots=True)
class StoredRaw:
    """The bytes of a raw message, ready to be stored in a row along with what it causes."""

    pointer: RawPointer
    packed: bytes


@dataclass(frozen=True, slots=True)
class ChangedTicket:
    """A ticket as it was read and as it shall be."""

    before: Versioned[Ticket]
    after: Ticket


@dataclass(frozen=True, slots=True)
class ChangedEntry:
    """An outbox entry as it was read and as it shall be; None takes it away."""

    before: Versioned[OutboxEntry]
    after: OutboxEntry | None


@dataclass(frozen=True, slots=True)
class ChangedQuarantine:
    """A message in quarantine as it was read and as it shall be; None takes it out."""

    before: Versioned[QuarantineEntry]
    after: QuarantineEntry | None


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything that is stored at once or not at all: one entity group transaction.

    `state` replaces the row with `state_etag` (None: there is none yet); without it, no poll gives way. `new_tickets`,
    `receipts` and `outbox` must not exist yet; `changed_tickets` and `changed_outbox` replace the versions they were
    read as, as does `changed_quarantine`, and `sent_to` those that have an ETag; `incidents` name the newest ticket of
    each.
    """

    state: MailboxState | None = None
    state_etag: str | None = None
    receipts: Sequence[Receipt] = ()
    new_tickets: Sequence[Ticket] = ()
    changed_tickets: Sequence[ChangedTicket] = ()
    comments: Sequence[Comment] = ()
    raws: Sequence[StoredRaw] = ()
    outbox: Sequence[OutboxEntry] = ()
    quarantined: Sequence[QuarantineEntry] = ()
    run: PollRun | None = None
    incidents: Sequence[Receipt] = ()
    changed_outbox: Sequence[ChangedEntry] = ()
    sent_to: Sequence[tuple[SentTo, str | None]] = ()
    changed_quarantine: Sequence[ChangedQuarantine] = ()

    @property
    def operations(self) -> int:
        """How many changes it makes; a transaction may have 100. A ticket has its row and its place in a list."""
        tickets = 2 * (len(self.new_tickets) + len(self.changed_tickets))
        others = (self.receipts, self.incidents, self.comments, self.raws, self.outbox, self.quarantined)
        changed = (self.changed_outbox, self.sent_to, self.changed_quarantine)
        single = (self.state is not None) + 2 * (self.run is not None)
        return single + tickets + sum(map(len, (*others, *changed)))


class Fenced(Conflict):
    """Another worker has committed to this mailbox since its state was read: this one must stop."""

    def __init__(self) -> None:
        super().__init__("the mailbox is being polled; repeat the request")


class ReceiptExists(Conflict):
    """At least the message with this receipt key was taken in before."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key


class TicketChanged(Conflict):
    """At least this ticket was changed by somebody since it was read."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class OutboxChanged(Conflict):
    """Somebody else has expanded an event, taken an entry to send it, or counted what was sent to an address."""


class QuarantineChanged(Conflict):
    """Somebody has taken a message out of quarantine, or has corrected it, since it was read."""


class TicketStore(Protocol):
    """The tickets of a mailbox with everything that their messages cause; one partition a mailbox (ADR 1).

    Every method may raise `StoreUnavailable` and `StoreRejected`.
    """

    def state(self, mailbox_id: str) -> tuple[MailboxState, str | None]:
        """The state and its ETag; None as ETag where the mailbox has never been committed to."""

    def commit(self, mailbox_id: str, commit: Commit) -> str:
        """Store all of it at once and return the new ETag of the state; without one, of what was changed first.

        :raises Fenced, ReceiptExists, TicketChanged, OutboxChanged, QuarantineChanged: nothing was stored.
        """

    def receipts(self, mailbox_id: str, keys: Sequence[str]) -> Mapping[str, Receipt]:
        """Those of the receipts that exist, by key; point reads side by side."""

    def ticket(self, mailbox_id: str, number: int) -> Versioned[Ticket] | None: ...

    def tickets(self, mailbox_id: str, *, open_only: bool, limit: int, before: int | None) -> Sequence[Ticket]:
        """Tickets, newest first; those with a number below `before`, where that is given."""

    def comments(self, mailbox_id: str, number: int) -> Sequence[Comment]:
        """The log of a ticket, oldest first."""

    def outbox(self, mailbox_id: str) -> Sequence[OutboxEntry]:
        """What is owed."""

    def owed(
        self, mailbox_id: str, kind: EntryKind | None, limit: int, due_by: datetime | None = None
    ) -> Sequence[Versioned[OutboxEntry]]:
        """What is owed, of one kind or of any; with `due_by`, what is due then and has not failed."""

    def entry(self, mailbox_id: str, entry_id: str) -> Versioned[OutboxEntry] | None: ...

    def sent_to(self, mailbox_id: str, contact_id: str) -> Versioned[SentTo] | None:
        """What was sent to an address by itself."""

    def quarantine(self, mailbox_id: str) -> Sequence[QuarantineEntry]: ...

    def quarantined(self, mailbox_id: str, entry_id: str) -> Versioned[QuarantineEntry] | None: ...

    def runs(self, mailbox_id: str, limit: int, wanted: RunFilter | None = None) -> Sequence[PollRun]:
        """The runs that found mail or failed, newest first."""

    def sums(self, mailbox_id: str, since: datetime, until: datetime) -> Sequence[RunSums]:
        """What the runs come to in each hour that is at least in part of this time, oldest first."""


class RawStore(Protocol):
    """Raw messages by their SHA-256, wherever their size puts them."""

    def pack(self, mailbox_id: str, content: bytes) -> tuple[RawPointer, StoredRaw | None]:
        """Make the bytes ready for a commit; large ones are put in blob storage right away (idempotent)
        and need no row.
        """

    def keep(self, mailbox_id: str, content: bytes) -> RawPointer:
        """Put the bytes in blob storage, whatever their size (idempotent)."""

    def get(self, mailbox_id: str, pointer: RawPointer) -> bytes:
        """:raises NotFound: it is past its retention."""


class RetentionStore(Protocol):
    """Removes what a mailbox has brought in. What is broken off is gone on with by the next call; each says how many
    it has removed, of `limit` at most. Every method may raise `StoreUnavailable` and `StoreRejected`.
    """

    def remove_runs(self, mailbox_id: str, before: datetime, limit: int) -> int: ...

    def remove_quarantine(self, mailbox_id: str, before: datetime, limit: int) -> int: ...

    def remove_receipts(self, mailbox_id: str, before: datetime, spared: Collection[int], limit: int) -> int:
        """But those of the tickets with these numbers."""

    def closed(self, mailbox_id: str, before: datetime, limit: int) -> Sequence[Versioned[Ticket]]:
        """Closed tickets that were closed before."""

    def remove_ticket(self, mailbox_id: str, ticket: Versioned[Ticket]) -> bool:
        """With its comments; not where it was changed since it was read. Its raw messages stay."""

    def references(self, mailbox_id: str) -> Mapping[str, set[int]]:
        """The tickets that refer to each raw message, by SHA-256; 0 stands for quarantine."""

    def raws(self, mailbox_id: str, before: datetime) -> Iterator[RawPointer]:
        """The raw messages that were stored before."""

    def remove_raws(self, mailbox_id: str, pointers: Sequence[RawPointer]) -> int: ...

    def authors(self, mailbox_id: str) -> Iterator[tuple[int, str]]:
        """Who wrote each comment: the number of its ticket, and the address."""

    def rewrite(self, mailbox_id: str, comments: Sequence[Comment]) -> None:
        """Comments of one ticket in place of those with their `seq`."""

    def remove_sent_to(self, mailbox_id: str, contact_id: str) -> None: ...
