"""The shapes of answers. Requests have the shapes of the configuration itself (`shared.domain.mailbox`)."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from shared.application.health import MailboxStatus
from shared.domain import mailbox, ticket


class Failure(BaseModel):
    """Why the last poll failed, and what to do about it."""

    code: str
    text: str
    advice: str | None


class MailboxHealth(BaseModel):
    """How a mailbox is doing. `next_due_at` is None before its first poll, which comes within a minute."""

    status: MailboxStatus
    next_due_at: datetime | None = None
    last_polled_at: datetime | None = None
    last_success_at: datetime | None = None
    consecutive_failures: int = 0
    last_error: Failure | None = None
    last_outcomes: dict[str, int] = {}
    warnings: tuple[str, ...] = ()


class Mailbox(mailbox.Mailbox):
    """A configured mailbox and how it is doing. Secrets are shown by their names only."""

    health: MailboxHealth


class Mailboxes(BaseModel):
    mailboxes: list[Mailbox]


class NamedHealth(MailboxHealth):
    """How one mailbox of the list is doing."""

    id: str
    name: str
    enabled: bool


class Health(BaseModel):
    """`broken`: the app settings are wrong or the storage cannot be reached, so nothing works; `failing`: at least one
    mailbox cannot be polled.
    """

    status: Literal["ok", "failing", "broken"]
    problems: list[str] = Field(default=[], description="what keeps everything from working")
    warnings: list[str] = []
    mailboxes: list[NamedHealth] = []


class CheckStage(BaseModel):
    """One stage of a connection test. A stage with `warning` is passed, and should be looked at all the same."""

    name: str
    ok: bool
    warning: bool
    milliseconds: int
    detail: str
    code: str | None
    advice: str


class ConnectionTestResult(BaseModel):
    ok: bool
    stages: list[CheckStage]


class StartedSignIn(BaseModel):
    id: str
    authorization_url: str = Field(description="for the browser of whoever signs in")
    expires_at: datetime


class SignIn(BaseModel):
    """How a sign-in is going; `account` is who has signed in, where the provider tells."""

    id: str
    status: Literal["waiting", "done", "failed"]
    expires_at: datetime
    account: str
    error: str
    advice: str


class PollAccepted(BaseModel):
    correlation_id: str = Field(description="finds the events of this poll in the log")


class PollRun(BaseModel):
    """One pass over the mailbox; `listed` is the sum of `outcomes`. `ignored` counts by reason."""

    started_at: datetime
    ended_at: datetime
    reason: str
    listed: int
    outcomes: dict[str, int]
    ignored: dict[str, int]
    error_code: str | None


class PollRuns(BaseModel):
    runs: list[PollRun]


class QuarantineEntry(BaseModel):
    """A message that could not be handled. `size` is in bytes; None where its bytes could never be fetched."""

    id: str
    folder: str
    at: datetime
    attempts: int
    error_code: str
    error: str
    size: int | None


class Quarantine(BaseModel):
    entries: list[QuarantineEntry]


class Folder(BaseModel):
    """A folder by its full path, with `/` between the segments."""

    path: str
    role: str | None


class Folders(BaseModel):
    folders: list[Folder]


class Address(BaseModel):
    address: str
    name: str


class Ticket(BaseModel):
    """One ticket; `linked_to` is the tag of a ticket that its first message speaks of."""

    tag: str
    mailbox_id: str
    number: int
    subject: str
    requester: Address
    status: ticket.Status
    created_at: datetime
    updated_at: datetime
    comment_count: int
    linked_to: str | None
    href: str


class Tickets(BaseModel):
    """Newest first; `continuation` asks for the next page, None says that there is none."""

    tickets: list[Ticket]
    continuation: str | None


class Attachment(BaseModel):
    """`size` is in bytes. `inline` is true where the HTML shows it."""

    index: int
    name: str
    content_type: str
    size: int
    inline: bool
    href: str


class Message(BaseModel):
    """Where the message that made a comment is: as received, and as sanitised HTML."""

    message_id: str | None
    size: int
    raw_href: str
    html_href: str


class Comment(BaseModel):
    """One entry of the log. `is_cut`: `text` is only the beginning, the whole is in the message."""

    seq: int
    kind: ticket.CommentKind
    author: Address
    at: datetime
    text: str
    is_cut: bool
    notes: tuple[str, ...]
    message: Message | None
    attachments: list[Attachment]


class TicketWithComments(Ticket):
    """One ticket with its log, oldest comment first."""

    comments: list[Comment]
