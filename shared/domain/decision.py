"""The decision about one message: a pure function of what is known about it, which tells its reasons."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.contact import Contact, same_address
from shared.domain.draft import Draft
from shared.domain.explain import Step
from shared.domain.kinds import REPORTS, Kind
from shared.domain.mailbox import Mailbox
from shared.domain.message import InboundMessage
from shared.domain.people import refused
from shared.domain.processing import Processed
from shared.domain.replies import fails_dmarc
from shared.domain.ticket import CommentKind, Status, Ticket


@dataclass(frozen=True, slots=True)
class OpenTicket:
    """Make a new ticket (req K1); `linked_to` is the number of one it speaks of but may not enter (req R3, R4)."""

    draft: Draft
    linked_to: int | None = None


@dataclass(frozen=True, slots=True)
class CommentOn:
    """Add the message to this ticket, which has that status afterwards."""

    number: int
    kind: CommentKind
    status: Status


@dataclass(frozen=True, slots=True)
class Ignore:
    """Make nothing of it; the reason is counted (req O8)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """It is for the tickets of another mailbox."""

    mailbox_id: str


Decision = OpenTicket | CommentOn | Ignore | Elsewhere


class By(StrEnum):
    """What leads from a message to a ticket. A tag can be guessed; a Message-ID is known to who has a message; a
    delivery report and an incident come from machines that are no participants.
    """

    REFERENCE = "reference"
    TAG = "tag"
    REPORT = "report"
    INCIDENT = "incident"


