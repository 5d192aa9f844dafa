"""What every source and sender is given beside its settings."""

from dataclasses import dataclass, replace

from shared.adapters.proxy import ProxyAccess, proxy_access
from shared.adapters.tokens import Tokens
from shared.application.ports.platform import Clock, SecretStore
from shared.domain.fields import Proxy
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class SourceServices:
    settings: Settings
    secrets: SecretStore
    tokens: Tokens
    clock: Clock
    proxy: ProxyAccess | None = None
    """That of the mailbox, for `net.resolve` and `https.Session`."""

    def through(self, proxy: Proxy | None) -> "SourceServices":
        """The same for a mailbox or sender that has this proxy."""
        access = proxy_access(proxy, self.secrets)
        return replace(self, proxy=access, tokens=self.tokens.through(access))
