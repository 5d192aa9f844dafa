"""How a sender is doing: a circuit breaker, and how much of its limit is used (req M3)."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.errors import AppError, MailboxError, SourceUnavailable

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

    def is_open(self, now: datetime) -> bool:
        return self.open_until is not None and now < self.open_until

    def failed(self, error: AppError, now: datetime) -> "SenderState":
        failures = self.failures + 1
        asked = error.retry_after if isinstance(error, SourceUnavailable) else None
        is_over = failures >= _PATIENCE or isinstance(error, MailboxError) or asked
        wait = min(_FIRST * (1 << min(max(failures - _PATIENCE, 0), 10)), _LONGEST)
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
