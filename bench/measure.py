"""One measurement each, in a process of its own: what it is about is measured, not what came before."""

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from azure.storage.queue import QueueClient

from bench.counting import counted
from bench.floor import take_in_by_hand
from local.dovecot import Dovecot
from shared.adapters.storage.clients import POLLS_QUEUE, StorageClients
from shared.application.poll import poll
from shared.application.ports.platform import PollRequest, Queue
from shared.application.services import Services
from shared.bootstrap import compose
from shared.domain.mailbox import Mailbox
from shared.settings import StorageSettings, read_settings


@dataclass(frozen=True, slots=True)
class Measured:
    """`peak_memory_mb` is what it took over an idle process; `storage` and `imap` count requests and commands."""

    messages: int
    seconds: float
    storage: int
    imap: int
    peak_memory_mb: float

    @property
    def per_second(self) -> float:
        return self.messages / self.seconds


@dataclass
class _WatchedQueue:
    """The queue, and how many messages on it are still to be handled."""

    queue: Queue[PollRequest]
    waiting: int = 0

    def put(self, request: PollRequest, delay: timedelta = timedelta()) -> None:
        self.queue.put(request, delay)
        self.waiting += 1


def measure_poll(environment: dict[str, str], mailboxes: Sequence[Mailbox], kinds: dict[str, str]) -> Measured:
    """Poll one mailbox after the other, as the Functions host does: from the message on the queue to its deletion,
    until none is put back.
    """
    os.environ.update(environment)
    services = _connected(environment, mailboxes)
    polls = _WatchedQueue(services.polls)
    services = replace(services, polls=polls)
    queue = QueueClient.from_connection_string(environment["DATA_STORAGE"], POLLS_QUEUE)
    known, before = _taken_in(services, mailboxes), _peak_memory_mb()
    with counted(kinds) as counts:
        started = time.perf_counter()
        for mailbox in mailboxes:
            request = PollRequest(mailbox.id, "demand", "bench")
            polls.put(request)
            while polls.waiting:
                message = queue.receive_message()
                assert message, "it was put there"
                poll(services, request)
                queue.delete_message(message)
                polls.waiting -= 1
        seconds = time.perf_counter() - started
    peak = _peak_memory_mb() - before
    return Measured(_taken_in(services, mailboxes) - known, seconds, counts["storage"], counts["imap"], peak)


def _taken_in(services: Services, mailboxes: Sequence[Mailbox]) -> int:
    runs = [run for mailbox in mailboxes for run in services.tickets.runs(mailbox.id, 1000)]
    assert not any(run.error_code for run in runs), runs
    return sum(sum(run.outcomes.values()) for run in runs)


def measure_floor(connection_string: str, dovecot: Dovecot, user: str) -> Measured:
    table = StorageClients(StorageSettings(connection_string, "", "", ""), None).table("tickets")
    before = _peak_memory_mb()
    started = time.perf_counter()
    messages = take_in_by_hand(dovecot, user, table)
    return Measured(messages, time.perf_counter() - started, 0, 0, _peak_memory_mb() - before)


def _connected(environment: dict[str, str], mailboxes: Sequence[Mailbox]) -> Services:
    """With everything made and cached that a process makes once."""
    services = compose(read_settings(environment))
    for mailbox in mailboxes:
        if services.mailboxes.get(mailbox.id) is None:
            services.mailboxes.add(mailbox)
    services.mailboxes.all()
    services.installation.all()
    services.schedule.all()
    services.tickets.state(mailboxes[0].id)
    services.raws.keep(mailboxes[0].id, b"makes the container")
    services.polls.put(PollRequest("none", "demand", "bench"))
    QueueClient.from_connection_string(environment["DATA_STORAGE"], POLLS_QUEUE).clear_messages()
    return services


def _peak_memory_mb() -> float:
    """Of this process since it was started; what `getrusage` tells goes on from the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]  # Linux always has it
