"""What intake owes to the world outside: the events of the messages that were taken in."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from shared.application.services import Services
from shared.application.templates import BUILT_IN_LANGUAGES
from shared.domain.contact import contact_id
from shared.domain.decision import Facts
from shared.domain.draft import Draft
from shared.domain.intake import QuarantineEntry
from shared.domain.kinds import REPORTS, Kind, is_automatic
from shared.domain.languages import language_for
from shared.domain.mailbox import Mailbox
from shared.domain.message import Address
from shared.domain.outbox import EventType, OutboxEntry, event
from shared.domain.templates import written_in
from shared.domain.ticket import CommentKind, Status, Ticket

_TOLD_TO_REFUSED = ("guest_refused", "not_allowed")
_WRITTEN = (Kind.PERSON, Kind.LIST)
"""Kinds of messages that technicians are told of. Of the others they are not, because their own machines may have
answered to what they were told.
"""


@dataclass(frozen=True, slots=True)
class IntakeEvents:
    """`languages` are those that people can be answered in."""

    mailbox: Mailbox
    languages: Collection[str]

    @classmethod
    def of(cls, services: Services, mailbox: Mailbox) -> "IntakeEvents | None":
        """None where nobody listens: a deployment that only takes mail in pays nothing for what it does not send."""
        if not (services.senders.cached() or services.subscriptions.cached()):
            return None
        return cls(mailbox, {*BUILT_IN_LANGUAGES, *written_in(services.templates.cached(), mailbox.id)})

    def language(self, facts: Facts) -> str:
        """The language to answer a message in."""
        declared = next((value for name, value in facts.message.headers if name == "content-language"), "")
        return language_for(
            contact=facts.requester.language if facts.requester else "",
            text=facts.message.text,
            declared=declared,
            default=self.mailbox.notices.language,
            available=self.languages,
        )

    def created(self, ticket: Ticket, draft: Draft, facts: Facts, now: datetime) -> OutboxEntry:
        details = _details(facts)
        if not draft.acknowledge:
            details["unanswered"] = True
        answers = {"message_id": facts.message.message_id} if facts.message.message_id else {}
        return event(
            EventType.TICKET_CREATED, f"{ticket.number}", now, ticket=ticket.number, seq=1, **details, **answers
        )

    def commented(self, before: Ticket, ticket: Ticket, kind: CommentKind, facts: Facts) -> Iterator[OutboxEntry]:
        """The ticket as it was, and as it is with the comment."""
        details, about = _details(facts), f"{ticket.number}-{ticket.comment_count}"
        more = _of_technician(facts, ticket) | _of_report(facts)
        if kind is CommentKind.INTERNAL:
            more["internal"] = True
        number, now = ticket.number, ticket.updated_at
        yield event(EventType.TICKET_COMMENTED, about, now, ticket=number, seq=ticket.comment_count, **details, **more)
        if ticket.status is not before.status:
            change: dict[str, object] = {"before": before.status.value, "after": ticket.status.value}
            if Status.CLOSED not in change.values():
                change["quiet"] = True
            yield event(EventType.TICKET_STATUS_CHANGED, about, now, ticket=number, **details | change)

    def quarantined(self, entry: QuarantineEntry) -> OutboxEntry:
        about = f"{entry.id}-{int(entry.at.timestamp())}"
        return event(EventType.MESSAGE_QUARANTINED, about, entry.at, code=entry.error_code)

    def refused(self, key: str, reason: str, facts: Facts, now: datetime) -> Iterator[OutboxEntry]:
        """Req P2: guests may be told, where they are people."""
        message, sender = facts.message, facts.message.sender
        if reason in _TOLD_TO_REFUSED and self.mailbox.notices.refused and sender and not is_automatic(message):
            yield event(
                EventType.MESSAGE_REFUSED,
                key,
                now,
                to=sender.address,
                name=sender.name,
                subject=message.subject[:998],
                message_id=message.message_id or "",
                language=self.language(facts),
            )

    def returned(self, key: str, facts: Facts, now: datetime) -> Iterator[OutboxEntry]:
        """Req R7, of what was sent without a ticket."""
        if bounced := _of_report(facts).get("bounced"):
            yield event(EventType.MAIL_RETURNED, key, now, bounced=bounced)


def _details(facts: Facts) -> dict[str, object]:
    message = facts.message
    told: dict[str, object] = {"by": (message.sender or Address("")).address}
    if message.kind not in _WRITTEN:
        told["quiet"] = True
    elif is_automatic(message):
        told["unanswered"] = True
    return told


def _of_technician(facts: Facts, ticket: Ticket) -> dict[str, object]:
    """What a technician writes goes on to those who do not have it yet; as a requester they are like any other."""
    sender, message = facts.sender, facts.message
    if sender is None or not sender.is_technician or ticket.requester.key == sender.mailbox.key:
        return {}
    return {"technician": True, "reached": [each.address for each in (*message.to, *message.cc)]}


def _of_report(facts: Facts) -> dict[str, object]:
    """Anybody can write what looks like a report: that mail came back is believed of whom we have sent it to."""
    if facts.message.kind not in REPORTS or facts.message.report is None or not facts.sent_to:
        return {}
    reported = facts.message.report.failed
    failed = [each for each in reported if each.permanent and contact_id(each.address) in facts.sent_to]
    return {"bounced": [[each.address, f"{each.status} {each.diagnostic}"[:300].strip()] for each in failed[:20]]}
