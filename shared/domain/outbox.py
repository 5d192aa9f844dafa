"""What is owed to somebody outside, stored in the same transaction as its cause."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A message or a webhook to be sent; `payload` is JSON that its deliverer understands.

    `id` follows from the cause, so that a cause that is stored again owes nothing twice.
    """

    id: str
    kind: Literal["email", "webhook"]
    due_at: datetime
    payload: dict[str, Any]
    attempts: int = 0
