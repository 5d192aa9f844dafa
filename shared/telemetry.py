"""What happens, as one JSON line per event: the names of all events, the correlation, and nothing personal.

The Functions worker forwards only the message text of a log record, and only of records from the thread that the
invocation runs in: so the whole event is in the text, and no other thread emits. Alerts parse it. No field ever
holds an address, a subject, a body or a secret; mailboxes and messages are named by id.
"""

import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from pathlib import PurePath

_log = logging.getLogger("mailroom")
_context: ContextVar[Mapping[str, str]] = ContextVar("telemetry_context", default={})  # noqa: B039 - never mutated
_FRAMES = 6


class Event(StrEnum):
    SETTINGS_INVALID = "settings.invalid"
    POLLS_SCHEDULED = "polls.scheduled"
    POLL_FINISHED = "poll.finished"
    POLL_FAILED = "poll.failed"
    POLL_GAVE_WAY = "poll.gave_way"
    PUSH_NOTIFIED = "push.notified"
    PUSH_FAILED = "push.failed"
    COUNTS_WRONG = "poll.counts_wrong"
    MAILBOX_FAILING = "mailbox.failing"
    MAILBOX_RECOVERED = "mailbox.recovered"
    MESSAGE_DEFERRED = "message.deferred"
    MESSAGE_QUARANTINED = "message.quarantined"
    IMPORT_FAILED = "import.failed"
    MESSAGE_UNSETTLED = "message.unsettled"
    EMAIL_SENT = "email.sent"
    DELIVERY_POSTPONED = "delivery.postponed"
    DELIVERY_FAILED = "delivery.failed"
    TEMPLATE_FAILED = "template.failed"
    RETENTION_REMOVED = "retention.removed"
    RETENTION_FAILED = "retention.failed"
    RETENTION_FINISHED = "retention.finished"
    REQUEST_FAILED = "request.failed"
    SUBSCRIPTION_GONE = "subscription.gone"


def start() -> None:
    """Log our events, and nothing of the libraries but their errors: they put addresses and URLs into the rest."""
    logging.getLogger().setLevel(logging.ERROR)
    _log.setLevel(logging.INFO)


@contextmanager
def correlated(**fields: str) -> Iterator[None]:
    """Add these fields to every event within the block."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def emit(event: Event, *, level: int = logging.INFO, **fields: object) -> None:
    """Log one event. Inside an `except` block a `level` of ERROR adds what was raised, and where."""
    if level >= logging.ERROR and (error := sys.exception()):
        fields["raised"] = [*_raised(error)]
    _log.log(level, json.dumps({"event": event, **_context.get(), **fields}, default=str))


def _raised(error: BaseException) -> Iterator[str]:
    """The type and the innermost places of an exception and of its causes; never their texts, which may quote mail."""
    cause: BaseException | None = error
    while cause:
        frames = traceback.extract_tb(cause.__traceback__)[-_FRAMES:]
        places = " > ".join(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames)
        yield f"{type(cause).__name__} at {places}"
        cause = cause.__cause__ or cause.__context__
