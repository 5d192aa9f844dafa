"""The bytes of one message from Graph, no more of them than may be kept."""

import time
from datetime import datetime
from urllib.parse import quote

import requests

from shared.adapters.sources.graph_client import GraphClient
from shared.adapters.sources.graph_errors import GraphRefused, GraphTimedOut
from shared.application.ports import FetchFailure
from shared.domain.errors import AppError, MessageError, MessageGone
from shared.domain.message import MessageRef, RawMessage

_CUT_BYTES = 262_144
_CHUNK = 65_536
_MOST_SECONDS = 300
_SIZE = "singleValueExtendedProperties($filter=id eq 'LONG 0x0E08')"
"""PidTagMessageSize. It is no use in a listing: a delta query fails on the filter within."""


class _Broken(MessageError):
    """The answer ended early."""


def download(
    client: GraphClient, ref: MessageRef, max_bytes: int, received_at: datetime | None
) -> RawMessage | FetchFailure:
    """What is about this message alone is a failure of this message; it must not hold up the others."""
    path = f"/messages/{quote(ref.id, safe='')}"
    try:
        content, size = _read_twice(client, f"{path}/$value", max_bytes)
    except GraphRefused as refused:
        return FetchFailure(ref, MessageGone() if refused.is_gone else MessageError(str(refused)))
    except GraphTimedOut as exc:
        return FetchFailure(ref, MessageError(str(exc)))
    except MessageError as error:
        return FetchFailure(ref, error)
    if size > max_bytes:
        return RawMessage(ref, content[: min(_CUT_BYTES, max_bytes)], received_at, max(size, _full_size(client, path)))
    return RawMessage(ref, content, received_at, size)


def _read_twice(client: GraphClient, path: str, max_bytes: int) -> tuple[bytes, int]:
    try:
        return _read(client, path, max_bytes)
    except _Broken:
        return _read(client, path, max_bytes)


def _read(client: GraphClient, path: str, max_bytes: int) -> tuple[bytes, int]:
    """All bytes, or as many as tell that there are too many; and how many there are, as far as that is known."""
    chunks: list[bytes] = []
    size = 0
    ends_at = time.monotonic() + _MOST_SECONDS
    with client.stream(path) as response:
        announced = int(response.headers.get("Content-Length", 0))
        enough = _CUT_BYTES if announced > max_bytes else max_bytes
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


def _full_size(client: GraphClient, path: str) -> int:
    """As Exchange counts it, which is near what it would send; 0 where it does not say."""
    try:
        [size] = client.get(path, select="id", expand=_SIZE)["singleValueExtendedProperties"]
        return int(size["value"])
    except (AppError, KeyError, TypeError, ValueError):
        return 0
