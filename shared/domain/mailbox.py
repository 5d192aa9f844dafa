"""The configuration of a mailbox: what is stored, shown by the API and checked when it is saved."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from shared.domain.settlement import MarkRead, Settlement


def told(expected: str) -> WrapValidator:
    """Say in words what is expected instead of what did not match."""

    def validated(value: Any, validate: Callable[[Any], Any]) -> Any:
        try:
            return validate(value)
        except ValidationError:
            raise PydanticCustomError("expected", f"must be {expected}") from None

    return WrapValidator(validated)


def _known_secret(name: str, info: ValidationInfo) -> str:
    """Ask whoever validates, where they pass `secret_exists` as context; what is stored is read without."""
    if info.context and not info.context["secret_exists"](name):
        raise PydanticCustomError("secret_unknown", "names no secret that is there and enabled in Key Vault")
    return name


MailboxId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
"""Names the partition of the mailbox's tickets, so it never changes."""

SecretName = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z-]{1,127}$"),
    told("the name of a secret in Key Vault (letters, digits and hyphens), never the secret itself"),
    AfterValidator(_known_secret),
]
"""The name of a secret in Key Vault (its rule for names), never a value."""

TicketPrefix = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z][A-Z0-9]{1,9}$"),
    told("2 to 10 capital letters and digits, beginning with a letter"),
]

EmailAddress = Annotated[
    str,
    StringConstraints(pattern=r"^[^@\s<>\"(),:;\\\[\]]+@[^@\s<>\"(),:;\\\[\]]+$", max_length=254),
    told("one e-mail address without a display name"),
]


Host = Annotated[
    str,
    StringConstraints(pattern=r"^([\w.-]+|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*)$", max_length=253),
    told("a host name or an IP address, without scheme, port, user or path"),
]


def _certificates_only(pem: str) -> str:
    if "-----BEGIN CERTIFICATE-----" not in pem or "PRIVATE KEY" in pem:
        raise PydanticCustomError("pem", "must be certificates in PEM form, without a private key")
    return pem


FolderPath = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class Model(BaseModel):
    """What all parts of the configuration share: unknown keys are refused, values never change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tls(Model):
    """How the connection is secured (req T1-T3). TLS is 1.2 or later in every mode."""

    mode: Literal["none", "starttls_if_available", "starttls", "tls"] = "tls"
    verify: bool = Field(default=True, description="false accepts any certificate; health then warns")
    ca_certificate: Annotated[str, AfterValidator(_certificates_only)] | None = Field(
        default=None, max_length=20_000, description="PEM of a private certificate authority to trust as well"
    )


class ImapSource(Model):
    """Any IMAP server, signed in with a user name and a password (req C2, A1)."""

    kind: Literal["imap"] = "imap"
    host: Host
    port: int | None = Field(default=None, ge=1, le=65535, description="993 with TLS, otherwise 143 unless set")
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
    tenant: Annotated[
        str,
        Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.-]{0,253}$", description="tenant id or one of its domains"),
        told("the tenant's id or one of its domains"),
    ]
    client_id: Annotated[
        str,
        Field(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"),
        told("the application (client) id of the app registration, a GUID"),
    ]
    client_secret: SecretName
    folder: FolderPath = "inbox"


Source = Annotated[ImapSource | GraphSource, Field(discriminator="kind")]


class Intake(Model):
    """Which messages are taken in (req D1, D6, X5)."""

    unread_only: bool = False
    start_from: AwareDatetime | Literal["now", "beginning"] = Field(
        default="now", description="older messages are left alone; `now` is when the mailbox is first saved"
    )
    max_message_bytes: int = Field(default=35_000_000, ge=100_000, le=150_000_000)


class Schedule(Model):
    """How often the mailbox is polled (req O1)."""

    interval_seconds: int = Field(default=300, ge=10, le=86_400, description="from one poll to the next")

    @property
    def interval(self) -> timedelta:
        return timedelta(seconds=self.interval_seconds)


class MailboxSettings(Model):
    """A mailbox as people write it."""

    schema_version: Literal[1] = 1
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    address: EmailAddress
    enabled: bool = True
    ticket_prefix: TicketPrefix = Field(description="begins every tag, as in SUP-17; cannot be changed later")
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
