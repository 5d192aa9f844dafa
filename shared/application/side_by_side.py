"""Lists over many mailboxes: their partitions are asked side by side, and what they answer is merged."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

_AT_ONCE = 16

S = TypeVar("S")
T = TypeVar("T")


def for_each(items: Sequence[S], ask: Callable[[S], T]) -> list[T]:
    """In the order of the items."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(ask, items))


def newest_first(
    mailbox_ids: Sequence[str], limit: int, page: Callable[[str, T | None, int], Sequence[T]], key: Callable[[T], Any]
) -> tuple[list[T], bool]:
    """The first items of all mailboxes, falling by their key, and whether there are more. `page` gets the item of the
    mailbox to go on after, and a size: about `limit` of them are read at first, and some of every mailbox.
    """
    size = limit // max(len(mailbox_ids), 1) + 5

    def walk(mailbox_id: str, items: Sequence[T]) -> Iterator[T]:
        yield from items
        while len(items) == size:
            items = page(mailbox_id, items[-1], size)
            yield from items

    first_pages = for_each(mailbox_ids, lambda mailbox_id: page(mailbox_id, None, size))
    merged = heapq.merge(*map(walk, mailbox_ids, first_pages), key=key, reverse=True)
    return list(islice(merged, limit)), next(merged, None) is not None
