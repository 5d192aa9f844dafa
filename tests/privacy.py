"""What may be in a log: everything that the suite makes Mailroom log is held to it (req S1, and no mail in logs)."""

import base64
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from azure.data.tables import TableClient, TableServiceClient
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite

_ID = re.compile(r"[A-Za-z0-9_.:/{}* -]{0,120}")
_RAISED = re.compile(r"[A-Za-z0-9_]+ at [\w.:> -]*")
_FREE = {"problems"}
"""Texts about settings, which name settings and never show their values."""


class Listener(logging.Handler):
    """Collects what is wrong with the events that are logged."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.wrong += problems(record.getMessage())


def problems(line: str) -> Iterator[str]:
    """An event holds names, numbers and codes: no value has room for an address, a subject, a text or a secret."""
    yield from _problems(json.loads(line))


def _problems(fields: dict[str, object]) -> Iterator[str]:
    for name, value in fields.items():
        if not _ID.fullmatch(name):
            yield f"the name of a field: {name}"
        if isinstance(value, dict):
            yield from _problems(value)
            continue
        for each in value if isinstance(value, list) else [value]:
            pattern = _RAISED if name == "raised" else _ID
            if name not in _FREE and not isinstance(each, int) and not pattern.fullmatch(str(each)):
                yield f"{name}: {each}"


SECRETS = ("open-sesame", "graph-secret-value", "app-identity-secret", "the-app-secret", "the-secret-of-the-mail-app")
"""Values of secrets that tests give to Mailroom."""


def secrets_in_storage(storage: Azurite) -> Iterator[str]:
    """Where in tables, queues and blobs a secret is found; raw mail is what people wrote, and left out."""
    for table in TableServiceClient.from_connection_string(storage.connection_string).list_tables():
        client = TableClient.from_connection_string(storage.connection_string, table.name)
        yield from rows_with_secrets(table.name, client.list_entities())
    queues = QueueServiceClient.from_connection_string(storage.connection_string)
    for queue in queues.list_queues():
        for message in queues.get_queue_client(queue.name).peek_messages(max_messages=32):
            if any(secret in text for text in _readings(message.content) for secret in SECRETS):
                yield queue.name


def rows_with_secrets(table: str, rows: Iterable[Mapping[str, object]]) -> Iterator[str]:
    for row in rows:
        if any(secret in str(value) for value in row.values() for secret in SECRETS):
            yield f"{table}: {row['RowKey']}"


def _readings(content: str) -> Iterator[str]:
    yield content
    with suppress(ValueError):
        yield base64.b64decode(content).decode("utf-8", "replace")
