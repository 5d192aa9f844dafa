"""Which e-mails an event owes to whom (req M5, M6). What they say is written when they are sent."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared.application.contacts import mark_bounced
from shared.application.services import Services
from shared.application.side_by_side import for_each
from shared.domain.contact import contact_id, same_address
from shared.domain.kinds import takes_no_replies
from shared.domain.mailbox import Mailbox
from shared.domain.message import Address
from shared.domain.notices import reasons_not_to_send
from shared.domain.outbox import ALERTS, EventType, OutboxEntry, SentTo
from shared.domain.outgoing import Automatic
from shared.domain.people import Insiders
from shared.domain.recognition import id_key
from shared.domain.templates import TemplateKind
from shared.domain.ticket import Receipt, Status, Ticket

_SPARED = timedelta(days=30)
"""So long nothing automatic goes to a guest whose mail has come back."""

MAX_NOTIFIED = 50
"""Technicians who are told of one event; a server takes at most a hundred recipients or so."""

_OF_STATUS = {"closed": TemplateKind.CLOSED, "reopened": TemplateKind.REOPENED}


def automatic(notice: TemplateKind) -> Automatic | None:
    """How an e-mail is marked that nobody wrote by hand; the answer of a technician is none."""
    match notice:
        case TemplateKind.REPLY:
            return None
        case TemplateKind.ACKNOWLEDGEMENT | TemplateKind.REFUSED:
            return Automatic.REPLIED
    return Automatic.GENERATED


def reply_id(ticket_number: int, seq: int) -> str:
    """The entry of the e-mail that a technician's comment is sent by."""
    return f"{EventType.TICKET_COMMENTED}-{ticket_number}-{seq}-{TemplateKind.REPLY}"


