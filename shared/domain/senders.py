"""The configuration of a sender: who messages are from, and the server that takes them (req M1, M2)."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from shared.domain.fields import Document, EmailAddress, Host, Model, Port, Proxy, Settings, Tls, told
from shared.domain.sign_in import GoogleSignIn, MicrosoftSignIn
from shared.domain.sources import AnySignIn, ExchangeServer

_USUAL_PORTS = {"tls": 465, "starttls": 587, "starttls_if_available": 587, "none": 25}

DisplayName = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x1f\x7f\u0085\u2028\u2029]*$", max_length=100),
    told("a name of at most 100 characters, without control characters"),
]


class SmtpTransport(Model):
    """Any SMTP server that takes messages from people or from its network (RFC 6409)."""

    kind: Literal["smtp"] = "smtp"
    host: Host
    port: Port | None = Field(default=None, description="465 for `tls`, 587 for STARTTLS, 25 for `none` unless set")
    tls: Tls = Tls()
    sign_in: AnySignIn | None = Field(default=None, description="unset where the server asks nobody to sign in")

    @property
    def effective_port(self) -> int:
        return self.port or _USUAL_PORTS[self.tls.mode]


class GraphTransport(Model):
    """Exchange Online through Microsoft Graph."""

    kind: Literal["graph"] = "graph"
    sign_in: Annotated[MicrosoftSignIn, Field(discriminator="kind")]
    mailbox: EmailAddress | None = Field(
        default=None, description="the mailbox to send from, unless the address has it"
    )


class EwsTransport(ExchangeServer):
    """An Exchange server of one's own through its Web Services."""

    kind: Literal["ews"] = "ews"


class GmailTransport(Model):
    """Gmail and Google Workspace through the Gmail API."""

    kind: Literal["gmail"] = "gmail"
    sign_in: Annotated[GoogleSignIn, Field(discriminator="kind")]
    mailbox: EmailAddress | None = Field(
        default=None, description="the account's own address, where the sender's is an alias of it"
    )


Transport = Annotated[SmtpTransport | GraphTransport | EwsTransport | GmailTransport, Field(discriminator="kind")]


class Limits(Model):
    """What the server may be asked for; whoever sends keeps to it."""

    messages_per_minute: int = Field(default=30, ge=1, le=10_000)
    recipients_per_message: int = Field(default=100, ge=1, le=1_000)


class SenderSettings(Settings):
    """A sender as people write it."""

    enabled: bool = True
    from_address: EmailAddress
    from_name: DisplayName = Field(default="", description="shown beside the address; the mailbox's name unless set")
    reply_to: EmailAddress | None = Field(default=None, description="where answers go, unless to the mailbox")
    transport: Transport
    proxy: Proxy | None = None
    limits: Limits = Limits()


class Sender(SenderSettings, Document):
    """A sender as it is stored. `made_primary_at` is when somebody last chose it as the primary one."""

    made_primary_at: AwareDatetime | None = None


def primary(senders: Iterable[Sender]) -> Sender | None:
    """The one that stands in for all others: of those that are enabled the one chosen last, or the oldest where none
    was. So there is always exactly one, whoever changes or disables what at the same time.
    """
    never = datetime.min.replace(tzinfo=UTC)
    oldest_first = sorted((each for each in senders if each.enabled), key=lambda each: (each.created_at, each.id))
    return max(oldest_first, key=lambda each: each.made_primary_at or never, default=None)
