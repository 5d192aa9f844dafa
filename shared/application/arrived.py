"""A message on its way through intake: as it arrived, and what became of it."""

from dataclasses import dataclass

from shared.domain.message import InboundMessage, MessageRef, RawMessage
from shared.domain.recognition import fingerprint, message_key
from shared.domain.ticket import Outcome


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that is ready to be taken in: its bytes, what they say, and how it is recognised."""

    raw: RawMessage
    message: InboundMessage
    key: str
    fingerprint: str


def arrived(raw: RawMessage, message: InboundMessage) -> Arrived:
    return Arrived(raw, message, message_key(message, raw.content), fingerprint(message))


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one message; `reason` tells why it was ignored."""

    ref: MessageRef
    outcome: Outcome
    reason: str = ""

    @property
    def is_stored(self) -> bool:
        """Whether there is a receipt for it, so that the message may be settled (req D7)."""
        return self.outcome not in (Outcome.DEFERRED, Outcome.QUARANTINED)
