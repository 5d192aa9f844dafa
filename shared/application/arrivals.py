"""Messages on their way from a source through intake: parsed, handed on in batches, and what became of them."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.application.ports.connections import FetchFailure
from shared.domain.errors import AppError, MessageError
from shared.domain.intake import PollRun, RunCounts
from shared.domain.message import InboundMessage, MessageRef, RawMessage
from shared.domain.recognition import fingerprint, message_key
from shared.domain.ticket import Outcome
from shared.mime import parse
from shared.telemetry import Event, emit

BATCH_MESSAGES = 16
"""Six rows each and the state: 97 of the 100 operations that a transaction may have. Where a batch needs more, it is
split.
"""
_BATCH_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that is ready to be taken in: its bytes, what they say, and how it is recognised."""

    raw: RawMessage
    message: InboundMessage
    key: str
    fingerprint: str


Item = Arrived | FetchFailure


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one message; `reason` tells why it was ignored."""

    ref: MessageRef
    outcome: Outcome
    reason: str = ""
    ticket_number: int | None = None

    @property
    def is_stored(self) -> bool:
        """Whether there is a receipt for it, so that the message may be settled (req D7)."""
        return self.outcome not in (Outcome.DEFERRED, Outcome.QUARANTINED)


def arrived(raw: RawMessage, headers: frozenset[str]) -> Arrived:
    message = parse(raw.content, headers)
    return Arrived(raw, message, message_key(message, raw.content), fingerprint(message))


def arrivals(fetched: Iterable[RawMessage | FetchFailure], headers: frozenset[str]) -> Iterator[Item]:
    for item in fetched:
        yield item if isinstance(item, FetchFailure) else parsed(item, headers)


def parsed(raw: RawMessage, headers: frozenset[str]) -> Item:
    try:
        return arrived(raw, headers)
    except Exception:  # noqa: BLE001 - the boundary of one message: a defect here must not hold up the others
        emit(Event.MESSAGE_DEFERRED, level=logging.ERROR, message=raw.ref.key, error="parse_failed")
        return FetchFailure(raw.ref, MessageError("the message could not be parsed"), raw.content)


def batches(items: Iterable[Item]) -> Iterator[Sequence[Item]]:
    """As many as fit into one transaction, and no more bytes than memory should hold twice. What came before an error
    counts: a message that makes every poll fail must get to its last attempt.
    """
    batch: list[Item] = []
    size = 0
    try:
        for item in items:
            batch.append(item)
            size += len(item.raw.content) if isinstance(item, Arrived) else 0
            if len(batch) == BATCH_MESSAGES or size >= _BATCH_BYTES:
                yield batch
                batch, size = [], 0
    except AppError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def record(reason: str, started_at: datetime, ended_at: datetime, taken: Sequence[Taken]) -> PollRun:
    """Of messages that were taken in between polls, each with its outcome (req O8)."""
    counts = RunCounts(listed=len(taken))
    for each in taken:
        counts.add(each.outcome, each.reason)
    return PollRun(started_at, ended_at, reason, counts.listed, dict(counts.outcomes), dict(counts.ignored))


def tell(taken: Iterable[Taken]) -> None:
    """Say what was not taken in."""
    for each in taken:
        if each.outcome is Outcome.DEFERRED:
            emit(Event.MESSAGE_DEFERRED, level=logging.WARNING, message=each.ref.key, error=each.reason)
        elif each.outcome is Outcome.QUARANTINED:
            emit(Event.MESSAGE_QUARANTINED, level=logging.ERROR, message=each.ref.key, error=each.reason)
