"""The mailboxes of the soak. What has arrived in one is a function of the time, so that all processes agree on it."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.application.ports.connections import CheckStage, Folder, Page
from shared.domain.errors import SourceUnavailable, Throttled
from shared.domain.mailbox import Intake, Mailbox
from shared.domain.message import Cursor, Listed, MessageRef, RawMessage
from shared.domain.schedule import Schedule
from shared.domain.settlement import Settled, Settlement
from shared.domain.sign_in import PasswordSignIn
from shared.domain.sources import ImapSource

START = datetime(2026, 11, 21, tzinfo=UTC)
INTERVAL = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class State:
    """How a mailbox of this state behaves. `every` is the time between two messages, None for a mailbox without any."""

    name: str
    every: timedelta | None = None
    answers_after: float = 0
    failing_until: timedelta = timedelta()
    throttled_share: float = 0
    hangs: bool = False


_OFTEN, _SELDOM = timedelta(minutes=3), timedelta(minutes=12)
STATES = (
    *[State("idle")] * 60,
    *[State("busy", every=_OFTEN)] * 20,
    *[State("failing", every=_SELDOM, failing_until=timedelta(minutes=25))] * 8,
    *[State("throttled", every=_SELDOM, throttled_share=0.5)] * 6,
    *[State("slow", every=_SELDOM, answers_after=0.5)] * 5,
    State("hanging", hangs=True),
)
"""A hundred of them, so that the share of each is in percent."""

_HANGS_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Clock:
    """Time that runs `speed` times as fast as it does, from `started` (seconds since 1970) on."""

    started: float
    speed: float
    skew: timedelta = timedelta()

    def __call__(self) -> datetime:
        return START + timedelta(seconds=(time.time() - self.started) * self.speed) + self.skew


def state_of(number: int) -> State:
    return STATES[37 * number % len(STATES)]  # so that few mailboxes have all states as well


def mailbox(number: int) -> Mailbox:
    sign_in = PasswordSignIn(account=f"user{number}", password_secret="password")
    return Mailbox(
        id=f"soak-{number}",
        created_at=START,
        name=f"Mailbox {number}",
        address=f"user{number}@example.com",
        ticket_prefix=f"S{number}",
        source=ImapSource(host="mail.example.com", sign_in=sign_in),
        schedule=Schedule(interval_seconds=int(INTERVAL.total_seconds())),
        intake=Intake(start_from="beginning"),
    )


def arrived(number: int, now: datetime, until: datetime) -> int:
    """How many messages have come to the mailbox; none comes later than `until`."""
    every = state_of(number).every
    return max(0, (min(now, until) - START) // every) if every else 0


def subject(number: int, place: int) -> str:
    return f"Message {place} of {number}"


def _content(number: int, place: int) -> bytes:
    return (
        f"From: Person {place % 7} <person{place % 7}@example.org>\r\nTo: user{number}@example.com\r\n"
        f"Subject: {subject(number, place)}\r\nMessage-ID: <{place}.{number}@soak.example>\r\n"
        f"Date: Sat, 21 Nov 2026 09:00:00 +0000\r\n\r\nThe printer on floor {place} jams again.\r\n"
    ).encode()


@dataclass
class SoakSource:
    """Reads one mailbox; what is settled stays where it is, as with `keep`."""

    number: int
    clock: Clock
    until: datetime

    def changes(self, cursor: Cursor | None, limit: int) -> Page:
        self._behave()
        first, last = int(cursor or 0), arrived(self.number, self.clock(), self.until)
        listed = tuple(Listed(MessageRef("INBOX", str(place))) for place in range(first, min(first + limit, last)))
        return Page(listed, Cursor(str(first + len(listed))), more=first + len(listed) < last)

    def _behave(self) -> None:
        state, now = state_of(self.number), self.clock()
        if state.hangs:
            time.sleep(_HANGS_SECONDS)
            raise SourceUnavailable("the server does not answer")
        time.sleep(state.answers_after)
        if now - START < state.failing_until:
            raise SourceUnavailable("the server is down")
        if (self.number * 7919 + int(now.timestamp()) // 240) % 100 < 100 * state.throttled_share and now < self.until:
            raise Throttled("slow down", retry_after=timedelta(minutes=2))

    def fetch(self, messages: Sequence[Listed]) -> Iterator[RawMessage]:
        for listed in messages:
            content = _content(self.number, int(listed.ref.id))
            yield RawMessage(listed.ref, content, START, len(content))

    def settle(self, refs: Sequence[MessageRef], settlement: Settlement) -> Sequence[Settled]:  # noqa: ARG002 - a source's
        return [Settled(ref) for ref in refs]

    def folders(self) -> Sequence[Folder]:
        return [Folder("INBOX")]

    def check(self) -> Iterator[CheckStage]:
        yield CheckStage("name", ok=True, milliseconds=0)

    def close(self) -> None: ...
