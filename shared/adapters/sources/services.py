"""What every source is given beside its mailbox."""

from dataclasses import dataclass
from typing import Protocol

from shared.application.ports import Clock, SecretStore
from shared.settings import Settings


class TokenIssuer(Protocol):
    """Access tokens from Entra ID, cached per app and scope."""

    def app_token(self, tenant: str, client_id: str, secret_name: str, scope: str) -> str:
        """An access token for the app itself (client credentials).

        :raises CredentialsRejected: with advice by the provider's error code.
        :raises SourceUnavailable: the identity provider does not answer.
        """

    def forget(self, tenant: str, client_id: str, secret_name: str, scope: str) -> None:
        """Fetch a fresh token next time: the provider has rejected what we had."""


@dataclass(frozen=True, slots=True)
class SourceServices:
    settings: Settings
    secrets: SecretStore
    tokens: TokenIssuer
    clock: Clock