@dataclass
class Notices:
    """Those of one mailbox. It remembers what it reads, so it serves one run; `sent_to` is to be stored with what is
    owed.
    """

    services: Services
    mailbox: Mailbox
    now: datetime
    tickets: dict[int, Ticket | None] = field(default_factory=dict)
    sent_to: dict[str, tuple[SentTo, str | None]] = field(default_factory=dict)
    _ahead: dict[str, tuple[SentTo, str | None]] = field(default_factory=dict)
    _insiders: Insiders = field(init=False)

    def __post_init__(self) -> None:
        own = [each.address for each in (*self.services.mailboxes.cached(), self.mailbox)]
        own += [each.from_address for each in self.services.senders.cached()]
        self._insiders = Insiders.of(own, ())

    def owed(self, event: OutboxEntry) -> list[OutboxEntry]:
        if event.payload.get("quiet") or not self.services.senders.cached():
            return []
        return [*self._owed(event, EventType(event.payload["type"]))]

    def read_ahead(self, events: Iterable[OutboxEntry]) -> None:
        """Side by side what would be read one by one for new tickets, of which there may be many at once."""
        opened = [each.payload for each in events if each.payload["type"] == EventType.TICKET_CREATED]
        tickets = for_each([each["ticket"] for each in opened if not each.get("quiet")], self.ticket)
        people = {contact_id(each.requester.address) for each in tickets if each and self.mailbox.notices.acknowledge}
        self._ahead = {sent.contact_id: (sent, etag) for sent, etag in for_each([*people], self._read_sent)}

    def note_bounces(self, event: OutboxEntry) -> None:
        """Req R7. Of a guest it is noted in the mailbox."""
        for address, reason in event.payload.get("bounced", ()):
            if not mark_bounced(self.services, address, reason):
                sent, etag = self._sent(address)
                self.sent_to[sent.contact_id] = (replace(sent, bounced_at=self.now), etag)

    def receipt(self, entry: OutboxEntry) -> Receipt:
        """By which an answer to an e-mail is recognised, and the e-mail itself where it comes back."""
        told = entry.payload
        sent_to = tuple(contact_id(address) for address, _ in (*told["to"], *told["cc"]))
        return Receipt(id_key(told["message_id"]), "", None, self.now, told.get("ticket"), sent_to=sent_to)

    def ticket(self, number: int) -> Ticket | None:
        if number not in self.tickets:
            found = self.services.tickets.ticket(self.mailbox.id, number)
            self.tickets[number] = found.value if found else None
        return self.tickets[number]

    def _owed(self, event: OutboxEntry, type_: EventType) -> Iterator[OutboxEntry]:
        told = event.payload
        if type_ is EventType.MESSAGE_REFUSED:
            yield from self._automatic(event, TemplateKind.REFUSED, Address(told["to"], told["name"]), None)
        elif type_ in ALERTS:
            yield from self._email(event, TemplateKind.ALERT, [Address(each) for each in told.get("to", ())], None)
        elif "ticket" in told and (ticket := self.ticket(told["ticket"])):
            yield from self._of_ticket(event, type_, ticket)

    def _of_ticket(self, event: OutboxEntry, type_: EventType, ticket: Ticket) -> Iterator[OutboxEntry]:
        told, settings = event.payload, self.mailbox.notices
        match type_:
            case EventType.TICKET_CREATED:
                if settings.acknowledge:
                    yield from self._to_requester(event, TemplateKind.ACKNOWLEDGEMENT, ticket)
                yield from self._to_staff(event, TemplateKind.NOTIFICATION, ticket)
            case EventType.TICKET_COMMENTED if told.get("internal"):
                yield from self._to_staff(event, TemplateKind.NOTE_NOTIFICATION, ticket)
            case EventType.TICKET_COMMENTED if told.get("technician"):
                yield from self._reply(event, ticket)
            case EventType.TICKET_COMMENTED:
                yield from self._to_staff(event, TemplateKind.NOTIFICATION, ticket)
            case EventType.TICKET_STATUS_CHANGED:
                change = _change(told)
                if change and getattr(settings, change):
                    yield from self._to_requester(event, _OF_STATUS[change], ticket)

    def _to_requester(self, event: OutboxEntry, notice: TemplateKind, ticket: Ticket) -> Iterator[OutboxEntry]:
        if not event.payload.get("unanswered"):
            yield from self._automatic(event, notice, ticket.requester, ticket)

    def _automatic(
        self, event: OutboxEntry, notice: TemplateKind, to: Address, ticket: Ticket | None
    ) -> Iterator[OutboxEntry]:
        """To somebody outside, unless it is a machine, or has had enough (req M6)."""
        contact = self.services.contacts.get([to.address]).get(to.address) if "@" in to.address else None
        if not self._reaches(to) or takes_no_replies(to) or (contact and contact.bounced_at):
            return
        number = ticket.number if ticket else 0
        before, etag = self._sent(to.address)
        if before.bounced_at and self.now - before.bounced_at < _SPARED:
            return
        per_ticket = [at for at, of in before.times if number and of == number]
        times = [at for at, _ in before.times]
        limits = self.mailbox.notices.limits
        if reasons_not_to_send(limits, self.now, to_address=times, on_ticket=per_ticket):
            return
        self.sent_to[before.contact_id] = (before.noted(self.now, number), etag)
        yield from self._email(event, notice, [to], ticket)

    def _sent(self, address: str) -> tuple[SentTo, str | None]:
        key = contact_id(address)
        return self.sent_to.get(key) or self._ahead.pop(key, None) or self._read_sent(key)

    def _read_sent(self, key: str) -> tuple[SentTo, str | None]:
        found = self.services.tickets.sent_to(self.mailbox.id, key)
        return (found.value, found.etag) if found else (SentTo(key), None)

    def _to_staff(self, event: OutboxEntry, notice: TemplateKind, ticket: Ticket) -> Iterator[OutboxEntry]:
        """To the technician who has the ticket, else to all of its group; never to who caused it. An address that a
        rule has found in a message need not be a technician's, and internal notes are for nobody else.
        """
        if not self.mailbox.notices.notify:
            return
        technicians = [each for each in self.services.contacts.technicians() if not each.bounced_at]
        assignee, group = same_address(ticket.assignee), ticket.group.casefold()
        has_it = [each.mailbox for each in technicians if same_address(each.address) == assignee]
        told = has_it or [each.mailbox for each in technicians if group and group in map(str.casefold, each.groups)]
        by = same_address(event.payload.get("by", ""))
        others = [each for each in told if same_address(each.address) != by]
        yield from self._email(event, notice, others[:MAX_NOTIFIED], ticket)

    def _reply(self, event: OutboxEntry, ticket: Ticket) -> Iterator[OutboxEntry]:
        """A technician's words, to all who do not have them yet."""
        told = event.payload
        reached = {same_address(each) for each in (told.get("by", ""), *told.get("reached", ()))}
        to = [each for each in (ticket.requester,) if same_address(each.address) not in reached]
        cc = [each for each in ticket.cc if same_address(each.address) not in reached]
        yield from self._email(event, TemplateKind.REPLY, to or cc, ticket, cc if to else ())

    def _email(
        self,
        event: OutboxEntry,
        notice: TemplateKind,
        to: Iterable[Address],
        ticket: Ticket | None,
        cc: Iterable[Address] = (),
    ) -> Iterator[OutboxEntry]:
        named = {"to": self._people(to), "cc": self._people(cc)}
        if not named["to"]:
            return
        id_, told = f"{event.id}-{notice}", event.payload
        number = ticket.number if ticket else None
        kept = ("at", "ticket", "seq", "sender", "message_id", "subject", "text")
        payload: dict[str, Any] = {
            **{("answers" if name == "message_id" else name): told[name] for name in kept if told.get(name)},
            **named,
            "notice": notice.value,
            "message_id": self.services.own_ids.sign(self.mailbox, number, id_),
            "language": self._language(notice, ticket, told),
        }
        yield OutboxEntry(id_, "email", event.due_at, payload)

    def _language(self, notice: TemplateKind, ticket: Ticket | None, told: dict[str, Any]) -> str:
        is_for_staff = notice in (TemplateKind.NOTIFICATION, TemplateKind.NOTE_NOTIFICATION, TemplateKind.ALERT)
        of_requester = ticket.language if ticket else told.get("language", "")
        return (not is_for_staff and of_requester) or self.mailbox.notices.language

    def _people(self, people: Iterable[Address]) -> list[list[str]]:
        return [[each.address, each.name] for each in people if self._reaches(each)]

    def _reaches(self, address: Address) -> bool:
        """Nothing is sent to mailboxes of our own: they would answer each other."""
        return "@" in address.address and not self._insiders.owns(address)


def _change(told: dict[str, Any]) -> str | None:
    if told["after"] == Status.CLOSED:
        return "closed" if told["before"] != Status.CLOSED else None
    return "reopened" if told["before"] == Status.CLOSED else None
