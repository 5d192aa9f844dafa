"""The erasure of what is stored about a person, and the record that it was done, which does not name them."""

import re
from dataclasses import replace

from pydantic import AwareDatetime, Field

from shared.domain.contact import same_address
from shared.domain.fields import Document, EmailAddress, Model
from shared.domain.message import Address
from shared.domain.ticket import Comment, Ticket

ERASED = "[erased]"
NOBODY = Address("", ERASED)


class ErasureRequest(Model):
    """Whose data. With `plan` it is counted, and nothing is changed."""

    address: EmailAddress
    plan: bool = True


class Erasure(Document):
    """`person` is the SHA-256 of the address; mailboxes up to the id `position` are done. `counts` says how many were
    changed or removed, by what they are.
    """

    by: str
    person: str
    position: str = ""
    counts: dict[str, int] = Field(default={})
    finished_at: AwareDatetime | None = None


def is_about(ticket: Ticket, person: str) -> bool:
    """`person` is the address as `same_address` gives it."""
    addresses = [ticket.requester.address, ticket.assignee, *ticket.participants, *(each.address for each in ticket.cc)]
    return person in map(same_address, addresses)


def erased_ticket(ticket: Ticket, person: str) -> Ticket:
    """Without the person; where it is their own, also without what they have called it and filled in."""
    left = replace(
        ticket,
        participants=frozenset(each for each in ticket.participants if same_address(each) != person),
        cc=tuple(each for each in ticket.cc if same_address(each.address) != person),
        assignee="" if same_address(ticket.assignee) == person else ticket.assignee,
    )
    if same_address(ticket.requester.address) != person:
        return left
    return replace(left, requester=NOBODY, subject=ERASED, custom={}, external_id="", company="")


def erased_comment(comment: Comment, person: str, *, keeps_texts: bool) -> Comment:
    """What the person wrote goes, unless it was written for us; of what others wrote there, what they quoted and the
    address. The message as received goes in any case: it names everybody.
    """
    bare = replace(comment, full_text=None, raw=None, attachments=())
    if same_address(comment.author.address) == person:
        left = replace(bare, author=NOBODY)
        return left if keeps_texts else replace(left, text=ERASED, notes=(), message_id=None)
    return replace(bare, text=re.sub(re.escape(person), ERASED, comment.text, flags=re.IGNORECASE))
