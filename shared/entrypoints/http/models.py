"""The shapes of answers. Requests have the shapes of the configuration itself (`shared.domain.mailbox`)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Literal, Self

from pydantic import BaseModel, Field

from shared.application import dry_run, explain
from shared.application.ports import connections
from shared.domain import mailbox, senders
from shared.domain.draft import Draft
from shared.domain.health import Level
from shared.domain.kinds import Kind
from shared.domain.ticket import CommentKind, Outcome, Status, TicketFields


class Failure(BaseModel):
    """Why the last poll failed, and what to do about it."""

    code: str
    text: str
    advice: str | None


class Finding(BaseModel):
    """One thing to know: `error` where mail does not get through, `warning` where that may come or something is less
    safe than it could be. `code` is stable.
    """

    level: Level
    code: str
    text: str
    advice: str


class Backlog(BaseModel):
    """Mail that the polls since then have left waiting. What was taken in last had waited for `first_wait` then and for
    `wait` now (ISO 8601 durations); None where the mail server tells no times.
    """

    since: datetime
    first_wait: timedelta | None
    wait: timedelta | None


class MailboxHealth(BaseModel):
    """How a mailbox is doing: `level` is the worst of its findings. `next_due_at` and `last_polled_at` are None before
    its first poll, which comes within a minute.
    """

    level: Level
    next_due_at: datetime | None = None
    last_polled_at: datetime | None = None
    last_success_at: datetime | None = None
    consecutive_failures: int = 0
    last_error: Failure | None = None
    last_outcomes: dict[str, int] = {}
    secret_expires_at: datetime | None = None
    backlog: Backlog | None = None
    findings: list[Finding]


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


class SenderHealth(BaseModel):
    """How one sender is doing: `level` is the worst of its findings."""

    id: str
    name: str
    enabled: bool
    level: Level
    findings: list[Finding]


class Health(BaseModel):
    """`level` is the worst of all findings: those about the deployment as a whole, which are here, and those of each
    mailbox and sender. Where nothing works, because the app settings are wrong or the storage cannot be reached, only
    the findings that tell why are there.
    """

    level: Level
    findings: list[Finding] = []
    mailboxes: list[NamedHealth] = []
    senders: list[SenderHealth] = []


class Liveness(BaseModel):
    status: Literal["ok"]


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

    @classmethod
    def of(cls, stages: Sequence[connections.CheckStage]) -> Self:
        return cls(ok=all(each.ok for each in stages), stages=[CheckStage(**asdict(each)) for each in stages])


class Sender(senders.Sender):
    """A configured sender. The primary one stands in for those that fail; there is always one, if any is enabled."""

    primary: bool
    warnings: tuple[str, ...]


class Senders(BaseModel):
    senders: list[Sender]


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


class Folder(BaseModel):
    """A folder by its full path, with `/` between the segments."""

    path: str
    role: str | None


class Folders(BaseModel):
    folders: list[Folder]


class Address(BaseModel):
    address: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket(TicketFields):
    """One ticket; `linked_to` are the tags of tickets that people have linked it to, or that its first message speaks
    of; `merged_into` is the tag of the one that gets its messages now.
    """

    tag: str
    mailbox_id: str
    number: int
    status: Status
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    comment_count: int
    linked_to: list[str]
    merged_into: str | None
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
    """Where the message that made a comment is, as received and as sanitised HTML, and what is to be known of it.
    `defects` name what was broken in it and repaired.
    """

    message_id: str | None
    size: int
    protection: str = Field(description="such as `smime-signed` or `pgp-encrypted`; empty where it is neither")
    defects: tuple[str, ...]
    raw_href: str
    html_href: str


class Comment(BaseModel):
    """One entry of the log. `text` is what its author wrote, `full_text` what the reply quotes as well, where it does.
    `is_cut`: they are only the beginning, the whole is in the message.
    """

    seq: int
    kind: CommentKind
    author: Address
    at: datetime
    text: str
    full_text: str | None
    is_cut: bool
    notes: tuple[str, ...]
    message: Message | None
    attachments: list[Attachment]


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketWithComments(Ticket):
    """One ticket with its log, oldest comment first."""

    comments: list[Comment]


class Step(BaseModel):
    """One thing that was looked at: whether it had a say in the matter, and what it said."""

    stage: str
    name: str
    matched: bool
    detail: str


class Explanation(BaseModel):
    """What would become of a message: `ticket` is the tag of the ticket that it would be added to, or linked to where
    it would open one of its own (`draft`); `mailbox_id` is the mailbox whose ticket it would be instead.
    """

    subject: str
    outcome: Outcome
    reason: str
    kind: Kind
    kind_reasons: tuple[str, ...]
    ticket: str | None
    draft: Draft | None
    comment: CommentKind | None
    status: Status | None
    mailbox_id: str | None
    steps: list[Step]


class Explanations(BaseModel):
    """In the order of the messages."""

    messages: list[Explanation]


def explanation(explained: explain.Explanation) -> Explanation:
    message = explained.message
    shown = {
        "subject": message.subject,
        "kind": message.kind,
        "kind_reasons": message.kind_reasons,
        "draft": explained.draft,
    }
    return Explanation(**asdict(explained) | shown)


class DryRunResult(Explanations):
    """In the order in which a poll would take them in; `continuation` asks for the next ones, None says that no more
    are waiting.
    """

    continuation: str | None

    @classmethod
    def of(cls, found: dry_run.WouldBe) -> Self:
        return cls(messages=[explanation(each) for each in found.messages], continuation=found.continuation)
