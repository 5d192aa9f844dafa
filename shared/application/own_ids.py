"""Message-IDs of our own, signed with a key from Key Vault."""

import time
from collections.abc import Iterator

from shared.application.ports.platform import SecretStore
from shared.domain.errors import SecretMissing
from shared.domain.recognition import OwnId, read_id, signed_id

KEY_SECRET = "message-id-key"  # noqa: S105 - its name in Key Vault
"""Any text of at least 32 characters that nobody can guess; the deployment makes it. After a comma follow those that
were used before.
"""


_MISSING_SECONDS = 60
"""A key that is not there is not asked for again at once: each message would ask."""


class OwnIds:
    def __init__(self, secrets: SecretStore) -> None:
        self._secrets = secrets
        self._missing_at = -float(_MISSING_SECONDS)

    def has_key(self) -> bool:
        return next(self._known_keys(), None) is not None

    def read(self, message_id: str) -> OwnId | None:
        """What an id of ours says; the vault is asked only about what looks like one."""
        return read_id(self._known_keys(), message_id)

    def sign(self, domain: str, mailbox_id: str, ticket_number: int | None, cause: str) -> str:
        """The Message-ID of what is sent for this cause. :raises SecretMissing: there is no key."""
        return signed_id(self._keys()[0], domain, mailbox_id, ticket_number, cause)

    def _keys(self) -> list[bytes]:
        if time.monotonic() - self._missing_at < _MISSING_SECONDS:
            raise SecretMissing
        try:
            return [each.strip().encode() for each in self._secrets.get(KEY_SECRET).split(",")]
        except SecretMissing:
            self._missing_at = time.monotonic()
            raise

    def _known_keys(self) -> Iterator[bytes]:
        """Without a key nothing is ours; what was sent is then recognised by its receipt."""
        try:
            yield from self._keys()
        except SecretMissing:
            return
