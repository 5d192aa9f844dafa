"""What is known about a message before it is decided on: the ticket it speaks of, and who sent it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from time import thread_time

from shared.application.arrivals import Arrived
from shared.application.ports.stores import Versioned
from shared.application.services import Services
from shared.domain.contact import Contact
from shared.domain.decision import By, Facts
from shared.domain.draft import Draft
from shared.domain.explain import Step
from shared.domain.facts import Facts as Seen
from shared.domain.kinds import REPORTS, Kind
from shared.domain.mailbox import Mailbox
from shared.domain.message import Address, InboundMessage
from shared.domain.patterns import Effort
from shared.domain.people import Insiders, cc, requester, without_own
from shared.domain.processing import Processed, process
from shared.domain.recognition import id_key, incident_key, referred_ids, subject_tags
from shared.domain.replies import fails_dmarc
from shared.domain.ticket import Ticket
from shared.domain.ticket_types import all_types
from shared.mime import original_sender

_MAX_MERGES = 5
"""Merged tickets are followed so far; a chain that is longer goes round in a circle."""


@dataclass(frozen=True, slots=True)
class Found:
    """A stored ticket that a message speaks of, and what led there: a Message-ID where `by_id` is set."""

    mailbox_id: str
    ticket: Versioned[Ticket]
    by: By
    by_id: str | None = None


def insiders(services: Services, *more: Mailbox) -> Insiders:
    """`more` are mailboxes that need not be saved."""
    addresses = [each.address for each in (*services.mailboxes.cached(), *more)]
    senders = [each.from_address for each in services.senders.cached()]
    return Insiders.of([*addresses, *senders], services.contacts.technicians())


class Finder:
    """Reads the store for one mailbox. What another mailbox has passed on stays there. Safe to be used by several
    threads.
    """

    def __init__(self, services: Services, mailbox: Mailbox, *, is_passed_on: bool = False) -> None:
        self._services = services
        self._mailbox = mailbox
        self._is_passed_on = is_passed_on
        self._prefixes = {each.ticket_prefix: each.id for each in services.mailboxes.cached()}
        self._prefixes[mailbox.ticket_prefix] = mailbox.id
        self._types = all_types(services.ticket_types.cached())
        self.insiders = insiders(services, mailbox)

    def look_up(self, item: Arrived, now: datetime) -> tuple[Facts, Found | None]:
        """What the configuration has to say about a message, and the stored ticket that it speaks of."""
        message, sender = item.message, self._contact(item.message.sender)
        if message.message_id and self._services.own_ids.read(message.message_id):
            message = replace(message, kind=Kind.OWN)
        people, forwarded = self._mailbox.people, partial(original_sender, item.raw.content)
        is_forged = fails_dmarc(message, self._mailbox.replies.trusted_authentication)
        trusted = None if is_forged else sender
        asks = requester(people, message, trusted, self.insiders, forwarded)
        copied, asking = cc(people, message, self.insiders, asks), self._contact(asks)
        seen = Seen(message, item.raw.full_size, trusted, Effort(thread_time), requester=asking)
        draft = Draft(requester=asks, subject=message.subject, text=message.text, cc=copied)
        processed = process(self._mailbox, self._types, seen, draft)
        processed = replace(processed, draft=without_own(processed.draft, asks, self.insiders))
        if asks != message.sender:
            steps = (Step("people", "requester is not the sender", matched=True, detail=asks.address), *processed.steps)
            processed = replace(processed, steps=steps)
        found = self._ticket(message, processed)
        if self._is_passed_on:
            processed = replace(processed, route=None)
            found = found if found and found.mailbox_id == self._mailbox.id else None
        if processed.route and not self._is_there(processed.route):
            gone = Step("rules", "route", matched=False, detail=f"there is no mailbox {processed.route} any more")
            processed = replace(processed, route=None, steps=(*processed.steps, gone))
        sent_to = self._sent_to(message)
        facts = Facts(message, self._mailbox, now, processed, sender=sender, requester=asking, sent_to=sent_to)
        return facts, found

    def _is_there(self, mailbox_id: str) -> bool:
        return mailbox_id in self._prefixes.values() or self._services.mailboxes.get(mailbox_id) is not None

    def _contact(self, person: Address | None) -> Contact | None:
        return self._services.contacts.get([person.address]).get(person.address) if person and person.address else None

    def _ticket(self, message: InboundMessage, processed: Processed) -> Found | None:
        """By the newest id that is known, then by a tag, then by the incident that it reports (req R1, R2, K6)."""
        found = next(self._by_id(message), None) or next(self._by_tag(message), None)
        return found or self._by_incident(processed)

    def _by_id(self, message: InboundMessage) -> Iterator[Found]:
        by = By.REPORT if message.kind in REPORTS else By.REFERENCE
        for message_id in referred_ids(message):
            mailbox_id, number = self._of_id(message_id)
            if number and (found := self._stored(mailbox_id, number)):
                yield Found(mailbox_id, found, by, message_id)

    def _of_id(self, message_id: str) -> tuple[str, int | None]:
        """The ticket of a message of that id: our own ids tell it themselves."""
        own = self._services.own_ids.read(message_id)
        if own and own.mailbox_id in self._prefixes.values():
            return own.mailbox_id, own.ticket_number
        key = id_key(message_id)
        receipt = self._services.tickets.receipts(self._mailbox.id, [key]).get(key)
        return self._mailbox.id, receipt.ticket_number if receipt else None

    def _sent_to(self, message: InboundMessage) -> tuple[str, ...]:
        """Who got the message of ours that a delivery report is about."""
        keys = [id_key(each) for each in referred_ids(message)] if message.kind in REPORTS else []
        receipts = self._services.tickets.receipts(self._mailbox.id, keys)
        return next((receipts[key].sent_to for key in keys if key in receipts), ())

    def _by_tag(self, message: InboundMessage) -> Iterator[Found]:
        for tag in subject_tags(message):
            mailbox_id = self._prefixes.get(tag.prefix)
            if mailbox_id and (found := self._stored(mailbox_id, tag.number)):
                yield Found(mailbox_id, found, By.TAG)

    def _by_incident(self, processed: Processed) -> Found | None:
        if processed.incident is None:
            return None
        key = incident_key(processed.incident.external_id)
        receipt = self._services.tickets.receipts(self._mailbox.id, [key]).get(key)
        ticket = self._stored(self._mailbox.id, receipt.ticket_number) if receipt and receipt.ticket_number else None
        return Found(self._mailbox.id, ticket, By.INCIDENT) if ticket else None

    def _stored(self, mailbox_id: str, number: int) -> Versioned[Ticket] | None:
        """The ticket, or the one that it was merged into."""
        for _ in range(_MAX_MERGES):
            found = self._services.tickets.ticket(mailbox_id, number)
            if found is None or found.value.merged_into is None:
                return found
            number = found.value.merged_into
        return None
