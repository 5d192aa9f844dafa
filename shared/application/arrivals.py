"""Messages on their way from a source to intake: parsed one by one, handed on in batches."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from shared.application.arrived import Arrived, Taken, arrived
from shared.application.intake import BATCH_MESSAGES, Item
from shared.application.ports.connections import FetchFailure
from shared.domain.errors import AppError, MessageError
from shared.domain.intake import PollRun, RunCounts
from shared.domain.message import RawMessage
from shared.mime import parse
from shared.telemetry import Event, emit

_BATCH_BYTES = 8_000_000


def arrivals(fetched: Iterable[RawMessage | FetchFailure], headers: frozenset[str]) -> Iterator[Item]:
    for item in fetched:
        yield item if isinstance(item, FetchFailure) else parsed(item, headers)


def parsed(raw: RawMessage, headers: frozenset[str]) -> Item:
    try:
        return arrived(raw, parse(raw.content, headers))
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
