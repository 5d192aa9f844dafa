"""How much is asked for at once, and how much is kept of a message."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from shared.domain.message import MessageRef, RawMessage

CUT_BYTES = 262_144
"""How much is kept of a message that is too large."""

BATCH_BYTES = 4_000_000
BATCH_MESSAGES = 50
SLOWEST_BYTES_PER_SECOND = 200_000

_T = TypeVar("_T")


def raw_message(
    ref: MessageRef, content: bytes, received_at: datetime | None, max_bytes: int, size: int = 0
) -> RawMessage:
    """The whole message or, where it is larger than may be kept, its beginning; `size` is told where more is known of
    it than the content shows.
    """
    size = max(size, len(content))
    kept = content[: min(CUT_BYTES, max_bytes)] if size > max_bytes else content
    return RawMessage(ref, kept, received_at, size)


def batches(sizes: Mapping[_T, int], max_bytes: int) -> Iterator[list[_T]]:
    """What is fetched together: few bytes in sum, and a message over the limit by itself."""
    batch: list[_T] = []
    total = 0
    for key, size in sizes.items():
        is_full = len(batch) == BATCH_MESSAGES or total + size > BATCH_BYTES
        if batch and (is_full or size > max_bytes or sizes[batch[-1]] > max_bytes):
            yield batch
            batch, total = [], 0
        batch.append(key)
        total += size
    if batch:
        yield batch


def chunks(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
