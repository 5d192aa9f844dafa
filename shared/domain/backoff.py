"""When a mailbox is due again."""

from datetime import datetime, timedelta

LONGEST = timedelta(hours=1)
"""However often it failed, a mailbox is tried at least this often, or at its own interval where that is longer."""


def next_due(
    started_at: datetime, interval: timedelta, failures: int = 0, retry_after: timedelta | None = None
) -> datetime:
    """The interval after a success; twice as long after every further failure, and never before `retry_after`."""
    wait = max(interval, min(interval * (1 << min(max(failures - 1, 0), 10)), LONGEST))
    return started_at + max(wait, retry_after or timedelta())
