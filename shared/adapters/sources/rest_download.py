"""Messages from a provider's JSON API: a few ahead of what is being handled, no more of each than may be kept."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import requests

from shared.adapters.refusals import Refused, TimedOut
from shared.adapters.sources.fetching import CUT_BYTES
from shared.adapters.sources.rest_client import CONCURRENCY, RestClient
from shared.application.ports.connections import FetchFailure
from shared.domain.errors import MessageError, MessageGone
from shared.domain.message import Listed, MessageRef, RawMessage

_CHUNK = 65_536
_MOST_SECONDS = 300


class _Broken(MessageError):
    """The answer ended early."""


def fetch_ahead(
    messages: Sequence[Listed], download: Callable[[MessageRef], RawMessage]
) -> Iterator[RawMessage | FetchFailure]:
    """In order. What is about one message alone is a failure of that message; it does not hold up the others."""
    waiting = iter(messages)
    running: deque[Future[RawMessage | FetchFailure]] = deque()
    with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="fetch") as pool:
        try:
            running.extend(pool.submit(_fetched, each.ref, download) for each in islice(waiting, CONCURRENCY))
            while running:
                done = running.popleft().result()
                running.extend(pool.submit(_fetched, each.ref, download) for each in islice(waiting, 1))
                yield done
        finally:
            for future in running:
                future.cancel()


def _fetched(ref: MessageRef, download: Callable[[MessageRef], RawMessage]) -> RawMessage | FetchFailure:
    try:
        return download(ref)
    except Refused as refused:
        return FetchFailure(ref, MessageGone() if refused.is_gone else MessageError(str(refused)))
    except TimedOut as exc:
        return FetchFailure(ref, MessageError(str(exc)))
    except MessageError as error:
        return FetchFailure(ref, error)


def read_at_most(client: RestClient, path: str, max_bytes: int) -> tuple[bytes, int]:
    """All bytes, or as many as tell that there are too many; and how many there are, as far as that is known.

    Where the answer announces more than `max_bytes`, no more than about `CUT_BYTES` are read of it.
    """
    try:
        return _read(client, path, max_bytes)
    except _Broken:
        return _read(client, path, max_bytes)


def _read(client: RestClient, path: str, max_bytes: int) -> tuple[bytes, int]:
    chunks: list[bytes] = []
    size = 0
    ends_at = time.monotonic() + _MOST_SECONDS
    with client.stream(path) as response:
        announced = int(response.headers.get("Content-Length", 0))
        enough = CUT_BYTES if announced > max_bytes else max_bytes
        try:
            for chunk in response.iter_content(_CHUNK):
                chunks.append(chunk)
                size += len(chunk)
                if size > enough:
                    break
                if time.monotonic() > ends_at:
                    raise _Broken("The message came too slowly.")
        except requests.RequestException as exc:
            raise _Broken("The connection broke while the message was read.") from exc
    return b"".join(chunks), max(size, announced)
