"""What the use cases need from the outside, as protocols; adapters implement them.

The words: a *mailbox* is a configured inbound connection. A *source* reads one mailbox at its provider and
knows nothing of tickets. A *ref* is the provider's handle of one message; a *cursor* is where listing
resumes, opaque to everybody but the source. *Settlement* is what is done to a message in its mailbox
afterwards. A *receipt* says that a message was taken in.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from shared.domain.audit import AuditEntry, AuditFilter, AuditOutcome
from shared.domain.contact import Contact, ContactFilter
from shared.domain.document import Document
from shared.domain.errors import Conflict, MessageError
from shared.domain.intake import MailboxHealth, MailboxState, PollRun, QuarantineEntry, RunFilter, RunSums
from shared.domain.message import Cursor, Listed, MessageRef, RawMessage
from shared.domain.outbox import EntryKind, OutboxEntry, SentTo
from shared.domain.outgoing import OutgoingMail, SendResult
from shared.domain.sender_state import SenderState
from shared.domain.settlement import Settled, Settlement
from shared.domain.sign_in import NewSignIn, SignInAttempt
from shared.domain.ticket import Comment, RawPointer, Receipt, Ticket
from shared.domain.watch import Watch, Watches


class Clock(Protocol):
    def __call__(self) -> datetime:
        """Now, in UTC."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing, oldest first. `cursor` resumes after it; `more` tells that something is waiting there."""

    messages: tuple[Listed, ...]
    cursor: Cursor
    more: bool


@dataclass(frozen=True, slots=True)
class FetchFailure:
    """A message that could not be had; `MessageGone` where it is not in the folder any more.

    `content` is None where its bytes could not be fetched.
    """

    ref: MessageRef
    error: MessageError
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder by its full path with `/` between the segments. `role` is its special use, such as `sent`."""

    path: str
    role: str | None = None


@dataclass(frozen=True, slots=True)
class CheckStage:
    """One stage of a connection test: what was tried, how long it took, how it ended and what to do about it."""

    name: str
    ok: bool
    milliseconds: int
    detail: str = ""
    code: str | None = None
    advice: str = ""
    warning: bool = False


class Source(Protocol):
    """Reads one mailbox. Not thread-safe; connects on first use.

    Every method may raise `MailboxError` or `SourceError`; adapters translate foreign exceptions at one seam.
    """

    def changes(self, cursor: Cursor | None, limit: int) -> Page:
        """List at most about `limit` messages after the cursor, oldest first; None starts from the mailbox's
        `start_from`. A message may be listed again; none that arrives is left out.

        :raises CursorExpired: the cursor is of no use any more; start over with None.
        """

    def fetch(self, messages: Sequence[Listed]) -> Iterator[RawMessage | FetchFailure]:
        """The bytes of each message, in order; never marks as read. Messages over the mailbox's size limit are cut
        to their beginning, without downloading the rest. Memory stays bounded however many are asked for.
        """

    def settle(self, refs: Sequence[MessageRef], settlement: Settlement) -> Sequence[Settled]:
        """Settle each message. Idempotent: what is gone or settled already counts as settled."""

    def folders(self) -> Sequence[Folder]:
        """All folders that can be read from or moved to."""

    def check(self) -> Iterator[CheckStage]:
        """Test the connection stage by stage, from the name to the messages waiting; changes nothing in the mailbox.
        Ends after the first stage that failed; never raises.
        """

    def close(self) -> None:
        """Give back connections; the source is not used afterwards."""


class SenderConnection(Protocol):
    """Sends through one configured sender. Not thread-safe; connects on first use and stays connected.

    Every method may raise `MailboxError` (the sender does not work until somebody changes something) or `SourceError`
    (waiting helps). Either means that nothing was sent.
    """

    def send(self, mail: OutgoingMail) -> SendResult:
        """Hand the message over, once. Recipients who are refused keep it from nobody else, where the provider has
        recipients beside the message.

        :raises MessageRefused: nothing was sent, and the same message will not be taken later either.
        :raises OutcomeUnknown: it was sent or not: ask `find_sent` before sending it again.
        """

    def find_sent(self, message_id: str) -> bool | None:
        """Whether a message with this Message-ID was sent; None where the provider does not tell."""

    def check(self, confirm_to: str | None = None) -> Iterator[CheckStage]:
        """Test the sender stage by stage, from the name to its right to send. Sends nothing unless `confirm_to` is
        an address, who then gets a message. Ends after the first stage that failed; never raises.
        """

    def close(self) -> None:
        """Give back connections; it is not used afterwards."""


class SecretStore(Protocol):
    def get(self, name: str) -> str:
        """The value of a secret, at most five minutes old.

        :raises SecretMissing: there is no such secret, or it is disabled.
        :raises StoreUnavailable: the vault does not answer.
        """

    def put(self, name: str, value: str, expires_at: datetime | None = None) -> None:
        """Store a new version of a secret, which is the one that counts from then on.

        :raises SecretsReadOnly: the deployment does not allow it.
        :raises Conflict: a deleted secret keeps the name.
        :raises StoreUnavailable: the vault does not answer.
        """

    def expires_at(self, name: str) -> datetime | None:
        """When the secret, as it was last read, expires; None where it does not, or was not read."""

    def forget(self, name: str) -> None:
        """Read it afresh next time: the provider has rejected what we had."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Versioned(Generic[T]):
    value: T
    etag: str


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


