"""What a batch of messages causes, worked out before anything is stored: a pure builder of one commit."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import thread_time

from shared.application.arrivals import Arrived, Taken
from shared.application.finding import Found
from shared.application.intake_events import IntakeEvents
from shared.application.ports.stores import Versioned
from shared.application.ports.tickets import ChangedTicket, Commit, StoredRaw
from shared.domain.decision import By, CommentOn, Facts, Ignore, Match, OpenTicket, Verdict, decide
from shared.domain.draft import Draft
from shared.domain.intake import MailboxState
from shared.domain.kinds import REPORTS
from shared.domain.mailbox import Mailbox
from shared.domain.message import Address, InboundMessage, RawMessage
from shared.domain.outbox import OutboxEntry
from shared.domain.patterns import Effort
from shared.domain.people import Insiders
from shared.domain.preprocessing import preprocess
from shared.domain.recognition import id_key, incident_key, referred_ids, subject_tags
from shared.domain.ticket import (
    MAX_LINKS,
    MAX_PARTICIPANTS,
    Comment,
    CommentKind,
    Outcome,
    RawPointer,
    Receipt,
    Status,
    Ticket,
)
from shared.mime import new_text

_NOBODY = Address("", "unknown sender")


Pack = Callable[[bytes], tuple[RawPointer, StoredRaw | None]]


@dataclass
class Plan:
    """One batch on its way to a commit. Later messages see the tickets that earlier ones of the batch make."""

    mailbox: Mailbox
    state: MailboxState
    now: datetime
    pack: Pack
    insiders: Insiders
    events: IntakeEvents | None = None
    has_original_dates: bool = False
    taken: list[Taken] = field(default_factory=list)
    _receipts: dict[str, Receipt] = field(default_factory=dict)
    _incidents: dict[str, Receipt] = field(default_factory=dict)
    _new: dict[int, Ticket] = field(default_factory=dict)
    _before: dict[int, Versioned[Ticket]] = field(default_factory=dict)
    _after: dict[int, Ticket] = field(default_factory=dict)
    _comments: list[Comment] = field(default_factory=list)
    _raws: dict[str, StoredRaw] = field(default_factory=dict)
    _outbox: list[OutboxEntry] = field(default_factory=list)

    def decide(self, facts: Facts, found: Found | None) -> Verdict:
        """What to do with a message, now that those before it in the batch are known."""
        match, elsewhere = self._match(facts, found)
        return decide(replace(facts, match=match, elsewhere=elsewhere))

    def add(self, item: Arrived, decision: OpenTicket | CommentOn | Ignore, facts: Facts) -> None:
        """Note all that follows from the decision."""
        match decision:
            case OpenTicket(draft, linked_to):
                language = self.events.language(facts) if self.events else ""
                ticket = self._open(draft, linked_to, language, self._dated(item))
                ticket = self._commented(ticket, item, CommentKind.PUBLIC, draft.text)
                number = ticket.number
                if linked_to:
                    self._link_back(linked_to, number)
                self._note(item, Outcome.CREATED, ticket_number=number)
                if self.events:
                    self._outbox.append(self.events.created(ticket, draft, facts, self.now))
                if draft.external_id:
                    key = incident_key(draft.external_id)
                    self._incidents[key] = Receipt(key, "", None, self.now, number)
            case CommentOn(number, kind, status):
                before = self._ticket(number)
                new = new_text(item.raw.content) or item.message.text
                text, _ = preprocess(self.mailbox.preprocessing, new, Effort(thread_time))
                after = self._commented(before.with_status(status, self._dated(item)), item, kind, text)
                self._note(item, Outcome.APPENDED, ticket_number=number)
                if self.events:
                    self._outbox += self.events.commented(before, after, kind, facts)
            case Ignore(reason):
                self._note(item, Outcome.IGNORED, reason)
                if self.events:
                    self._outbox += self.events.refused(item.key, reason, facts, self.now)
                    self._outbox += self.events.returned(item.key, facts, self.now)

    def add_from_elsewhere(self, item: Arrived, mailbox_id: str, taken: Taken) -> None:
        """Note what became of a message that another mailbox has taken in."""
        self._note(item, taken.outcome, taken.reason or mailbox_id)

    def _note(self, item: Arrived, outcome: Outcome, reason: str = "", ticket_number: int | None = None) -> None:
        self._receipts[item.key] = Receipt(item.key, item.fingerprint, outcome, self.now, ticket_number, reason)
        self.taken.append(Taken(item.raw.ref, outcome, reason, ticket_number))

    def commit(self, etag: str | None) -> Commit:
        return Commit(
            state=self.state,
            state_etag=etag,
            receipts=[*self._receipts.values()],
            incidents=[*self._incidents.values()],
            new_tickets=[*self._new.values()],
            changed_tickets=[ChangedTicket(self._before[number], after) for number, after in self._after.items()],
            comments=self._comments,
            raws=[*self._raws.values()],
            outbox=self._outbox,
        )

    def _match(self, facts: Facts, found: Found | None) -> tuple[Match | None, Match | None]:
        """The ticket here, or in another mailbox. The newest id wins, whether it was stored before or comes earlier in
        this batch; then a tag; then an incident.
        """
        for message_id in referred_ids(facts.message):
            if found and message_id == found.by_id:
                break
            receipt = self._receipts.get(id_key(message_id))
            if receipt and receipt.ticket_number:
                return Match(self._ticket(receipt.ticket_number), By.REFERENCE), None
        if found and found.mailbox_id != self.mailbox.id:
            return None, Match(found.ticket.value, found.by)
        if found and found.by is By.INCIDENT and (newer := self._match_by_name(facts)):
            return newer, None
        if found:
            number = found.ticket.value.number
            self._before.setdefault(number, found.ticket)
            return Match(self._ticket(number), found.by), None
        return self._match_by_name(facts), None

    def _match_by_name(self, facts: Facts) -> Match | None:
        for tag in subject_tags(facts.message):
            if tag.prefix == self.mailbox.ticket_prefix and tag.number in self._new:
                return Match(self._new[tag.number], By.TAG)
        incident = facts.processed.incident
        known = self._incidents.get(incident_key(incident.external_id)) if incident else None
        return Match(self._ticket(known.ticket_number), By.INCIDENT) if known and known.ticket_number else None

    def _ticket(self, number: int) -> Ticket:
        return self._new.get(number) or self._after.get(number) or self._before[number].value

    def _put(self, ticket: Ticket) -> None:
        (self._new if ticket.number in self._new else self._after)[ticket.number] = ticket

    def _open(self, draft: Draft, linked_to: int | None, language: str, at: datetime) -> Ticket:
        is_somebody = draft.requester.address or draft.requester.name
        ticket = Ticket(
            **draft.values() | ({} if is_somebody else {"requester": _NOBODY}),
            mailbox_id=self.mailbox.id,
            number=self.state.next_number,
            prefix=self.mailbox.ticket_prefix,
            status=Status.NEW,
            created_at=at,
            updated_at=at,
            comment_count=0,
            linked_to=(linked_to,) if linked_to else (),
            language=language,
        )
        self.state = replace(self.state, next_number=ticket.number + 1)
        self._new[ticket.number] = ticket
        return ticket

    def _link_back(self, number: int, to: int) -> None:
        """The ticket that a new one names names it too, as long as it does not name too many."""
        other = self._ticket(number)
        if len(other.linked_to) < MAX_LINKS:
            self._put(replace(other, linked_to=(*other.linked_to, to)))

    def _commented(self, ticket: Ticket, item: Arrived, kind: CommentKind, text: str) -> Ticket:
        """The ticket with the message as its newest comment."""
        message = item.message
        pointer, row = self.pack(item.raw.content)
        if row:
            self._raws[pointer.sha256] = row
        comment = Comment(
            ticket_number=ticket.number,
            seq=ticket.comment_count + 1,
            kind=kind,
            author=message.sender or _NOBODY,
            at=_moment(item) or self.now,
            text=text,
            full_text=message.text if message.text != text else None,
            message_id=message.message_id,
            raw=pointer,
            attachments=() if item.raw.is_cut else message.attachments,
            notes=_notes(item.raw),
            defects=message.defects,
            protection=message.protection,
        )
        self._comments.append(comment)
        commented = replace(
            ticket,
            comment_count=comment.seq,
            updated_at=max(ticket.updated_at, self._dated(item)),
            participants=self._participants(ticket, message),
        )
        self._put(commented)
        return commented

    def _dated(self, item: Arrived) -> datetime:
        """When what a message does to its ticket is said to have happened."""
        return min(_moment(item) or self.now, self.now) if self.has_original_dates else self.now

    def _participants(self, ticket: Ticket, message: InboundMessage) -> frozenset[str]:
        """Everybody who wrote or received a message of the ticket, but no address of our own."""
        senders = (message.sender,) if message.sender else ()
        if message.kind in REPORTS:
            return ticket.participants
        everybody = (ticket.requester, *senders, *message.reply_to, *message.to, *message.cc, *ticket.cc)
        new = [each.key for each in everybody if each.address and not self.insiders.owns(each)]
        known = ticket.participants | set(new[:MAX_PARTICIPANTS])
        return known if len(known) <= MAX_PARTICIPANTS else ticket.participants


def _moment(item: Arrived) -> datetime | None:
    return item.raw.received_at or item.message.sent_at


def _notes(raw: RawMessage) -> tuple[str, ...]:
    if not raw.is_cut:
        return ()
    return (
        f"{raw.full_size} bytes are more than this mailbox takes in: only the beginning, without attachments, is kept.",
    )