@dataclass(frozen=True, slots=True)
class Match:
    """The ticket that a message speaks of."""

    ticket: Ticket
    by: By


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the decision depends on. `elsewhere` is a ticket of another mailbox that the message speaks of. The
    message of ours that a delivery report is about went to the contacts with the ids `sent_to`.
    """

    message: InboundMessage
    mailbox: Mailbox
    now: datetime
    processed: Processed
    match: Match | None = None
    sender: Contact | None = None
    requester: Contact | None = None
    elsewhere: Match | None = None
    sent_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    decision: Decision
    steps: tuple[Step, ...]


_IGNORED_KINDS = (Kind.OWN, Kind.READ_RECEIPT)
_AUTOMATIC = (Kind.AUTOMATIC_REPLY, Kind.OUT_OF_OFFICE, Kind.CALENDAR_ANSWER)
_NEVER_OPENS_AGAIN = (*REPORTS, *_AUTOMATIC, Kind.LIST)


def decide(facts: Facts) -> Verdict:
    """The first rule that has something to say decides; the steps tell what each of those before it saw."""
    deciding = _Deciding(facts)
    return Verdict(deciding.decision(), tuple(deciding.steps))


@dataclass
class _Deciding:
    facts: Facts
    steps: list[Step] = field(default_factory=list)

    def decision(self) -> Decision:
        message = self.facts.message
        self._say(
            "kind", message.kind.value, applies=message.kind is not Kind.PERSON, detail="; ".join(message.kind_reasons)
        )
        for rule in (self._by_kind, self._by_people, self._by_processing, self._by_ticket, self._automatic):
            if decision := rule():
                return decision
        return OpenTicket(self.facts.processed.draft)

    def _say(self, stage: str, name: str, *, applies: bool, detail: str = "") -> None:
        self.steps.append(Step(stage, name, applies, detail))

    def _by_kind(self) -> Decision | None:
        """Reports are for the ticket whose message they are about, and for nobody else (req R7)."""
        kind, match = self.facts.message.kind, self.facts.match
        if kind in _IGNORED_KINDS:
            return Ignore(kind.value if kind is not Kind.OWN else "own_message")
        if kind not in REPORTS:
            return None
        if match:
            return CommentOn(match.ticket.number, CommentKind.INTERNAL, match.ticket.status)
        return Elsewhere(self.facts.elsewhere.ticket.mailbox_id) if self.facts.elsewhere else Ignore(kind.value)

    def _by_people(self) -> Decision | None:
        """Guests are refused new tickets; in a ticket that they have a part in they may answer (req P2, P3)."""
        people, message = self.facts.mailbox.people, self.facts.message
        reason = refused(people, message, self.facts.sender)
        if reason == "guest_refused" and self._has_part():
            reason = None
        _, entry = (reason and people.ignore.match(message)) or (None, "")
        self._say("people", reason or "sender admitted", applies=reason is not None, detail=entry)
        return Ignore(reason) if reason else None

    def _by_processing(self) -> Decision | None:
        """What the rules of the mailbox make of it (req K4). Those of others do not apply to what comes from there."""
        processed = self.facts.processed
        self.steps += processed.steps
        if processed.ignore:
            return Ignore(processed.ignore)
        if self.facts.match:
            return None
        if self.facts.elsewhere:
            ticket = self.facts.elsewhere.ticket
            self._say("ticket", "names a ticket of another mailbox", applies=True, detail=ticket.tag)
            if self._may_enter(self.facts.elsewhere):
                return Elsewhere(ticket.mailbox_id)
        return Elsewhere(processed.route) if processed.route else None

    def _by_ticket(self) -> Decision | None:
        match = self.facts.match
        if match is None:
            if not self.facts.elsewhere:
                self._say("ticket", "names no ticket", applies=False)
            return None
        self._say("ticket", f"names a ticket by {match.by}", applies=True, detail=match.ticket.tag)
        if match.by is By.INCIDENT:
            return self._of_incident(match.ticket)
        if not self._may_enter(match):
            return self._automatic() or OpenTicket(self.facts.processed.draft, linked_to=match.ticket.number)
        return self._of_incident(match.ticket) if self._reports_again(match.ticket) else self._answer(match.ticket)

    def _reports_again(self, ticket: Ticket) -> bool:
        """Monitoring systems answer their own messages, too."""
        incident, sender = self.facts.processed.incident, self.facts.message.sender
        is_same = incident is not None and incident.external_id == ticket.external_id
        return is_same and sender is not None and sender.key == ticket.requester.key

    def _of_incident(self, ticket: Ticket) -> Decision | None:
        """One ticket per incident: what comes after it was closed is another one, unless it is its end (req K6)."""
        incident = self.facts.processed.incident
        is_over = incident is not None and incident.state == "recovery"
        if ticket.status is Status.CLOSED and not is_over:
            return None
        self._say("incident", "is over" if is_over else "goes on", applies=True)
        closes = incident is not None and incident.closes
        return CommentOn(ticket.number, CommentKind.PUBLIC, Status.CLOSED if closes else ticket.status)

    def _may_enter(self, match: Match) -> bool:
        """Req R3"""
        policy = self.facts.mailbox.replies
        if self._is_disowned():
            self._say("participant", "the sender's domain disowns the message", applies=True)
            return False
        if self._has_part() or policy.strangers == "comment":
            return True
        relaxed = policy.strangers == "by_reference" and match.by is By.REFERENCE
        self._say("participant", "the sender has no part in the ticket", applies=not relaxed)
        return relaxed

    def _has_part(self) -> bool:
        """Technicians have a part in every ticket, and nobody whose address is forged."""
        match, sender = self.facts.match or self.facts.elsewhere, self.facts.sender
        if match is None or self._is_disowned():
            return False
        by_technician = sender is not None and sender.is_technician
        return by_technician or match.ticket.has_participant(self.facts.message.sender)

    def _is_disowned(self) -> bool:
        return fails_dmarc(self.facts.message, self.facts.mailbox.replies.trusted_authentication)

    def _answer(self, ticket: Ticket) -> Decision:
        kind = self._comment_kind(ticket)
        is_closed = ticket.status is Status.CLOSED
        if self.facts.message.kind in _NEVER_OPENS_AGAIN or kind is CommentKind.INTERNAL:
            return CommentOn(ticket.number, kind, ticket.status)
        if is_closed and not self._reopens(ticket):
            if self.facts.mailbox.replies.closed == "add":
                return CommentOn(ticket.number, kind, ticket.status)
            return OpenTicket(self.facts.processed.draft, linked_to=ticket.number)
        reopened = Status.OPEN if is_closed else ticket.status
        return CommentOn(ticket.number, kind, reopened)

    def _reopens(self, ticket: Ticket) -> bool:
        """Req R4"""
        policy, closed_at = self.facts.mailbox.replies, ticket.closed_at or ticket.updated_at
        reopens = policy.closed == "reopen" and self.facts.now - closed_at <= policy.grace
        told = "opens again" if reopens else "stays closed"
        self._say("closed ticket", f"policy {policy.closed}", applies=True, detail=told)
        return reopens

    def _comment_kind(self, ticket: Ticket) -> CommentKind:
        """A technician who answers for somebody else works with them, unless the mailbox says otherwise (req R5)."""
        sender = self.facts.sender
        if sender is None or not sender.is_technician or same_address(sender.address) == ticket.assignee:
            return CommentKind.PUBLIC
        if ticket.requester.key == sender.mailbox.key or self.facts.mailbox.replies.unassigned_technician == "reply":
            return CommentKind.PUBLIC
        self._say("technician", "is not assigned: an internal note", applies=True)
        return CommentKind.INTERNAL

    def _automatic(self) -> Decision | None:
        kind = self.facts.message.kind
        if kind in _AUTOMATIC and self.facts.mailbox.replies.automatic == "ignore":
            return Ignore(kind.value)
        return None