D = TypeVar("D", bound=Document)


class DocumentStore(Protocol[D]):
    """The configuration of one kind. Reads for running may be some seconds old; reads for editing are not."""

    def cached(self) -> Sequence[D]: ...

    def all(self) -> Sequence[Versioned[D]]: ...

    def get(self, document_id: str) -> Versioned[D] | None: ...

    def add(self, document: D) -> str:
        """Store a new one and return its ETag. :raises Conflict: the id is taken."""

    def replace(self, document: D, etag: str) -> str:
        """:raises Conflict: it is not the version with that ETag any more."""

    def delete(self, document_id: str, etag: str) -> None:
        """:raises Conflict: it is not the version with that ETag any more."""


class ContactStore(Protocol):
    """The contacts. An address has many spellings: whoever asks finds its contact by any of them.

    Every method may raise `StoreUnavailable` and `StoreRejected`.
    """

    def get(self, keys: Sequence[str]) -> Mapping[str, Contact]:
        """Those of the addresses that have a contact, by the spelling asked for: point reads side by side, some minutes
        old at most. Reads nothing for each while there are no contacts at all.
        """

    def technicians(self) -> Sequence[Contact]:
        """All of them, some seconds old at most."""

    def any(self) -> bool:
        """Whether there are contacts at all, as it was some seconds ago."""

    def read(self, keys: Sequence[str]) -> Mapping[str, Versioned[Contact]]:
        """As `get`, as they are now, for editing."""

    def list(self, wanted: ContactFilter, limit: int, after: str | None) -> tuple[Sequence[Contact], str | None]:
        """At most `limit` contacts in an order of no meaning, and where the list goes on; None says that it does not.
        It may go on after fewer than `limit`, where much had to be looked through.
        """

    def put(self, contact: Contact, etag: str | None) -> str:
        """Store the contact in place of the version with that ETag (None: there is none yet); returns the new ETag.

        :raises Conflict: nothing was stored that counts.
        """

    def put_many(self, contacts: Sequence[Contact]) -> None:
        """Store all of them, whatever is there; repeating it completes what was broken off."""

    def delete(self, key: str, etag: str) -> None:
        """:raises Conflict: it is not the version with that ETag any more."""


class AuditStore(Protocol):
    """The record of changes. Nothing takes an entry away."""

    def add(self, entry: AuditEntry) -> None: ...

    def settle(self, entry: AuditEntry, outcome: AuditOutcome) -> None:
        """Say what became of the change."""

    def list(
        self, wanted: AuditFilter, limit: int, continuation: str | None
    ) -> tuple[Sequence[AuditEntry], str | None]:
        """At most `limit` entries, newest first, and where the list goes on; None says that it does not. It may go on
        after fewer than `limit`. :raises Invalid: the continuation is not one of ours.
        """


class SignInStore(Protocol):
    """The sign-ins of the last day that people have begun."""

    def add(self, attempt: SignInAttempt) -> None: ...

    def get(self, attempt_id: str) -> Versioned[SignInAttempt] | None: ...

    def replace(self, attempt: SignInAttempt, etag: str) -> str:
        """:raises Conflict: it is not the version with that ETag any more."""


