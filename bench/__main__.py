"""`make bench`: how fast, how many requests and how much memory, beside a floor written by hand in the same run."""

import json
from collections.abc import Callable, Iterable
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

from bench.cold_start import cold_start
from bench.mail import messages
from bench.measure import Measured, measure_floor, measure_poll
from bench.sending import main as measure_sending
from local.world import World, run_world
from shared.domain.mailbox import Mailbox

FIGURES = Path(".local/figures/bench.json")
COLD_START_FIGURES = FIGURES.with_name("cold-start.json")
_MESSAGES = 1_000
_MAILBOXES = 10
"""Together 10,000 messages in one process: the storage emulator searches a whole partition for each row, so that as
many in one mailbox would measure it and not us.
"""
_ROUNDS = 3
_BUDGETS = {
    "storage_transactions_per_message": "<= 0.2",
    "storage_transactions_per_large_message": "<= 1.2",
    "storage_transactions_per_reply": "<= 2.2",
    "idle_storage_transactions": "<= 6",
    "idle_provider_requests": "Graph 1, IMAP <= 6",
    "provider_requests_per_message": "Graph <= 1.2",
    "ratio_to_floor": "IMAP >= 0.7",
    "peak_memory_mb": "<= 150",
    "import_ratio": "<= 0.6",
}

MakeMailbox = Callable[[Iterable[bytes]], Mailbox]


def main() -> None:
    with run_world() as world:
        sources = {"imap": world.imap_mailbox, "graph": world.graph_mailbox}
        figures = {kind: _figures(world, make) for kind, make in sources.items()}
    with run_world() as world:  # afresh: the storage emulator becomes slower with what it holds
        sources = {"imap": world.imap_mailbox, "graph": world.graph_mailbox}
        for kind, make in sources.items():
            many, _ = _poll(world, *(make(messages(_MESSAGES)) for _ in range(_MAILBOXES)))
            assert many.messages == _MAILBOXES * _MESSAGES
            figures[kind]["peak_memory_mb"] = many.peak_memory_mb
        starts = cold_start(world)
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps(figures, indent=2))
    COLD_START_FIGURES.write_text(json.dumps(starts, indent=2))
    _print(figures)
    _print({"cold start": starts})
    print(f"\nwritten to {FIGURES} and {COLD_START_FIGURES}\n")
    measure_sending()


def _figures(world: World, make: MakeMailbox) -> dict[str, float]:
    speeds, floors = [], []
    for _ in range(_ROUNDS):
        floors.append(_floor(world).per_second)
        mailbox = make(messages(_MESSAGES))
        taken, requests = _poll(world, mailbox)
        speeds.append(taken.per_second)
    idle, idle_requests = _poll(world, mailbox)
    large, _ = _poll(world, make(messages(200, large=True)))
    replies, _ = _poll(world, make(messages(400, replies=True)))
    assert (taken.messages, idle.messages) == (_MESSAGES, 0)
    return {
        "messages_per_second": median(speeds),
        "floor_messages_per_second": median(floors),
        "ratio_to_floor": median(speeds) / median(floors),
        "storage_transactions_per_message": taken.storage / taken.messages,
        "storage_transactions_per_large_message": large.storage / large.messages,
        "storage_transactions_per_reply": 2 * replies.storage / replies.messages,
        "provider_requests_per_message": requests / taken.messages,
        "idle_storage_transactions": idle.storage,
        "idle_provider_requests": idle_requests,
        "peak_memory_mb_1000": taken.peak_memory_mb,
        "peak_memory_mb_large": large.peak_memory_mb,
    }


def _floor(world: World) -> Measured:
    mailbox = world.imap_mailbox(messages(_MESSAGES))
    return _alone(measure_floor, world.azurite.connection_string, world.dovecot, mailbox.id)


def _poll(world: World, *mailboxes: Mailbox) -> tuple[Measured, int]:
    """What was measured, and how many requests or commands the provider has had."""
    before = world.simulators.requests("graph")
    measured = _alone(measure_poll, world.environment, mailboxes, world.kinds)
    return measured, measured.imap or world.simulators.requests("graph") - before


def _alone(measure: Callable[..., Measured], *arguments: Any) -> Measured:
    with get_context("spawn").Pool(1) as process:
        return process.apply(measure, arguments)


def _print(figures: dict[str, dict[str, float]]) -> None:
    kinds = list(figures)
    print(f"{'':44}" + "".join(f"{kind:>12}" for kind in kinds) + "   budget")
    for name in figures[kinds[0]]:
        cells = "".join(f"{figures[kind][name]:12.2f}" for kind in kinds)
        print(f"{name:44}{cells}   {_BUDGETS.get(name, '')}")


if __name__ == "__main__":
    main()
