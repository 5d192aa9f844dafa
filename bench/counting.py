"""Counting what the code under measurement asks of others, exactly: HTTP requests by target, and IMAP commands."""

import imaplib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter


@contextmanager
def counted(kinds: Mapping[str, str]) -> Iterator[Counter[str]]:
    """Count within the block; `kinds` names the requests to each `host:port`, and `imap` counts commands."""
    counts: Counter[str] = Counter()
    send = HTTPAdapter.send
    new_tag = imaplib.IMAP4._new_tag  # type: ignore[attr-defined]  # noqa: SLF001 - every command takes one

    def counting_send(adapter: HTTPAdapter, request: Any, **options: Any) -> Any:
        counts[kinds.get(urlsplit(request.url).netloc, "other")] += 1
        return send(adapter, request, **options)

    def counting_tag(connection: imaplib.IMAP4) -> Any:
        counts["imap"] += 1
        return new_tag(connection)

    with patch.object(HTTPAdapter, "send", counting_send), patch.object(imaplib.IMAP4, "_new_tag", counting_tag):
        yield counts
