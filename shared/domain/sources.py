"""The settings of each kind of source."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from shared.domain.fields import Account, EmailAddress, Folders, Host, Model, Port, Tls, told
from shared.domain.sign_in import (
    GoogleServiceSignIn,
    GoogleSignIn,
    GoogleUserSignIn,
    MicrosoftAppSignIn,
    MicrosoftSignIn,
    MicrosoftUserSignIn,
    OAuth2SignIn,
    PasswordSignIn,
)

AnySignIn = Annotated[
    PasswordSignIn | MicrosoftAppSignIn | MicrosoftUserSignIn | GoogleUserSignIn | GoogleServiceSignIn | OAuth2SignIn,
    Field(discriminator="kind"),
]


class _MailServer(Model):
    """What IMAP and POP3 have in common."""

    host: Host
    port: Port | None = Field(default=None, description="the usual one of the protocol and the TLS mode unless set")
    sign_in: AnySignIn
    tls: Tls = Tls()


class ImapSource(_MailServer):
    """Any IMAP server (req C2)."""

    kind: Literal["imap"] = "imap"
    mailbox: Account | None = Field(
        default=None, description="the mailbox to read where it is not the account's own, such as a shared one"
    )
    folders: Folders = ("INBOX",)

    @property
    def effective_port(self) -> int:
        return self.port or (993 if self.tls.mode == "tls" else 143)


class Pop3Source(_MailServer):
    """Any POP3 server with unique ids for messages (req C3). What is there at the first poll is the past."""

    kind: Literal["pop3"] = "pop3"

    @property
    def effective_port(self) -> int:
        return self.port or (995 if self.tls.mode == "tls" else 110)


class GraphSource(Model):
    """Exchange Online through Microsoft Graph (req C1)."""

    kind: Literal["graph"] = "graph"
    sign_in: Annotated[MicrosoftSignIn, Field(discriminator="kind")]
    mailbox: EmailAddress | None = Field(default=None, description="the mailbox to read, unless it is the address")
    folders: Folders = ("inbox",)
    push: bool = Field(
        default=False,
        description="have Graph notify us of new mail, which is then polled within seconds; needs PUBLIC_URL",
    )


class GmailSource(Model):
    """Gmail and Google Workspace through the Gmail API (req C6)."""

    kind: Literal["gmail"] = "gmail"
    sign_in: Annotated[GoogleSignIn, Field(discriminator="kind")]
    mailbox: EmailAddress | None = Field(
        default=None, description="the account's own address, where the mailbox's is an alias"
    )
    folders: Folders = ("INBOX",)


def _tls_from_the_start(tls: Tls) -> Tls:
    if tls.mode != "tls":
        raise PydanticCustomError("tls_mode", "must have the mode `tls`: Exchange Web Services are HTTPS")
    return tls


class ExchangeServer(Model):
    """An Exchange server of one's own. Without `server`, Autodiscover finds it from the address."""

    server: (
        Host
        | Annotated[
            str,
            StringConstraints(pattern=r"^https://[^/@?#\s]+/[^?#\s]*$", max_length=500),
            told("a host name, or the https:// address of the service"),
        ]
        | None
    ) = Field(default=None, union_mode="left_to_right")
    sign_in: Annotated[PasswordSignIn | MicrosoftAppSignIn, Field(discriminator="kind")]
    mailbox: EmailAddress | None = Field(default=None, description="the mailbox to use, unless it is the address")
    access: Literal["delegate", "impersonation"] = Field(
        default="delegate", description="delegate needs full access to the mailbox, impersonation the role for it"
    )
    version: Literal["Exchange2010_SP2", "Exchange2013_SP1", "Exchange2016"] | None = Field(
        default=None, description="the version to speak; found out unless set"
    )
    tls: Annotated[Tls, AfterValidator(_tls_from_the_start)] = Tls()

    @model_validator(mode="after")
    def _signs_in_as_exchange_can(self) -> Self:
        if isinstance(self.sign_in, MicrosoftAppSignIn):
            if self.access != "impersonation":
                raise PydanticCustomError("access", "must have the access `impersonation` where an app signs in")
        elif self.sign_in.method not in ("auto", "plain", "ntlm"):
            raise PydanticCustomError("method", "must sign in by the method `auto`, `plain` (HTTP Basic) or `ntlm`")
        return self

    @property
    def url(self) -> str | None:
        """The address of the service; that of a bare server name is the usual one."""
        if self.server is None or urlsplit(self.server).scheme:
            return self.server
        return f"https://{self.server}/EWS/Exchange.asmx"


class EwsSource(ExchangeServer):
    """Exchange through its Web Services (req C4, C5)."""

    kind: Literal["ews"] = "ews"
    folders: Folders = ("inbox",)


Source = Annotated[ImapSource | GraphSource | EwsSource | Pop3Source | GmailSource, Field(discriminator="kind")]
