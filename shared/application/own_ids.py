"""Message-IDs of our own, signed with a key from Key Vault; the key signs other things that come back to us, too."""

import secrets
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from shared.application.ports.platform import SecretStore
from shared.domain.errors import Conflict, SecretMissing, SecretUnusable, StoreUnavailable
from shared.domain.mailbox import Mailbox
from shared.domain.recognition import OwnId, read_id, signed_id

KEY_SECRET = "message-id-key"  # noqa: S105 - its name in Key Vault
"""Any text of at least 32 characters that nobody can guess. After a comma follow those that were used before."""

MAKING = timedelta(minutes=15)
"""Longer than any request to the vault can take: meanwhile nobody else makes a key."""

_MISSING_SECONDS = 60
"""A key that is not there is not asked for again at once: each message would ask."""


class OwnIds:
    """Where the key is missing, it is made on first need, by whoever `may_make` it; what is there is never replaced."""

    def __init__(self, vault: SecretStore, may_make: Callable[[], bool] = lambda: False) -> None:
        self._vault = vault
        self._may_make = may_make
        self._missing: tuple[float, SecretMissing] | None = None

    def has_key(self) -> bool:
        return next(self._known_keys(), None) is not None

    def signing_keys(self) -> list[bytes]:
        """The one in use, and those before it. :raises SecretMissing:"""
        if self._missing and time.monotonic() - self._missing[0] < _MISSING_SECONDS:
            raise self._missing[1]
        try:
            value = self._read_or_made()
        except SecretMissing as error:
            self._missing = time.monotonic(), error
            raise
        keys = [key.encode() for each in value.split(",") if (key := each.strip())]
        if not keys:  # with an empty one anybody could sign
            raise SecretUnusable(f"The secret `{KEY_SECRET}` holds no key.", advice="Set its value in Key Vault.")
        return keys

    def read(self, message_id: str) -> OwnId | None:
        """What an id of ours says; the vault is asked only about what looks like one."""
        return read_id(self._known_keys(), message_id)

    def sign(self, mailbox: Mailbox, ticket_number: int | None, cause: str) -> str:
        """The Message-ID of what is sent for this cause. Without a key anybody could make it: then what answers it is
        recognised by the receipt alone.
        """
        domain = mailbox.address.rpartition("@")[2]
        return signed_id(next(self._known_keys(), b""), domain, mailbox.id, ticket_number, cause)

    def _read_or_made(self) -> str:
        try:
            return self._vault.get(KEY_SECRET)
        except SecretUnusable:
            raise
        except SecretMissing:
            if not self._may_make():
                raise
        try:
            self._vault.put(KEY_SECRET, secrets.token_urlsafe(32))
        except (Conflict, StoreUnavailable) as error:
            raise SecretMissing(f"The secret `{KEY_SECRET}` cannot be made: {error}", advice=error.advice) from error
        self._vault.forget(KEY_SECRET)
        return self._vault.get(KEY_SECRET)

    def _known_keys(self) -> Iterator[bytes]:
        """Without a key nothing is ours."""
        try:
            yield from self.signing_keys()
        except SecretMissing:
            return
