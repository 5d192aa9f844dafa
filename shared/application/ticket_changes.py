"""Changes that people make to tickets: each made once, with all that it causes, and on the version that they saw."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from shared.application import tickets
from shared.application.auditing import audited
from shared.application.finding import Finder
from shared.application.ports.platform import DeliveryRequest
from shared.application.ports.stores import Versioned
from shared.application.ports.tickets import ChangedTicket, Commit, ReceiptExists, TicketChanged
from shared.application.services import Services
from shared.application.validation import read
from shared.domain.contact import same_address
from shared.domain.errors import Conflict, Invalid, Problem
from shared.domain.mailbox import Mailbox
from shared.domain.message import Address
from shared.domain.outbox import EventType, OutboxEntry, event
from shared.domain.recognition import request_key
from shared.domain.ticket import Comment, Receipt, Status, Ticket
from shared.domain.ticket_changes import Recipient, TicketPatch, emptied
from shared.domain.ticket_types import all_types, fitting

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for a change (`by`), and with what. `require` raises PreconditionFailed where it is not meant for the
    version with that ETag. Requests with the same `key` are one, sent again; `digest` tells others under it apart.
    """

    by: str
    data: object
    require: Callable[[str], None]
    key: str | None = None
    digest: str = ""


Change = tuple[Commit, Comment | None]
"""What is stored at once, the ticket itself as the first of those that change; and the comment that was asked for."""


@dataclass(frozen=True, slots=True)
class Changed:
    ticket: Versioned[Ticket]
    comment: Comment | None


def patch(services: Services, tag: str, asked: Asked) -> Changed:
    """Change the fields of a ticket. :raises Invalid: with every problem."""
    return make(services, tag, asked, lambda current: _patched(services, current, asked))


def make(services: Services, tag: str, asked: Asked, change: Callable[[Versioned[Ticket]], Change]) -> Changed:
    """Store what the change comes to, unless that was done before.

    :raises PreconditionFailed: it is meant for another version of the ticket.
    :raises Invalid: another request was made under its key.
    :raises Conflict: the ticket is merged into another, or others keep changing it.
    """
    for _ in range(_TRIES):
        current = tickets.find(services, tag)
        if done := _done_before(services, current, asked):
            return done
        asked.require(current.etag)
        if current.value.merged_into:
            raise Conflict(f"the ticket was merged into {current.value.prefix}-{current.value.merged_into}")
        try:
            return _stored(services, current, asked, change(current))
        except (TicketChanged, ReceiptExists):
            continue
    raise Conflict("others keep changing the ticket")


def _done_before(services: Services, current: Versioned[Ticket], asked: Asked) -> Changed | None:
    if asked.key is None:
        return None
    key = request_key(asked.key)
    receipt = services.tickets.receipts(current.value.mailbox_id, [key]).get(key)
    if receipt is None:
        return None
    if receipt.fingerprint != _fingerprint(current.value, asked):
        raise Invalid([Problem("header.Idempotency-Key", "is that of another request")])
    log = services.tickets.comments(current.value.mailbox_id, current.value.number) if receipt.reason else ()
    return Changed(current, next((each for each in log if str(each.seq) == receipt.reason), None))


def _fingerprint(ticket: Ticket, asked: Asked) -> str:
    return hashlib.sha256(f"{ticket.tag}\n{asked.digest}".encode()).hexdigest()[:32]


def _stored(services: Services, current: Versioned[Ticket], asked: Asked, change: Change) -> Changed:
    ticket, (commit, comment) = current.value, change
    if asked.key:
        made, fingerprint = str(comment.seq) if comment else "", _fingerprint(ticket, asked)
        receipt = Receipt(request_key(asked.key), fingerprint, None, services.clock(), ticket.number, made)
        commit = replace(commit, receipts=[receipt])
    elif all(each.after == each.before.value for each in commit.changed_tickets):
        return Changed(current, None)
    with _audited(services, commit.changed_tickets, comment):
        etag = services.tickets.commit(ticket.mailbox_id, commit)
    if commit.outbox:
        services.deliveries.put(DeliveryRequest(ticket.mailbox_id))
    return Changed(Versioned(commit.changed_tickets[0].after, etag), comment)


def _audited(
    services: Services, changed: Sequence[ChangedTicket], comment: Comment | None
) -> AbstractContextManager[None]:
    """Of a comment, its place in the log of the ticket says enough."""
    first, *others = changed
    made = {"comment": {"seq": comment.seq, "kind": comment.kind}} if comment else {}
    before = _values(first.before.value) | {each.after.tag: _values(each.before.value) for each in others}
    after = _values(first.after) | {each.after.tag: _values(each.after) for each in others} | made
    action = "commented" if comment else "changed"
    return audited(services, "ticket", first.after.tag, action, before=before, after=after, personal=_PERSONAL)


def _values(ticket: Ticket) -> dict[str, Any]:
    return {name: value for name, value in asdict(ticket).items() if name not in _FOLLOWING}


