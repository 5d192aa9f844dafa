"""The configuration of a mailbox: what is stored, shown by the API and checked when it is saved."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from shared.domain.fields import Document, EmailAddress, FolderPath, Model, Proxy, Settings, told
from shared.domain.notices import Notices
from shared.domain.people import People
from shared.domain.processing import Processing
from shared.domain.replies import Replies
from shared.domain.schedule import Schedule
from shared.domain.settlement import MarkRead, Settlement
from shared.domain.sources import GraphSource, Source

TicketPrefix = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z][A-Z0-9]{1,9}$"),
    told("2 to 10 capital letters and digits, beginning with a letter"),
]


class Intake(Model):
    """Which messages are taken in (req D1, D6, X5)."""

    unread_only: bool = False
    start_from: AwareDatetime | Literal["now", "beginning"] = Field(
        default="now", description="older messages are left alone; `now` is when the mailbox is first saved"
    )
    max_message_bytes: int = Field(default=35_000_000, ge=100_000, le=150_000_000)


Days = Annotated[int, Field(ge=1, le=36_500)]


class Retention(Model):
    """After how many days what is removed; unset keeps it. What an open ticket refers to is never removed."""

    runs_days: Days | None = Field(default=400, description="the record of polls, and their sums by the hour")
    closed_tickets_days: Days | None = Field(default=None, description="since a ticket was closed: all of it")
    raw_mail_days: Days | None = Field(
        default=None, description="since it was taken in: messages as received, with attachments; the text stays"
    )
    quarantine_days: Days | None = Field(default=None, description="since a message was put there")
    receipts_days: Annotated[int, Field(ge=30, le=36_500)] | None = Field(
        default=None,
        description="what recognises messages that were taken in; only where they leave the folder (move or delete)",
    )


class MailboxSettings(Settings, Processing):
    """A mailbox as people write it."""

    address: EmailAddress
    enabled: bool = True
    ticket_prefix: TicketPrefix = Field(description="begins every tag, as in SUP-17; cannot be changed later")
    source: Source
    proxy: Proxy | None = None
    schedule: Schedule = Schedule()
    intake: Intake = Intake()
    settlement: Settlement = MarkRead()
    people: People = People()
    replies: Replies = Replies()
    notices: Notices = Notices()
    retention: Retention = Retention()
    failed_folder: FolderPath | None = Field(
        default=None, description="where messages go that are in quarantine, created if missing; unset leaves them"
    )


class Mailbox(MailboxSettings, Document):
    """A mailbox as it is stored; its id names the partition of its tickets."""

    @property
    def has_push(self) -> bool:
        return isinstance(self.source, GraphSource) and self.source.push

    def tag(self, ticket_number: int | None) -> str | None:
        """What people know the ticket as."""
        return f"{self.ticket_prefix}-{ticket_number}" if ticket_number else None

    @property
    def start_from(self) -> datetime | None:
        """The arrival before which messages are past when the mailbox is first listed; None means no limit (req D6)."""
        match self.intake.start_from:
            case "now":
                return self.created_at
            case "beginning":
                return None
            case moment:
                return moment
