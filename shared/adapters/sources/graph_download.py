"""The bytes of one message from Graph, no more of them than may be kept."""

from datetime import datetime
from urllib.parse import quote

from shared.adapters.sources.graph_client import GraphClient
from shared.adapters.sources.rest_download import CUT_BYTES, read_at_most
from shared.domain.errors import AppError
from shared.domain.message import MessageRef, RawMessage

_SIZE = "singleValueExtendedProperties($filter=id eq 'LONG 0x0E08')"
"""PidTagMessageSize. It is no use in a listing: a delta query fails on the filter within."""


def download(client: GraphClient, ref: MessageRef, max_bytes: int, received_at: datetime | None) -> RawMessage:
    path = f"/messages/{quote(ref.id, safe='')}"
    content, size = read_at_most(client, f"{path}/$value", max_bytes)
    if size > max_bytes:
        return RawMessage(ref, content[: min(CUT_BYTES, max_bytes)], received_at, max(size, _full_size(client, path)))
    return RawMessage(ref, content, received_at, size)


def _full_size(client: GraphClient, path: str) -> int:
    """As Exchange counts it, which is near what it would send; 0 where it does not say."""
    try:
        [size] = client.get(path, select="id", expand=_SIZE)["singleValueExtendedProperties"]
        return int(size["value"])
    except (AppError, KeyError, TypeError, ValueError):
        return 0
