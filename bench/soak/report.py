"""What the soak has shown: read from what the processes noted and from what is stored."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from bench.soak.mailboxes import arrived, state_of, subject
from bench.soak.worker import Soak
from shared.application.services import Services

_HONEST = ("idle", "busy", "slow")
"""States in which nothing but us decides when a mailbox is polled."""
_MEMORY_GROWS_MB = 30
_SHORT = 50
"""A queue may always have as many: on a busy machine most of a few mailboxes wait at once."""


@dataclass(frozen=True, slots=True)
class Report:
    """`problems` are sentences; without any, the soak is passed."""

    figures: dict[str, float]
    problems: list[str]

    @staticmethod
    def complete(soak: Soak, services: Services, mailboxes: int) -> bool:
        """Whether each mailbox was polled (one whose server hangs takes its time) and each message has its ticket."""
        return not _never_polled(_polls(soak), mailboxes) and all(
            services.tickets.state(f"soak-{number}")[0].next_number > arrived(number, soak.until, soak.until)
            for number in range(mailboxes)
            if state_of(number).every
        )


def report(soak: Soak, services: Services, mailboxes: int, samples: Sequence[tuple[int, float]]) -> Report:
    polls = _polls(soak)
    begun, ended = min(each["at"] for each in polls), max(each["ended"] for each in polls)
    delays = _delays(soak, polls)
    idle = [each["storage"] for each in polls if state_of(int(each["mailbox"].removeprefix("soak-"))).name == "idle"]
    lost, doubled = _damage(soak, services, mailboxes)
    waiting, memory = zip(*samples, strict=True)
    half = len(samples) // 2
    figures = {
        "mailboxes": mailboxes,
        "messages": sum(arrived(number, soak.until, soak.until) for number in range(mailboxes)),
        "polls": len(polls),
        "polls_per_second": round(len(polls) / (ended - begun) * soak.clock.speed, 1),
        "worst_delay_seconds": round(max(delay for _, delay in delays), 1),
        "median_delay_seconds": round(median(delay for _, delay in delays), 1),
        "idle_storage_transactions": median(idle) if idle else 0,
        "lost": lost,
        "doubled": doubled,
        "runs_that_do_not_add_up": _wrong_runs(services, mailboxes),
        "longest_queue_first_half": max(waiting[:half]),
        "longest_queue_second_half": max(waiting[half:]),
        "peak_memory_mb": round(max(memory), 1),
        "memory_growth_mb": round(max(memory[half:]) - max(memory[:half]), 1),
    }
    return Report(figures, [*_problems(figures, soak, mailboxes, polls)])


def _problems(figures: dict[str, float], soak: Soak, mailboxes: int, polls: list[dict[str, Any]]) -> Iterator[str]:
    for name in ("lost", "doubled", "runs_that_do_not_add_up"):
        if figures[name]:
            yield f"{name}: {figures[name]:g}"
    if never := _never_polled(polls, mailboxes):
        yield f"{never} mailboxes were never polled"
    usual = max(_SHORT, 2 * figures["longest_queue_first_half"] + mailboxes / 10)
    if figures["longest_queue_second_half"] > usual:
        yield "the queue grows"
    if figures["memory_growth_mb"] > _MEMORY_GROWS_MB and not soak.faults:
        yield "memory grows"


def _polls(soak: Soak) -> list[dict[str, Any]]:
    return [each for each in _lines(soak, "worker-*[0-9]") if "mailbox" in each]


def _never_polled(polls: list[dict[str, Any]], mailboxes: int) -> int:
    return mailboxes - len({each["mailbox"] for each in polls})


def _lines(soak: Soak, pattern: str) -> Iterator[dict[str, Any]]:
    for file in soak.folder.glob(pattern):
        for line in file.read_text().splitlines():
            yield json.loads(line)


def _delays(soak: Soak, polls: list[dict[str, Any]]) -> list[tuple[str, float]]:
    """From when a mailbox that only we decide about was due to its poll, in seconds of compressed time."""
    starts = defaultdict[str, list[float]](list)
    for each in polls:
        starts[each["mailbox"]].append(each["at"])
    found = []
    for queued in _lines(soak, "schedule.queued"):
        mailbox = queued["mailbox"]
        if (
            state_of(int(mailbox.removeprefix("soak-"))).name in _HONEST
            and queued["due"] < soak.until.timestamp() - 300
        ):
            first = min((at for at in starts[mailbox] if at >= queued["due"] - 1), default=soak.until.timestamp())
            found.append((mailbox, max(0.0, first - queued["due"])))
    return found


def _damage(soak: Soak, services: Services, mailboxes: int) -> tuple[int, int]:
    lost = doubled = 0
    for number in range(mailboxes):
        expected = arrived(number, soak.until, soak.until)
        if not expected:
            continue
        tickets = services.tickets.tickets(f"soak-{number}", open_only=False, limit=10_000, before=None)
        found = Counter(each.subject for each in tickets)
        lost += sum(subject(number, place) not in found for place in range(expected))
        doubled += sum(count - 1 for count in found.values()) + sum(each.comment_count - 1 for each in tickets)
        numbers = sorted(each.number for each in tickets)
        lost += sum(after - before != 1 for before, after in pairwise(numbers))
    return lost, doubled


def _wrong_runs(services: Services, mailboxes: int) -> int:
    runs = [run for number in range(mailboxes) for run in services.tickets.runs(f"soak-{number}", 1000)]
    return sum(run.listed != sum(run.outcomes.values()) for run in runs)
