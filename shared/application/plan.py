"""What a batch of messages causes, worked out before anything is stored: a pure builder of one commit."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.application.ports import ChangedTicket, Commit, StoredRaw, Versioned
from shared.domain.decision import CommentOn, Match, OpenTicket, decide
from shared.domain.intake import MailboxState
from shared.domain.keys import fingerprint, id_key, message_key
from shared.domain.mailbox import Mailbox
from shared.domain.message import Address, InboundMessage, MessageRef, RawMessage
from shared.domain.threading import referred_ids, subject_tags
from shared.domain.ticket import (
    MAX_PARTICIPANTS,
    Comment,
    CommentKind,
    Outcome,
    RawPointer,
    Receipt,
    Status,
    Ticket,
)

_NOBODY = Address("", "unknown sender")


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that is ready to be taken in: its bytes, what they say, and how it is recognised."""

    raw: RawMessage
    message: InboundMessage
    key: str
    fingerprint: str


def arrived(raw: RawMessage, message: InboundMessage) -> Arrived:
    return Arrived(raw, message, message_key(message, raw.content), fingerprint(message))


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one message; `reason` tells why it was ignored."""

    ref: MessageRef
    outcome: Outcome
    reason: str = ""

    @property
    def is_stored(self) -> bool:
        """Whether its ticket is stored, so that the message may be settled (req D7)."""
        return self.outcome in (Outcome.CREATED, Outcome.APPENDED, Outcome.DUPLICATE)


@dataclass(frozen=True, slots=True)
class Found:
    """The stored ticket that a message speaks of, and what led there: the Message-ID, or None for the tag."""

    ticket: Versioned[Ticket]
    by_id: str | None


Pack = Callable[[bytes], tuple[RawPointer, StoredRaw | None]]


@dataclass
class Plan:
    """One batch on its way to a commit. Later messages see the tickets that earlier ones of the batch make."""

    mailbox: Mailbox
    state: MailboxState
    now: datetime
    pack: Pack
    taken: list[Taken] = field(default_factory=list)
    _receipts: dict[str, Receipt] = field(default_factory=dict)
    _new: dict[int, Ticket] = field(default_factory=dict)
    _before: dict[int, Versioned[Ticket]] = field(default_factory=dict)
    _after: dict[int, Ticket] = field(default_factory=dict)
    _comments: list[Comment] = field(default_factory=list)
    _raws: dict[str, StoredRaw] = field(default_factory=dict)

    def add(self, item: Arrived, found: Found | None) -> None:
        """Decide about one message and note all that follows from it."""
        match decide(item.message, self._match(item.message, found)):
            case OpenTicket(linked_to):
                ticket = self._open(item, linked_to)
                outcome = Outcome.CREATED
            case CommentOn(number):
                ticket = self._ticket(number)
                outcome = Outcome.APPENDED
        self._put(self._commented(ticket, item))
        self._receipts[item.key] = Receipt(item.key, item.fingerprint, outcome, self.now, ticket.number)
        self.taken.append(Taken(item.raw.ref, outcome))

    def commit(self, etag: str | None) -> Commit:
        return Commit(
            state=self.state,
            state_etag=etag,
            receipts=[*self._receipts.values()],
            new_tickets=[*self._new.values()],
            changed_tickets=[ChangedTicket(self._before[number], after) for number, after in self._after.items()],
            comments=self._comments,
            raws=[*self._raws.values()],
        )

    def _match(self, message: InboundMessage, found: Found | None) -> Match | None:
        """The newest id wins, whether it was stored before or comes earlier in this batch; then the tag."""
        for message_id in referred_ids(message):
            if found and message_id == found.by_id:
                break
            if receipt := self._receipts.get(id_key(message_id)):
                assert receipt.ticket_number is not None
                return Match(self._ticket(receipt.ticket_number), by_tag=False)
        if found:
            number = found.ticket.value.number
            self._before.setdefault(number, found.ticket)
            return Match(self._ticket(number), by_tag=found.by_id is None)
        for tag in subject_tags(message.subject):
            if tag.prefix == self.mailbox.ticket_prefix and tag.number in self._new:
                return Match(self._new[tag.number], by_tag=True)
        return None

    def _ticket(self, number: int) -> Ticket:
        return self._new.get(number) or self._after.get(number) or self._before[number].value

    def _put(self, ticket: Ticket) -> None:
        (self._new if ticket.number in self._new else self._after)[ticket.number] = ticket

    def _open(self, item: Arrived, linked_to: int | None) -> Ticket:
        ticket = Ticket(
            mailbox_id=self.mailbox.id,
            number=self.state.next_number,
            prefix=self.mailbox.ticket_prefix,
            subject=item.message.subject,
            requester=item.message.sender or _NOBODY,
            status=Status.NEW,
            created_at=self.now,
            updated_at=self.now,
            comment_count=0,
            linked_to=linked_to,
        )
        self.state = replace(self.state, next_number=ticket.number + 1)
        self._new[ticket.number] = ticket
        return ticket

    def _commented(self, ticket: Ticket, item: Arrived) -> Ticket:
        """The ticket with the message as its newest comment."""
        message = item.message
        pointer, row = self.pack(item.raw.content)
        if row:
            self._raws[pointer.sha256] = row
        comment = Comment(
            ticket_number=ticket.number,
            seq=ticket.comment_count + 1,
            kind=CommentKind.PUBLIC,
            author=message.sender or _NOBODY,
            at=item.raw.received_at or message.sent_at or self.now,
            text=message.text,
            message_id=message.message_id,
            raw=pointer,
            attachments=() if item.raw.is_cut else message.attachments,
            notes=_notes(item.raw),
        )
        self._comments.append(comment)
        return replace(
            ticket,
            comment_count=comment.seq,
            updated_at=self.now,
            participants=self._participants(ticket, message),
        )

    def _participants(self, ticket: Ticket, message: InboundMessage) -> frozenset[str]:
        """Everybody who wrote or received a message of the ticket, but never the mailbox itself."""
        senders = (message.sender,) if message.sender else ()
        new = [each.key for each in (*senders, *message.reply_to, *message.to, *message.cc) if each.address]
        own = self.mailbox.address.casefold()
        known = ticket.participants | {key for key in new[:MAX_PARTICIPANTS] if key != own}
        return known if len(known) <= MAX_PARTICIPANTS else ticket.participants


def _notes(raw: RawMessage) -> tuple[str, ...]:
    if not raw.is_cut:
        return ()
    return (
        f"{raw.full_size} bytes are more than this mailbox takes in: only the beginning, without attachments, is kept.",
    )
