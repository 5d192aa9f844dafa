"""What happens, as one JSON line per event: the names of all events, the correlation, and nothing personal.

The Functions worker forwards only the message text of a log record, so the whole event is in it, and alerts
parse it. No field ever holds an address, a subject, a body or a secret; mailboxes are named by id.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum

_log = logging.getLogger("mailroom")
_context: ContextVar[Mapping[str, str]] = ContextVar("telemetry_context", default={})  # noqa: B039 - never mutated


class Event(StrEnum):
    SETTINGS_INVALID = "settings.invalid"
    POLLS_SCHEDULED = "polls.scheduled"
    POLL_FINISHED = "poll.finished"
    POLL_FAILED = "poll.failed"
    POLL_GAVE_WAY = "poll.gave_way"
    COUNTS_WRONG = "poll.counts_wrong"
    MAILBOX_FAILING = "mailbox.failing"
    MAILBOX_RECOVERED = "mailbox.recovered"
    MESSAGE_DEFERRED = "message.deferred"
    MESSAGE_QUARANTINED = "message.quarantined"
    MESSAGE_UNSETTLED = "message.unsettled"
    REQUEST_FAILED = "request.failed"


@contextmanager
def correlated(**fields: str) -> Iterator[None]:
    """Add these fields to every event within the block."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def emit(event: Event, *, level: int = logging.INFO, **fields: object) -> None:
    """Log one event. Inside an `except` block a `level` of ERROR adds the traceback."""
    line = json.dumps({"event": event, **_context.get(), **fields}, default=str)
    _log.log(level, line, exc_info=level >= logging.ERROR)
