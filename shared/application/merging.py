"""Tickets that belong together: merged into one, or linked. All of them are of one mailbox, so it happens at once."""

from dataclasses import replace
from datetime import datetime

from shared.application import tickets
from shared.application.ports.stores import Versioned
from shared.application.ports.tickets import ChangedTicket, Commit
from shared.application.services import Services
from shared.application.ticket_changes import Asked, Change, Changed, author, make, status_events
from shared.application.validation import read
from shared.domain.contact import same_address
from shared.domain.errors import Conflict, Invalid, NotFound, Problem
from shared.domain.message import Address
from shared.domain.ticket import MAX_LINKS, Comment, CommentKind, Status, Ticket
from shared.domain.ticket_changes import MAX_CC, OtherTicket


def merge(services: Services, tag: str, asked: Asked) -> Changed:
    """Have another ticket get what comes for this one. Both keep their logs, which say so; whoever had a part in this
    one has a part in the other. :raises Invalid: there is no such other ticket.
    """

    def change(current: Versioned[Ticket]) -> Change:
        into, now = _other(services, current, asked.data), services.clock()
        by = author(services, None, asked.by) or Address("", asked.by)
        ticket, target = current.value, into.value
        after = _noted(replace(ticket, merged_into=target.number), now).with_status(Status.CLOSED, now)
        joined = _noted(_joined(target, ticket), now)
        notes = [
            _note(after, by, f"Merged into {target.tag}."),
            _note(joined, by, f"{ticket.tag} was merged into this ticket."),
        ]
        changed = [ChangedTicket(current, after), ChangedTicket(into, joined)]
        told = status_events(current, after, now, asked.by)
        return Commit(changed_tickets=changed, comments=notes, outbox=told), None

    return make(services, tag, asked, change)


def link(services: Services, tag: str, asked: Asked) -> Changed:
    """Have two tickets name each other. :raises Invalid: there is no such other ticket."""

    def change(current: Versioned[Ticket]) -> Change:
        other = _other(services, current, asked.data)
        changed = [_linked(current, other.value.number), _linked(other, current.value.number)]
        return Commit(changed_tickets=changed), None

    return make(services, tag, asked, change)


def unlink(services: Services, tag: str, other_tag: str, asked: Asked) -> Changed:
    """Have them name each other no more. :raises NotFound: they do not."""

    def change(current: Versioned[Ticket]) -> Change:
        other = tickets.find(services, other_tag)
        if other.value.number not in current.value.linked_to or other.value.mailbox_id != current.value.mailbox_id:
            raise NotFound("they are not linked")
        changed = [_unlinked(current, other.value.number), _unlinked(other, current.value.number)]
        return Commit(changed_tickets=changed), None

    return make(services, tag, asked, change)


def _other(services: Services, current: Versioned[Ticket], data: object) -> Versioned[Ticket]:
    named = read(OtherTicket, data)
    try:
        other = tickets.find(services, named.tag)
    except NotFound as error:
        raise Invalid([Problem("$.tag", "is no ticket")]) from error
    if other.value.mailbox_id != current.value.mailbox_id:
        raise Invalid([Problem("$.tag", "is a ticket of another mailbox")])
    if other.value.number == current.value.number:
        raise Invalid([Problem("$.tag", "is the ticket itself")])
    if other.value.merged_into:
        raise Conflict(f"{other.value.tag} was merged into {other.value.prefix}-{other.value.merged_into}")
    return other


def _joined(target: Ticket, ticket: Ticket) -> Ticket:
    """Those who are told of one are told of both from now on, as far as a ticket can have so many."""
    requester = same_address(target.requester.address)
    people = {same_address(each.address): each for each in (*target.cc, ticket.requester, *ticket.cc) if each.address}
    cc = (each for key, each in people.items() if key != requester)
    joined = replace(target, cc=tuple(cc)[:MAX_CC], participants=target.participants | ticket.participants)
    return replace(joined, participants=joined.participants_with((target.requester, *joined.cc)))


def _noted(ticket: Ticket, now: datetime) -> Ticket:
    return replace(ticket, comment_count=ticket.comment_count + 1, updated_at=now)


def _note(ticket: Ticket, by: Address, text: str) -> Comment:
    return Comment(ticket.number, ticket.comment_count, CommentKind.INTERNAL, by, ticket.updated_at, text)


def _linked(ticket: Versioned[Ticket], number: int) -> ChangedTicket:
    links = tuple(sorted({*ticket.value.linked_to, number}))
    if len(links) > MAX_LINKS:
        raise Conflict(f"{ticket.value.tag} has {MAX_LINKS} links already")
    return ChangedTicket(ticket, replace(ticket.value, linked_to=links))


def _unlinked(ticket: Versioned[Ticket], number: int) -> ChangedTicket:
    links = tuple(each for each in ticket.value.linked_to if each != number)
    return ChangedTicket(ticket, replace(ticket.value, linked_to=links))
