"""The bytes of one message from Gmail, which wraps them in JSON and base64url."""

import json
import re
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from shared.adapters.sources.fetching import CUT_BYTES, raw_message
from shared.adapters.sources.gmail_client import GmailClient
from shared.adapters.sources.rest_download import read_at_most
from shared.domain.errors import MessageError
from shared.domain.message import MessageRef, RawMessage

_WRAPPING = 16_384
"""More than everything else in the answer: ids, labels and a snippet."""

_EPOCH = datetime.fromtimestamp(0, UTC)


def download(client: GmailClient, ref: MessageRef, max_bytes: int) -> RawMessage:
    path = f"/messages/{quote(ref.id, safe='')}"
    limit = max_bytes * 4 // 3 + _WRAPPING
    answer, size = read_at_most(client, f"{path}?format=raw", limit)
    if size <= limit:
        found = _parsed(answer)
        del answer  # a large message is in memory often enough while it is decoded
        content = _decoded(str(found.pop("raw", "")))
        full_size = 0
    else:
        begun = re.search(rb'"raw"\s*:\s*"([\w-]*)', answer[: CUT_BYTES * 4 // 3 + _WRAPPING])
        text = begun[1].decode() if begun else ""
        content, found = _decoded(text[: len(text) // 4 * 4]), client.get(path, format="minimal")
        full_size = max(max_bytes + 1, int(found.get("sizeEstimate", 0)))
    return raw_message(ref, content, _received_at(found), max_bytes, full_size)


def _parsed(answer: bytes) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except ValueError as exc:
        raise MessageError("Gmail answered with something else than a message.") from exc
    if not isinstance(found, dict):
        raise MessageError("Gmail answered with something else than a message.")
    return found


def _decoded(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as exc:
        raise MessageError("Gmail gave a message that is not in base64url.") from exc


def _received_at(found: dict[str, Any]) -> datetime | None:
    try:
        return _EPOCH + timedelta(milliseconds=int(found["internalDate"]))
    except (KeyError, OverflowError, TypeError, ValueError):
        return None
