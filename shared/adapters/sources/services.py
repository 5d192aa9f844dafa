"""What every source is given beside its mailbox."""

from dataclasses import dataclass
from typing import Protocol

from shared.adapters.proxy import ProxyAccess
from shared.application.ports.platform import Clock, SecretStore
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


@dataclass(frozen=True, slots=True)
class SourceServices:
    settings: Settings
    secrets: SecretStore
    tokens: TokenIssuer
    clock: Clock
    proxy: ProxyAccess | None = None
    """That of the mailbox, for `net.resolve` and `https.Session`."""