_FOLLOWING = ("participants", "comment_count", "updated_at", "closed_at")
"""What changes along with other fields."""
_PERSONAL = ("subject", "requester", "cc", "custom")
"""What the audit does not show: it outlives the ticket."""


def author(services: Services, named: str | None, by: str) -> Address | None:
    """The technician who is named, or who calls; where nobody is named, anybody may. None where it is no technician."""
    address = named or by
    contact = services.contacts.read([address]).get(address) if "@" in address else None
    if contact and contact.value.is_technician:
        return contact.value.mailbox
    return None if named else Address("", by)


def mailbox_of(services: Services, ticket: Ticket) -> Mailbox:
    """By whose tag the ticket was found."""
    return next(each for each in services.mailboxes.cached() if each.id == ticket.mailbox_id)


def status_events(before: Versioned[Ticket], after: Ticket, now: datetime, by: str) -> list[OutboxEntry]:
    """A new ticket that somebody begins to work on is news for other systems, but for nobody's mailbox."""
    was, ticket = before.value.status, before.value
    if after.status is was:
        return []
    version = hashlib.sha256(before.etag.encode()).hexdigest()[:16]
    details = {"before": was.value, "after": after.status.value, "by": by, "technician": True}
    quiet = after.merged_into is not None or Status.CLOSED not in (was, after.status)
    about = f"{ticket.number}-{version}"
    return [event(EventType.TICKET_STATUS_CHANGED, about, now, ticket=ticket.number, quiet=quiet, **details)]


def people_in_copy(
    services: Services, ticket: Ticket, recipients: Sequence[Recipient]
) -> tuple[tuple[Address, ...], list[Problem]]:
    """The people as they are kept, once each; addresses of our own are problems: they would answer each other."""
    insiders = Finder(services, mailbox_of(services, ticket)).insiders
    people = [Address(each.address, each.name) for each in recipients]
    problems = [
        Problem(f"$.cc[{place}].address", "is an address of our own")
        for place, each in enumerate(people)
        if insiders.owns(each)
    ]
    requester = same_address(ticket.requester.address)
    known = {key: each for each in people if (key := same_address(each.address)) != requester}
    return tuple(known.values()), problems


def _patched(services: Services, current: Versioned[Ticket], asked: Asked) -> Change:
    ticket, now = current.value, services.clock()
    data = emptied(asked.data, ticket) if isinstance(asked.data, Mapping) else asked.data
    wanted = read(TicketPatch, data)
    named = wanted.model_fields_set
    values = {name: getattr(wanted, name) for name in named - {"status", "type", "custom"}}
    problems: list[Problem] = []
    for name in values.keys() & _CHECKED.keys():
        values[name], found = _CHECKED[name](services, ticket, wanted)
        problems += found
    if named & {"type", "custom"}:
        typed, found = _typed(services, ticket, wanted)
        values |= typed
        problems += found
    if problems:
        raise Invalid(problems)
    after = replace(ticket, **values).with_status(wanted.status if "status" in named else ticket.status, now)
    if after != ticket:
        after = replace(after, updated_at=now, participants=ticket.participants_with((ticket.requester, *after.cc)))
    told = status_events(current, after, now, asked.by)
    return Commit(changed_tickets=[ChangedTicket(current, after)], outbox=told), None


def _assignee(services: Services, _: Ticket, wanted: TicketPatch) -> tuple[str, list[Problem]]:
    if not wanted.assignee or author(services, wanted.assignee, ""):
        return same_address(wanted.assignee), []
    return "", [Problem("$.assignee", "is no technician's address")]


def _typed(services: Services, ticket: Ticket, wanted: TicketPatch) -> tuple[dict[str, Any], list[Problem]]:
    """Type and custom fields, which must fit each other; fields that the type does not have go unless somebody asks for
    them.
    """
    type_id = wanted.type if "type" in wanted.model_fields_set else ticket.type
    type_ = all_types(each.value for each in services.ticket_types.all()).get(type_id)
    if type_ is None and (type_id or any(wanted.custom.values())):
        place = "type" if "type" in wanted.model_fields_set else "custom"
        return {}, [Problem(f"$.{place}", "is no ticket type" if type_id else "needs a ticket type")]
    if type_ is None:
        return {"type": "", "custom": {}}, []
    known = {each.name for each in type_.fields} | wanted.custom.keys()
    values = {name: value for name, value in {**ticket.custom, **wanted.custom}.items() if value and name in known}
    custom, problems = fitting(type_, values)
    return {"type": type_id, "custom": custom}, problems


_CHECKED: Mapping[str, Callable[[Services, Ticket, TicketPatch], tuple[object, list[Problem]]]] = {
    "assignee": _assignee,
    "tags": lambda _services, _ticket, wanted: (tuple(dict.fromkeys(wanted.tags)), []),
    "cc": lambda services, ticket, wanted: people_in_copy(services, ticket, wanted.cc),
}
