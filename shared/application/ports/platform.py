"""What the platform gives: the time, secrets, and queues with what travels on them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar


class Clock(Protocol):
    def __call__(self) -> datetime:
        """Now, in UTC."""


class SecretStore(Protocol):
    def get(self, name: str) -> str:
        """The value of a secret, at most five minutes old.

        :raises SecretMissing: there is no such secret, or it is disabled.
        :raises StoreUnavailable: the vault does not answer.
        """

    def put(self, name: str, value: str, expires_at: datetime | None = None) -> None:
        """Store a new version of a secret, which is the one that counts from then on.

        :raises SecretsReadOnly: the deployment does not allow it.
        :raises Conflict: a deleted secret keeps the name.
        :raises StoreUnavailable: the vault does not answer.
        """

    def expires_at(self, name: str) -> datetime | None:
        """When the secret, as it was last read, expires; None where it does not, or was not read."""

    def forget(self, name: str) -> None:
        """Read it afresh next time: the provider has rejected what we had."""


@dataclass(frozen=True, slots=True)
class PollRequest:
    """What travels on the `polls` queue. `reason` is `schedule`, `demand`, `push` or `more`.

    `failures` is how many polls in a row have failed so far, so that the one that recovers can say so. With the id of
    an import, the next part of that is due, and not a poll.
    """

    mailbox_id: str
    reason: str
    correlation_id: str
    failures: int = 0
    import_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryRequest:
    """What travels on the `deliveries` queue: one outbox entry of a mailbox; without an id, all of its events and what
    they come to.
    """

    mailbox_id: str
    entry_id: str | None = None


R_contra = TypeVar("R_contra", PollRequest, DeliveryRequest, contravariant=True)


class Queue(Protocol[R_contra]):
    def put(self, request: R_contra, delay: timedelta = timedelta()) -> None:
        """To be handled after the delay, of at most seven days, which counts in whole seconds."""
