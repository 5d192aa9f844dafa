"""`make soak`: no mailbox starves, no queue grows without end, counts add up, memory stays flat, nothing is lost."""

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.context import SpawnProcess
from pathlib import Path

from azure.storage.queue import QueueClient

from bench.soak.mailboxes import START, Clock, mailbox
from bench.soak.report import Report, report
from bench.soak.worker import Soak, schedule, work
from local.azurite import run_azurite
from shared.adapters.storage.clients import POLLS_QUEUE
from shared.application.ports.platform import PollRequest
from shared.application.services import Services

FIGURES = Path(".local/figures/soak.json")
_SAMPLE_SECONDS = 5
_DRAINED_WITHIN = 240
_SPAWN = multiprocessing.get_context("spawn")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--mailboxes", type=int, default=1000)
    parser.add_argument("--speed", type=float, default=5, help="how much faster than usual time runs")
    parser.add_argument("--workers", type=int, default=2, help="processes that poll")
    parser.add_argument("--threads", type=int, default=12, help="polls at once in each of them")
    parser.add_argument("--faults", action="store_true", help="storage fails, clocks differ, requests come twice")
    parser.add_argument("--kill", type=float, default=0, help="seconds after which one worker or another is killed")
    parser.add_argument(
        "--hidden", type=int, default=60, help="seconds until a request comes again that nobody finished"
    )
    parser.add_argument("--figures", type=Path, default=FIGURES)
    arguments = parser.parse_args()
    found = run(arguments)
    arguments.figures.parent.mkdir(parents=True, exist_ok=True)
    arguments.figures.write_text(json.dumps(found.figures, indent=2))
    for name, value in found.figures.items():
        print(f"{name:36}{value:>12}")
    print(*found.problems, sep="\n")
    return 1 if found.problems else 0


def run(arguments: argparse.Namespace) -> Report:
    with run_azurite() as azurite, tempfile.TemporaryDirectory() as folder:
        clock = Clock(time.time(), arguments.speed)
        until = START + timedelta(seconds=arguments.seconds * arguments.speed)
        environment = {
            "DATA_STORAGE": azurite.connection_string,
            "KEY_VAULT_URI": "https://vault.invalid",
            "POLL_SCHEDULE": "0 * * * * *",
        }
        soak = Soak(environment, clock, until, Path(folder), arguments.threads, arguments.hidden, arguments.faults)
        services = soak.services("setup")
        for number in range(arguments.mailboxes):
            services.mailboxes.add(mailbox(number))
        queue = QueueClient.from_connection_string(azurite.connection_string, POLLS_QUEUE)
        queue.create_queue()
        with _processes(soak, arguments) as processes:
            _watch(services, processes, arguments, until_drained=False)
            for number in range(arguments.mailboxes):  # whatever their back-off is
                services.polls.put(PollRequest(f"soak-{number}", "demand", "soak"))
            _watch(services, processes, arguments, until_drained=True)
        return report(soak, services, arguments.mailboxes, processes.samples)


@dataclass
class _Processes:
    soak: Soak
    chance: random.Random
    running: list[SpawnProcess] = field(default_factory=list)
    started: int = 0
    samples: list[tuple[int, float]] = field(default_factory=list)

    def start_worker(self) -> None:
        process = _SPAWN.Process(target=work, args=(self.soak, self.started), daemon=True)
        process.start()
        self.started += 1
        self.running.append(process)

    def kill_one(self) -> None:
        process = self.running.pop(self.chance.randrange(len(self.running)))
        process.kill()
        process.join()
        self.start_worker()

    def sample(self) -> None:
        """How long the queue is, and how much memory (in MB) the largest worker has."""
        queue = QueueClient.from_connection_string(self.soak.environment["DATA_STORAGE"], POLLS_QUEUE)
        waiting = queue.get_queue_properties().approximate_message_count or 0
        memory = [_memory_mb(process.pid) for process in self.running if process.pid]
        self.samples.append((waiting, max(memory)))


@contextmanager
def _processes(soak: Soak, arguments: argparse.Namespace) -> Iterator[_Processes]:
    processes = _Processes(soak, random.Random(0))  # noqa: S311 - the same workers are killed each time
    scheduler = _SPAWN.Process(target=schedule, args=(soak,), daemon=True)
    scheduler.start()
    for _ in range(arguments.workers):
        processes.start_worker()
    try:
        yield processes
    finally:
        for each in (scheduler, *processes.running):
            each.kill()


def _watch(services: Services, processes: _Processes, arguments: argparse.Namespace, *, until_drained: bool) -> None:
    """For as long as mail arrives, and then until all of it has become tickets and each mailbox was polled."""
    ends = time.monotonic() + (_DRAINED_WITHIN if until_drained else arguments.seconds)
    kills = time.monotonic() + arguments.kill
    while time.monotonic() < ends:
        time.sleep(min(_SAMPLE_SECONDS, max(0, ends - time.monotonic())))
        if not until_drained:
            processes.sample()
        if until_drained and Report.complete(processes.soak, services, arguments.mailboxes):
            return
        if arguments.kill and not until_drained and time.monotonic() > kills:
            processes.kill_one()
            kills = time.monotonic() + arguments.kill


def _memory_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * 4096 / 2**20


if __name__ == "__main__":
    sys.exit(main())
