"""What one pass over a mailbox remembers and counts."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.message import Cursor, MessageRef
from shared.domain.ticket import Outcome, RawPointer

MAX_ATTEMPTS = 3
"""After so many failed attempts a message goes to quarantine (req O9)."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """A message that could not be handled yet; it is tried again at each poll, independent of the cursor."""

    ref: MessageRef
    attempts: int


@dataclass(frozen=True, slots=True)
class MailboxState:
    """The row that fences a mailbox: whoever replaces it with its ETag owns what is committed along with it."""

    next_number: int = 1
    cursor: Cursor | None = None
    cursor_at: datetime | None = None
    deferred: tuple[Deferred, ...] = ()
    lease_owner: str | None = None
    lease_until: datetime | None = None
    sums: "RunSums | None" = None

    def is_leased(self, *, now: datetime, to_other_than: str) -> bool:
        return self.lease_owner not in (None, to_other_than) and self.lease_until is not None and self.lease_until > now


@dataclass(frozen=True, slots=True)
class Terms:
    """How mail is taken in: nobody is told where it is `silent`, and tickets can be as old as their messages."""

    silent: bool = False
    original_dates: bool = False


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """A message that could not be handled; `raw` is None where its bytes could never be fetched. `corrected` is what
    takes its place when it is tried again, on the terms that it was first taken in on.
    """

    ref: MessageRef
    at: datetime
    attempts: int
    error_code: str
    error: str
    raw: RawPointer | None = None
    corrected: RawPointer | None = None
    terms: Terms = Terms()

    @property
    def id(self) -> str:
        """The same message has the same id each time it fails, so it is in quarantine once."""
        return self.ref.key


@dataclass
class RunCounts:
    """The outcomes of one run. `listed` must equal their sum (req O8)."""

    listed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome, reason: str = "") -> None:
        self.outcomes[outcome] += 1
        if outcome is Outcome.IGNORED:
            self.ignored[reason] += 1

    @property
    def add_up(self) -> bool:
        return self.listed == self.outcomes.total()

    def defer_rest(self) -> None:
        """The run ended early: what it has not come to is for the next one."""
        if rest := self.listed - self.outcomes.total():
            self.outcomes[Outcome.DEFERRED] += rest


@dataclass(frozen=True, slots=True)
class PollRun:
    """The record of one pass that found mail or failed."""

    started_at: datetime
    ended_at: datetime
    reason: str
    listed: int
    outcomes: dict[str, int]
    ignored: dict[str, int]
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class RunSums:
    """What the runs of one hour come to; `hour` is its beginning."""

    hour: datetime
    runs: int = 0
    failed: int = 0
    listed: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)

    def plus(self, other: "RunSums") -> "RunSums":
        outcomes = dict(Counter(self.outcomes) + Counter(other.outcomes))
        failed, listed = self.failed + other.failed, self.listed + other.listed
        return RunSums(self.hour, self.runs + other.runs, failed, listed, outcomes)


def with_run(sums: RunSums | None, run: PollRun) -> RunSums:
    """The sums of the current hour with one run more. No hour is begun again: clocks of workers differ."""
    hour = run.started_at.replace(minute=0, second=0, microsecond=0)
    one = RunSums(hour, 1, int(run.error_code is not None), run.listed, run.outcomes)
    return sums.plus(one) if sums and sums.hour >= hour else one


@dataclass(frozen=True, slots=True)
class RunFilter:
    """`since` is part of the time, `until` is not; None in `failed` means either."""

    since: datetime
    until: datetime
    failed: bool | None = None
