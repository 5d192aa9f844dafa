"""How mailboxes and senders are doing: findings, and what is remembered from one try to the next (req M3, O7)."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.errors import AppError, MailboxError, SourceUnavailable
from shared.domain.schedule import doubled


class Level(StrEnum):
    """`error`: mail does not get through; `warning`: that may come, or something is less safe than it could be."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know. `code` is stable; `advice` is empty where the text says it all."""

    level: Level
    code: str
    text: str
    advice: str = ""


def worst(levels: Iterable[Level]) -> Level:
    return max(levels, key=list(Level).index, default=Level.OK)


@dataclass(frozen=True, slots=True)
class Backlog:
    """Mail that the polls since `since` have left waiting. What was taken in last had waited `first_wait` then and
    `wait` now; None where the source tells no times.
    """

    since: datetime
    first_wait: timedelta | None
    wait: timedelta | None

    @property
    def grows(self) -> bool:
        return self.wait is None or self.first_wait is None or self.wait >= self.first_wait


@dataclass(frozen=True, slots=True)
class MailboxHealth:
    """One row of the schedule: when the mailbox is due, and how it has been doing (req O7).

    `next_due_at` is None where it has never been queued. What happened before `watched_from` does not count: it was
    changed then, or switched on. `quarantined_at` is when a message was last put in quarantine, unless it has been
    found empty since. `alerted_at` is when people were told that it is broken or, where not `is_alerted`, works again.
    """

    mailbox_id: str
    next_due_at: datetime | None = None
    watched_from: datetime | None = None
    last_polled_at: datetime | None = None
    last_success_at: datetime | None = None
    consecutive_failures: int = 0
    error_code: str | None = None
    error: str | None = None
    advice: str | None = None
    last_outcomes: dict[str, int] = field(default_factory=dict)
    secret_expires_at: datetime | None = None
    backlog: Backlog | None = None
    quarantined_at: datetime | None = None
    is_alerted: bool = False
    alerted_at: datetime | None = None

    @property
    def has_worked(self) -> bool:
        """Since people were told that it is broken."""
        return bool(self.last_success_at and self.alerted_at and self.last_success_at > self.alerted_at)


_PATIENCE = 3
"""So many failures in a row open the breaker; where somebody must act, or the server asks to wait, one does."""
_FIRST, _LONGEST = timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class SenderState:
    """While it is open, nothing is sent through it; after `open_until` the next message is tried, and closes it again
    or opens it for twice as long. `minute` is the one that `used` messages were reserved in.
    `alerted_at` is when people were told that it is broken, or where not `is_alerted`, that it works.
    """

    sender_id: str
    failures: int = 0
    open_until: datetime | None = None
    error_code: str = ""
    error: str = ""
    minute: datetime | None = None
    used: int = 0
    is_alerted: bool = False
    alerted_at: datetime | None = None

    @property
    def has_worked(self) -> bool:
        return self.failures == 0

    def is_open(self, now: datetime) -> bool:
        return self.open_until is not None and now < self.open_until

    def failed(self, error: AppError, now: datetime) -> "SenderState":
        failures = self.failures + 1
        asked = error.retry_after if isinstance(error, SourceUnavailable) else None
        is_over = failures >= _PATIENCE or isinstance(error, MailboxError) or asked
        wait = doubled(_FIRST, max(failures - _PATIENCE, 0), _LONGEST)
        until = now + max(wait, asked or wait) if is_over else None
        return replace(self, failures=failures, open_until=until, error_code=error.code, error=str(error))

    def works(self) -> "SenderState":
        return replace(self, failures=0, open_until=None, error_code="", error="")

    def alerted(self, now: datetime, *, is_alerted: bool) -> "SenderState":
        return replace(self, is_alerted=is_alerted, alerted_at=now)

    def reserved(self, wanted: int, limit: int, now: datetime) -> tuple["SenderState", int]:
        """How many of the wanted messages may be sent in this minute."""
        minute = now.replace(second=0, microsecond=0)
        used = self.used if self.minute == minute else 0
        granted = max(min(wanted, limit - used), 0)
        return replace(self, minute=minute, used=used + granted), granted
