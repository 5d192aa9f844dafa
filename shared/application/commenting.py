"""Comments that people make: kept as messages are, so that they are read in the same way; the public ones are sent."""

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace

from shared.application.ports.stores import Versioned
from shared.application.ports.tickets import ChangedTicket, Commit, StoredRaw
from shared.application.services import Services
from shared.application.ticket_changes import (
    Asked,
    Change,
    author,
    mailbox_of,
    make,
    people_in_copy,
    status_events,
)
from shared.application.validation import read
from shared.domain.contact import same_address
from shared.domain.errors import Invalid, NotFound, Problem
from shared.domain.message import Address
from shared.domain.outbox import EventType, OutboxEntry, event
from shared.domain.outgoing import OutgoingAttachment, OutgoingMessage
from shared.domain.ticket import Comment, CommentKind, Status, Ticket
from shared.domain.ticket_changes import MAX_ATTACHED_BYTES, MAX_CC, NewComment
from shared.mime import parse
from shared.mime.compose import compose
from shared.mime.rich_text import text_and_html


def comment(services: Services, tag: str, asked: Asked) -> tuple[Versioned[Ticket], Comment]:
    """Add a comment to a ticket.

    :raises Invalid: with every problem.
    :raises NotFound: it was made before, and is gone.
    """
    done = make(services, tag, asked, lambda current: _commented(services, current, asked))
    if done.comment is None:
        raise NotFound("the comment that was made is gone")
    return done.ticket, done.comment


def _commented(services: Services, current: Versioned[Ticket], asked: Asked) -> Change:
    ticket, now = current.value, services.clock()
    new = read(NewComment, asked.data)
    by = author(services, new.author, asked.by)
    copied, wrong = people_in_copy(services, ticket, new.cc)
    problems = [*_problems(services, ticket, new, by), *wrong]
    if problems or by is None:
        raise Invalid(problems)
    cc = _cc(ticket, copied)
    made, row = _made(services, ticket, new, by)
    after = replace(
        ticket.with_status(_status(ticket, new), now),
        updated_at=now,
        comment_count=made.seq,
        cc=cc,
        participants=ticket.participants_with((ticket.requester, *cc)),
    )
    events = [_told(made, new), *status_events(current, after, now, by.address)]
    changed, rows = [ChangedTicket(current, after)], [row] if row else []
    return Commit(changed_tickets=changed, comments=[made], raws=rows, outbox=events), made


def _made(services: Services, ticket: Ticket, new: NewComment, by: Address) -> tuple[Comment, StoredRaw | None]:
    content = _composed(services, ticket, new, by)
    pointer, row = services.raws.pack(ticket.mailbox_id, content)
    message = parse(content)
    made = Comment(
        ticket_number=ticket.number,
        seq=ticket.comment_count + 1,
        kind=new.kind,
        author=by,
        at=services.clock(),
        text=message.text,
        raw=pointer,
        attachments=message.attachments,
    )
    return made, row


def _told(made: Comment, new: NewComment) -> OutboxEntry:
    return event(
        EventType.TICKET_COMMENTED,
        f"{made.ticket_number}-{made.seq}",
        made.at,
        ticket=made.ticket_number,
        seq=made.seq,
        by=made.author.address,
        technician=True,
        internal=new.kind is CommentKind.INTERNAL,
        **({"sender": new.sender} if new.sender else {}),
    )


def _problems(services: Services, ticket: Ticket, new: NewComment, by: Address | None) -> Iterator[Problem]:
    if by is None:
        yield Problem("$.author", "is no technician's address")
    enabled = [each.id for each in services.senders.cached() if each.enabled]
    if new.sender and new.sender not in enabled:
        yield Problem("$.sender", "is no sender that is enabled")
    elif new.sender and not mailbox_of(services, ticket).notices.technicians_choose_sender:
        yield Problem("$.sender", "cannot be chosen: the mailbox says who its answers are from")
    if new.kind is CommentKind.INTERNAL:
        for name in ("cc", "sender"):
            if getattr(new, name):
                yield Problem(f"$.{name}", "belongs to public comments: internal ones are not sent to anybody outside")
    if len(_cc(ticket, tuple(Address(each.address) for each in new.cc))) > MAX_CC:
        yield Problem("$.cc", f"makes more than {MAX_CC} people in copy of the ticket")
    if sum(len(each.content) for each in new.attachments) * 3 // 4 > MAX_ATTACHED_BYTES:
        yield Problem("$.attachments", f"have more than {MAX_ATTACHED_BYTES} bytes together")


def _cc(ticket: Ticket, copied: tuple[Address, ...]) -> tuple[Address, ...]:
    known = {same_address(each.address) for each in ticket.cc}
    return (*ticket.cc, *(each for each in copied if same_address(each.address) not in known))


def _status(ticket: Ticket, new: NewComment) -> Status:
    """The first answer opens a new ticket."""
    opens = ticket.status is Status.NEW and new.kind is CommentKind.PUBLIC
    return new.status or (Status.OPEN if opens else ticket.status)


def _composed(services: Services, ticket: Ticket, new: NewComment, by: Address) -> bytes:
    """What somebody wrote, as a message; what is sent is made of it, and names its recipients."""
    mailbox = mailbox_of(services, ticket)
    text, html = (new.text, "") if new.text else text_and_html(new.html or "")
    return compose(
        OutgoingMessage(
            message_id="",
            sender=Address(mailbox.address, by.name or mailbox.name),
            to=(),
            at=services.clock(),
            subject=ticket.subject,
            tag=ticket.tag,
            text=text or "",
            html=html,
            attachments=tuple(
                OutgoingAttachment(each.name, each.content_type, b64decode(each.content), each.content_id or "")
                for each in new.attachments
            ),
        )
    )
