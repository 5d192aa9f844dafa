"""What may be in a log: everything that the suite makes Mailroom log is held to it (req S1, and no mail in logs)."""

import json
import logging
import re
from collections.abc import Iterator

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
