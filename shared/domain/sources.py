"""The settings of each kind of source."""

from typing import Annotated, Literal

from pydantic import Field

from shared.domain.fields import Account, EmailAddress, Folders, Host, Model, Port, Tls
from shared.domain.sign_in import (
    GoogleServiceSignIn,
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


class GraphSource(Model):
    """Exchange Online through Microsoft Graph (req C1)."""

    kind: Literal["graph"] = "graph"
    sign_in: Annotated[MicrosoftSignIn, Field(discriminator="kind")]
    mailbox: EmailAddress | None = Field(default=None, description="the mailbox to read, unless it is the address")
    folders: Folders = ("inbox",)


Source = Annotated[ImapSource | GraphSource, Field(discriminator="kind")]
