"""The configuration of a mailbox: what is stored, shown by the API and checked when it is saved."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from shared.domain.settlement import MarkRead, Settlement

MailboxId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
"""Names the partition of the mailbox's tickets, so it never changes."""

SecretName = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,127}$")]
"""The name of a secret in Key Vault (its rule for names), never a value."""

TicketPrefix = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{1,9}$")]

EmailAddress = Annotated[
    str, StringConstraints(pattern=r"^[^@\s<>\"(),:;\\\[\]]+@[^@\s<>\"(),:;\\\[\]]+$", max_length=254)
]


def _no_scheme_or_path(host: str) -> str:
    if any(character in host for character in "/@ \t\\") or "://" in host:
        raise ValueError("give a host name or an IP address only, without scheme, user or path")
    return host


Host = Annotated[str, StringConstraints(min_length=1, max_length=253), AfterValidator(_no_scheme_or_path)]
FolderPath = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class Model(BaseModel):
    """What all parts of the configuration share: unknown keys are refused, values never change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tls(Model):
    """How the connection is secured (req T1-T3). TLS is 1.2 or later in every mode."""

    mode: Literal["none", "starttls_if_available", "starttls", "tls"] = "tls"
    verify: bool = True
    ca_certificate: str | None = Field(
        default=None, max_length=50_000, description="PEM of a private certificate authority to trust as well"
    )


class ImapSource(Model):
    kind: Literal["imap"] = "imap"
    host: Host
    port: int | None = Field(default=None, ge=1, le=65535)
    username: str = Field(min_length=1, max_length=254)
    password_secret: SecretName
    tls: Tls = Tls()
    folder: FolderPath = "INBOX"

    @property
    def effective_port(self) -> int:
        return self.port or (993 if self.tls.mode == "tls" else 143)


class GraphSource(Model):
    """Exchange Online through Microsoft Graph, signed in as an app with a client secret (req C1, A3)."""

    kind: Literal["graph"] = "graph"
    tenant: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.-]{0,253}$", description="tenant id or one of its domains")
    client_id: str = Field(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")
    client_secret: SecretName
    folder: FolderPath = "inbox"


Source = Annotated[ImapSource | GraphSource, Field(discriminator="kind")]


class Intake(Model):
    """Which messages are taken in (req D1, D6, X5)."""

    unread_only: bool = False
    start_from: AwareDatetime | Literal["now", "beginning"] = "now"
    max_message_bytes: int = Field(default=35_000_000, ge=100_000, le=150_000_000)


class Schedule(Model):
    """How often the mailbox is polled (req O1)."""

    interval_seconds: int = Field(default=300, ge=10, le=86_400)

    @property
    def interval(self) -> timedelta:
        return timedelta(seconds=self.interval_seconds)


class MailboxSettings(Model):
    """A mailbox as people write it."""

    schema_version: Literal[1] = 1
    name: str = Field(min_length=1, max_length=100)
    address: EmailAddress
    enabled: bool = True
    ticket_prefix: TicketPrefix
    source: Source
    schedule: Schedule = Schedule()
    intake: Intake = Intake()
    settlement: Settlement = MarkRead()


class Mailbox(MailboxSettings):
    """A mailbox as it is stored: with its id and the moment it was first configured."""

    id: MailboxId
    created_at: AwareDatetime

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