class SignInService(Protocol):
    """Talks to whoever lets people sign in."""

    def url(self, asked: NewSignIn, state: str, challenge: str) -> str:
        """Where the browser goes; it comes back with the state. `challenge` is that of PKCE, S256."""

    def finish(self, asked: NewSignIn, answer: Mapping[str, str], verifier: str) -> str:
        """Store the refresh token that the browser's answer is good for, and tell whose it is, where that is told.

        :raises AppError: there is none.
        """


class ScheduleStore(Protocol):
    """When each mailbox is due and how it has been doing: one small row each, in one partition."""

    def all(self) -> Sequence[MailboxHealth]: ...

    def get(self, mailbox_id: str) -> MailboxHealth | None: ...

    def put(self, health: MailboxHealth) -> None: ...

    def postpone(self, due: Mapping[str, datetime]) -> None:
        """Set the next due time of many mailboxes, a hundred in one transaction."""

    def begin(self, mailbox_ids: Sequence[str], at: datetime) -> None:
        """Have them polled from then on, whatever their back-off was; before that they were not watched."""

    def mark_quarantined(self, mailbox_id: str, at: datetime | None) -> None:
        """None: its quarantine is empty."""

    def mark_alerted(self, mailbox_id: str, at: datetime, *, is_alerted: bool) -> None:
        """People were told that the mailbox is broken, or that it works."""

    def delete(self, mailbox_id: str) -> None: ...


class Watcher(Protocol):
    """Has the provider of one mailbox notify us of new mail. Not thread-safe; may raise as a `Source` does."""

    def watch(self, folder: str, client_state: str, until: datetime) -> Watch:
        """Notifications bear the client state; the provider says how long it does so."""

    def renew(self, watch: Watch, until: datetime) -> Watch | None:
        """None: there is no such watch any more."""

    def unwatch(self, watch: Watch) -> None:
        """Idempotent."""

    def close(self) -> None: ...


class WatchStore(Protocol):
    """The watches of each mailbox, and the polls that notifications have asked for."""

    def all(self) -> Sequence[Watches]: ...

    def put(self, watches: Watches) -> None: ...

    def mark_due(self, mailbox_id: str, at: datetime) -> None:
        """Have them looked after from then on."""

    def delete(self, mailbox_id: str) -> None: ...

    def ask(self, mailbox_id: str, now: datetime, until: datetime) -> bool:
        """Whether the caller is to ask for a poll that begins at `until`; False while somebody else has asked."""


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """What a receiver answered: the HTTP status, and how long it asks to wait, where it does."""

    status: int
    retry_after: timedelta | None


class WebhookPoster(Protocol):
    """Posts to addresses that people name; follows no redirects.

    Both methods may raise `MailboxError` (`TargetRefused`: the host must not be reached from here) or `SourceError`.
    """

    def check(self, url: str) -> None:
        """Find the host; ask it nothing."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer: ...


class SenderStates(Protocol):
    """How the senders are doing, and the receivers of webhooks."""

    def all(self) -> Sequence[SenderState]: ...

    def change(self, sender_id: str, changed: Callable[[SenderState], tuple[SenderState, T]]) -> T:
        """Replace the state by the first, and return the second; called again where somebody else was faster."""


class PollQueue(Protocol):
    def put(self, request: "PollRequest", delay: timedelta = timedelta()) -> None:
        """To be handled after the delay, which counts in whole seconds."""


@dataclass(frozen=True, slots=True)
class PollRequest:
    """What travels on the `polls` queue. `reason` is `schedule`, `demand`, `push` or `more`.

    `failures` is how many polls in a row have failed so far, so that the one that recovers can say so. With the id of
    an import, the next part of that is due, and not a poll.
    """

    mailbox_id: str
    reason: str
    correlation_id: str
    failures: int = 0
    import_id: str | None = None


class DeliveryQueue(Protocol):
    def put(self, request: "DeliveryRequest", delay: timedelta = timedelta()) -> None:
        """To be handled after the delay, of at most seven days."""


@dataclass(frozen=True, slots=True)
class DeliveryRequest:
    """What travels on the `deliveries` queue: one outbox entry of a mailbox; without an id, all of its events and what
    they come to.
    """

    mailbox_id: str
    entry_id: str | None = None
