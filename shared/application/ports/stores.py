"""Stores of everything that belongs to no mailbox's tickets: configuration, contacts, the record of changes, schedules.

Every method of a store may raise `StoreUnavailable` and `StoreRejected`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from shared.domain.audit import AuditEntry, AuditFilter, AuditOutcome
from shared.domain.contact import Contact, ContactFilter
from shared.domain.fields import Document
from shared.domain.health import MailboxHealth, SenderState
from shared.domain.sign_in import SignInAttempt
from shared.domain.watch import Watches

T = TypeVar("T")
D = TypeVar("D", bound=Document)


@dataclass(frozen=True, slots=True)
class Versioned(Generic[T]):
    value: T
    etag: str


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
    """The contacts. An address has many spellings: whoever asks finds its contact by any of them."""

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

    def list(self, wanted: ContactFilter, limit: int, continuation: str | None) -> tuple[Sequence[Contact], str | None]:
        """At most `limit` contacts in an order of no meaning, and where the list goes on; None says that it does not.
        It may go on after fewer than `limit`, where much had to be looked through. :raises Invalid: the continuation is
        not one of ours.
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


class WatchStore(Protocol):
    """The watches of each mailbox, and the polls that notifications have asked for."""

    def all(self) -> Sequence[Watches]: ...

    def put(self, watches: Watches) -> None: ...

    def mark_due(self, mailbox_id: str, at: datetime) -> None:
        """Have them looked after from then on."""

    def delete(self, mailbox_id: str) -> None: ...

    def ask(self, mailbox_id: str, now: datetime, until: datetime) -> bool:
        """Whether the caller is to ask for a poll that begins at `until`; False while somebody else has asked."""


class SenderStates(Protocol):
    """How the senders are doing, and the receivers of webhooks."""

    def all(self) -> Sequence[SenderState]: ...

    def change(self, sender_id: str, changed: Callable[[SenderState], tuple[SenderState, T]]) -> T:
        """Replace the state by the first, and return the second; called again where somebody else was faster."""
