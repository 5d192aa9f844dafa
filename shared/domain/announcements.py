"""Announcements: one text to many people, each of them told singly (req M8)."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from shared.domain.contact import Contact, ContactFilter, Group, Line, Role
from shared.domain.fields import Document, DocumentId, EmailAddress, Model, NotEmpty
from shared.domain.kinds import takes_no_replies
from shared.domain.people import Insiders
from shared.domain.ticket_changes import Subject, Words


class GroupAudience(Model):
    """The contacts of a group."""

    kind: Literal["group"] = "group"
    group: Group


class CompanyAudience(Model):
    """The contacts of a company."""

    kind: Literal["company"] = "company"
    company: Annotated[Line, StringConstraints(min_length=1)]


class FilterAudience(Model):
    """The contacts that all of these admit; `text` is part of the address, the name or the company."""

    kind: Literal["filter"] = "filter"
    role: Role | None = None
    group: Group | None = None
    company: Line | None = None
    text: Line | None = None


class AddressesAudience(Model):
    """These people, whether they are contacts or not; whoever is named twice is told once."""

    kind: Literal["addresses"] = "addresses"
    addresses: Annotated[tuple[EmailAddress, ...], NotEmpty] = Field(max_length=10_000)


Audience = Annotated[GroupAudience | CompanyAudience | FilterAudience | AddressesAudience, Field(discriminator="kind")]


class NewAnnouncement(Words):
    """An announcement as people write it."""

    mailbox: DocumentId = Field(description="the id of the mailbox that it comes from, and that answers go to")
    subject: Subject
    audience: Audience
    sender: DocumentId | None = Field(default=None, description="sends it; unset is as configured for the mailbox")
    required: bool = Field(
        default=False,
        description="told to those who have unsubscribed too, who must know: it has no way to unsubscribe",
    )


class Announcement(Document):
    """An announcement as it is kept; what it says and to whom is in blob storage, under `sha256`. `queued` are the
    messages that were owed so far, and `withdrawn` those of them that were cancelled before they were sent.
    """

    mailbox_id: DocumentId
    subject: str
    by: str
    audience: str
    required: bool
    digest: str
    sha256: str
    size: int
    recipients: int
    queued: int = 0
    withdrawn: int = 0
    queued_all_at: AwareDatetime | None = None
    cancelled_at: AwareDatetime | None = None


def contact_filter(audience: GroupAudience | CompanyAudience | FilterAudience) -> ContactFilter:
    """The contacts that it is for."""
    return ContactFilter(**audience.model_dump(exclude={"kind"}))


def left_out(contact: Contact, insiders: Insiders, *, required: bool) -> str | None:
    """Why somebody of the audience is not told."""
    if insiders.owns(contact.mailbox):
        return "own_address"
    if contact.bounced_at:
        return "bounced"
    if takes_no_replies(contact.mailbox):
        return "no_reply_address"
    return "unsubscribed" if contact.unsubscribed_at and not required else None
