"""The floor: what the main job costs when written by hand, without any of the guarantees.

Fetch, parse with `compat32`, write the same rows in batches, mark as read.
"""

import gzip
import hashlib
import imaplib
from collections.abc import Sequence
from datetime import UTC, datetime
from email import message_from_bytes
from itertools import islice
from typing import Any

from azure.data.tables import TableClient, UpdateMode

from local.dovecot import PASSWORD, Dovecot

_BATCH = 19


def take_in_by_hand(server: Dovecot, user: str, table: TableClient) -> int:
    """All messages of the inbox; returns how many."""
    connection = imaplib.IMAP4("127.0.0.1", server.imap_port)
    connection.login(user, PASSWORD)
    connection.select("INBOX")
    _, found = connection.uid("SEARCH", "ALL")
    uids = found[0].split()
    for start in range(0, len(uids), _BATCH):
        batch = b",".join(uids[start : start + _BATCH]).decode()
        _, parts = connection.uid("FETCH", batch, "(BODY.PEEK[])")
        contents = [part[1] for part in parts if isinstance(part, tuple)]
        _write(table, user, start, contents)
        connection.uid("STORE", batch, "+FLAGS.SILENT", r"(\Seen)")
    connection.logout()
    return len(uids)


def _write(table: TableClient, partition: str, start: int, contents: Sequence[bytes]) -> None:
    now = datetime.now(UTC).isoformat()
    operations: list[Any] = [("upsert", {"PartitionKey": partition, "RowKey": "state", "next": start, "at": now})]
    for number, content in enumerate(contents, start + 1):
        operations += [
            ("upsert", {"PartitionKey": partition, **row}, {"mode": UpdateMode.REPLACE})
            for row in _rows(number, content, now)
        ]
    table.submit_transaction(operations)


def _rows(number: int, content: bytes, now: str) -> Sequence[dict[str, Any]]:
    message = message_from_bytes(content)
    part = next(islice((each for each in message.walk() if each.get_content_type() == "text/plain"), 1), message)
    payload = part.get_payload(decode=True)
    text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
    key = hashlib.sha256(str(message["Message-ID"]).encode()).hexdigest()
    ticket = {
        "v": 1,
        "number": number,
        "prefix": "SUP",
        "subject": str(message["Subject"]),
        "requester_address": str(message["From"]),
        "requester_name": "",
        "status": "new",
        "created_at": now,
        "updated_at": now,
        "comment_count": 1,
        "participants": "[]",
        "linked_to": 0,
    }
    comment = {
        "v": 1,
        "kind": "public",
        "author_address": str(message["From"]),
        "author_name": "",
        "at": now,
        "text": text[:30_000],
        "is_cut": False,
        "message_id": str(message["Message-ID"]),
        "attachments": "[]",
        "notes": "[]",
        "raw_sha256": key,
        "raw_size": len(content),
        "raw_inline": True,
    }
    return (
        {"RowKey": f"receipt|{key}", "v": 1, "fingerprint": key, "outcome": "created", "at": now, "ticket_number": 1},
        {"RowKey": f"ticket|{number:010}", **ticket},
        {"RowKey": f"open|{number:010}", **ticket},
        {"RowKey": f"comment|{number:010}|000001", **comment},
        {"RowKey": f"raw|{hashlib.sha256(content).hexdigest()}", "v": 1, "gzip": gzip.compress(content, 3, mtime=0)},
    )
