"""What a mailbox on Exchange Web Services is configured with (req C4, C5, C9)."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from shared.domain.fields import EmailAddress, FolderPath, Host, Model, SecretName, Tls, told

_PATH = "/EWS/Exchange.asmx"


def _tls_from_the_start(tls: Tls) -> Tls:
    if tls.mode != "tls":
        raise PydanticCustomError("tls_mode", "must have the mode `tls`: Exchange Web Services are HTTPS")
    return tls


class PasswordSignIn(Model):
    r"""`account` is an address or `DOMAIN\user`; it may be another than the mailbox (req A1, A2, C9)."""

    kind: Literal["password"] = "password"
    account: str = Field(min_length=1, max_length=254)
    password_secret: SecretName
    method: Literal["auto", "basic", "ntlm"] = Field(default="auto", description="auto: the safer one that is offered")


class AppSignIn(Model):
    """An app of Entra ID with the role `full_access_as_app`; it acts by impersonation only (req A3)."""

    kind: Literal["app"] = "app"
    tenant: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.-]{0,253}$")
    client_id: str = Field(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")
    client_secret: SecretName


class EwsSource(Model):
    """An Exchange server of one's own. Without `server`, Autodiscover finds it from the address."""

    kind: Literal["ews"] = "ews"
    server: (
        Host
        | Annotated[
            str,
            StringConstraints(pattern=r"^https://[^/@?#\s]+/[^?#\s]*$", max_length=500),
            told("a host name, or the https:// address of the service"),
        ]
        | None
    ) = Field(default=None, union_mode="left_to_right")
    sign_in: Annotated[PasswordSignIn | AppSignIn, Field(discriminator="kind")]
    mailbox: EmailAddress | None = Field(default=None, description="the mailbox to read, unless it is the address")
    access: Literal["delegate", "impersonation"] = Field(
        default="delegate", description="delegate needs full access to the mailbox, impersonation the role for it"
    )
    version: Literal["Exchange2010_SP2", "Exchange2013_SP1", "Exchange2016"] | None = Field(
        default=None, description="the version to speak; found out unless set"
    )
    tls: Annotated[Tls, AfterValidator(_tls_from_the_start)] = Tls()
    folder: FolderPath = "inbox"

    @model_validator(mode="after")
    def _app_impersonates(self) -> Self:
        if self.sign_in.kind == "app" and self.access != "impersonation":
            raise PydanticCustomError("access", "must have the access `impersonation` where an app signs in")
        return self

    @property
    def url(self) -> str | None:
        """The address of the service; that of a bare server name is the usual one."""
        if self.server is None or urlsplit(self.server).scheme:
            return self.server
        return f"https://{self.server}{_PATH}"
