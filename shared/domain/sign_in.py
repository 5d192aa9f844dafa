"""The ways to sign in to a mailbox or a sender (req A1-A8). Whatever is secret is named, never held."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from shared.domain.clouds import CloudName
from shared.domain.fields import Account, Guid, HttpsUrl, Model, Proxy, SecretName, told

Purpose = Literal["graph", "imap", "pop", "smtp", "ews", "gmail"]
"""What an access token is for: the provider's scope for it follows from that."""

Tenant = Annotated[
    str,
    Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.-]{0,253}$", description="tenant id or one of its domains"),
    told("the tenant's id or one of its domains"),
]


class PasswordSignIn(Model):
    r"""User name and password. The account may be `DOMAIN\user` or an address (req A1, A2)."""

    kind: Literal["password"] = "password"
    account: Account
    password_secret: SecretName
    method: Literal["auto", "login", "plain", "cram_md5", "ntlm"] = Field(
        default="auto", description="`auto` takes the best that the server offers; for Exchange, `plain` is HTTP Basic"
    )


class ClientSecret(Model):
    kind: Literal["secret"] = "secret"
    secret: SecretName


class Certificate(Model):
    kind: Literal["certificate"] = "certificate"
    certificate_secret: SecretName = Field(description="holds the certificate and its private key as PEM")


class ManagedIdentity(Model):
    """The identity of this Functions app, trusted by the app registration as a federated credential: no secret."""

    kind: Literal["managed_identity"] = "managed_identity"
    identity_client_id: Guid | None = Field(
        default=None, description="of a user-assigned identity; the app's own unless set"
    )


class MicrosoftAppSignIn(Model):
    """An Entra app registration by itself (req A3, A4)."""

    kind: Literal["microsoft_app"] = "microsoft_app"
    cloud: CloudName = "global"
    tenant: Tenant
    client_id: Guid
    credential: Annotated[ClientSecret | Certificate | ManagedIdentity, Field(discriminator="kind")]


class MicrosoftUserSignIn(Model):
    """A person or service account that has signed in with Microsoft (req A5)."""

    kind: Literal["microsoft_user"] = "microsoft_user"
    cloud: CloudName = "global"
    tenant: Tenant = "organizations"
    client_id: Guid
    client_secret: SecretName | None = None
    refresh_token_secret: SecretName
    account: Account | None = Field(default=None, description="who signed in, unless it is the mailbox's address")


class GoogleUserSignIn(Model):
    """A Google account that has signed in (req A7)."""

    kind: Literal["google_user"] = "google_user"
    client_id: str = Field(min_length=1, max_length=255)
    client_secret: SecretName
    refresh_token_secret: SecretName
    account: Account | None = Field(default=None, description="who signed in, unless it is the mailbox's address")


class GoogleServiceSignIn(Model):
    """A Google service account with domain-wide delegation, acting for the mailbox (req A7)."""

    kind: Literal["google_service"] = "google_service"
    key_secret: SecretName = Field(description="holds the service account's JSON key")
    account: Account | None = Field(default=None, description="whom it acts for, unless it is the mailbox's address")


class OAuth2SignIn(Model):
    """Any other OAuth 2 provider (req A6)."""

    kind: Literal["oauth2"] = "oauth2"
    client_id: str = Field(min_length=1, max_length=255)
    client_secret: SecretName | None = None
    authorization_url: HttpsUrl
    token_url: HttpsUrl
    scopes: str = Field(max_length=1000, description="with spaces between")
    refresh_token_secret: SecretName
    account: Account | None = Field(default=None, description="who signed in, unless it is the mailbox's address")


MicrosoftSignIn = MicrosoftAppSignIn | MicrosoftUserSignIn
UserSignIn = MicrosoftUserSignIn | GoogleUserSignIn | OAuth2SignIn
"""Those that a person began in a browser; a refresh token goes on with them."""

GoogleSignIn = GoogleUserSignIn | GoogleServiceSignIn
TokenSignIn = MicrosoftSignIn | GoogleSignIn | OAuth2SignIn
"""Those that end in an access token."""


class NewSignIn(Model):
    """What a person is to sign in for; their refresh token goes into the secret that the sign-in names."""

    sign_in: Annotated[UserSignIn, Field(discriminator="kind")]
    purposes: tuple[Purpose, ...] = Field(
        default=(), max_length=6, description="what the tokens are for; `graph` or `gmail` unless given"
    )
    proxy: Proxy | None = Field(default=None, description="that of the mailbox or sender")


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """Somebody on the way through the pages of a provider. `key` is empty once they came back: with the state that
    only their browser has, it makes the PKCE verifier, so that neither alone is of use to anybody.
    """

    id: str
    asked: NewSignIn
    key: str
    expires_at: datetime
    status: Literal["waiting", "done", "failed"] = "waiting"
    account: str = ""
    error: str = ""
    advice: str = ""
