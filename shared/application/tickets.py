"""Reading tickets: lists over one mailbox or all of them, one ticket by its tag, and what its messages hold."""

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from shared.application.continuations import Continuation
from shared.application.ports.stores import Versioned
from shared.application.services import Services
from shared.application.side_by_side import newest_first
from shared.domain.errors import NotFound
from shared.domain.ticket import Comment, Ticket

_POSITIONS = Continuation[dict[str, int]](dict[str, Annotated[int, Field(ge=1, le=9_999_999_999)]])
"""For each mailbox the number of its last ticket that was listed; none while the list has not come to its tickets."""


def newest(
    services: Services, mailbox_ids: Sequence[str], *, open_only: bool, limit: int, continuation: str | None
) -> tuple[list[Ticket], str | None]:
    """The next tickets of these mailboxes, newest first, and where to continue; None says that there are no more.

    :raises Invalid: the continuation is none of ours.
    """
    positions = _POSITIONS.read(continuation) if continuation else {}

    def page(mailbox_id: str, last: Ticket | None, size: int) -> Sequence[Ticket]:
        before = last.number if last else positions.get(mailbox_id)
        return services.tickets.tickets(mailbox_id, open_only=open_only, limit=size, before=before)

    listed, has_more = newest_first(mailbox_ids, limit, page, key=lambda ticket: ticket.created_at)
    if not has_more:
        return listed, None
    return listed, _POSITIONS.write({**positions, **{ticket.mailbox_id: ticket.number for ticket in listed}})


def find(services: Services, tag: str) -> Versioned[Ticket]:
    """The ticket that people know as this tag, in any case. :raises NotFound:"""
    prefix, _, number = tag.upper().partition("-")
    mailbox = next((each for each in services.mailboxes.cached() if each.ticket_prefix == prefix), None)
    if mailbox and re.fullmatch(r"[1-9][0-9]{0,9}", number):
        found = services.tickets.ticket(mailbox.id, int(number))
        if found:
            return found
    raise NotFound("there is no such ticket")


def raw_message(services: Services, ticket: Ticket, seq: int) -> bytes:
    """The message that made a comment, as received. :raises NotFound: also where no message made it."""
    comment = _comment(services.tickets.comments(ticket.mailbox_id, ticket.number), seq)
    if comment.raw is None:
        raise NotFound("this comment was made by no message")
    return services.raws.get(ticket.mailbox_id, comment.raw)


def _comment(comments: Sequence[Comment], seq: int) -> Comment:
    for comment in comments:
        if comment.seq == seq:
            return comment
    raise NotFound("there is no such comment")
