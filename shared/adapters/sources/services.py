"""What every source is given beside its mailbox."""

from dataclasses import dataclass, replace
from typing import Protocol, Self

from shared.adapters.proxy import ProxyAccess, proxy_access
from shared.application.ports.platform import Clock, SecretStore
from shared.domain.fields import Proxy
from shared.domain.sign_in import Purpose, TokenSignIn
from shared.settings import Settings


class TokenIssuer(Protocol):
    """Access tokens, cached, for every way to sign in that ends in one."""

    def token(self, sign_in: TokenSignIn, purpose: Purpose) -> str:
        """An access token.

        :raises CredentialsRejected: with advice by the provider's error code.
        :raises SourceUnavailable: the identity provider does not answer.
        """

    def forget(self, sign_in: TokenSignIn, purpose: Purpose) -> None:
        """Fetch a fresh token next time: the provider has rejected what we had."""

    def through(self, proxy: ProxyAccess | None) -> Self:
        """The same tokens, asked for through this proxy."""


@dataclass(frozen=True, slots=True)
class SourceServices:
    settings: Settings
    secrets: SecretStore
    tokens: TokenIssuer
    clock: Clock
    proxy: ProxyAccess | None = None
    """That of the mailbox, for `net.resolve` and `https.Session`."""

    def through(self, proxy: Proxy | None) -> "SourceServices":
        """The same for a mailbox or sender that has this proxy."""
        access = proxy_access(proxy, self.secrets)
        return replace(self, proxy=access, tokens=self.tokens.through(access))
