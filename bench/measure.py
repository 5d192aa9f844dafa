"""One measurement each, in a process of its own: what it is about is measured, not what came before."""

import os
import resource
import time
from dataclasses import asdict, dataclass

from azure.storage.queue import QueueClient

from bench.counting import counted
from bench.floor import take_in_by_hand
from local.dovecot import Dovecot
from shared.adapters.storage.clients import POLLS_QUEUE, StorageClients
from shared.application.poll import poll
from shared.application.ports import PollRequest
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


def measure_poll(environment: dict[str, str], mailbox: Mailbox, kinds: dict[str, str]) -> Measured:
    """One poll as the Functions host runs it, from the message on the queue to its deletion."""
    os.environ.update(environment)
    services = _connected(environment, mailbox)
    queue = QueueClient.from_connection_string(environment["DATA_STORAGE"], POLLS_QUEUE)
    request = PollRequest(mailbox.id, "demand", "bench")
    before = _peak_memory_mb()
    with counted(kinds) as counts:
        started = time.perf_counter()
        services.polls.put(request)
        message = queue.receive_message()
        poll(services, request)
        queue.delete_message(message)
        seconds = time.perf_counter() - started
    health = services.schedule.get(mailbox.id)
    assert health, "a poll leaves its health"
    assert health.error_code is None, asdict(health)
    messages = sum(health.last_outcomes.values())
    return Measured(messages, seconds, counts["storage"], counts["imap"], _peak_memory_mb() - before)


def measure_floor(connection_string: str, dovecot: Dovecot, user: str) -> Measured:
    table = StorageClients(StorageSettings(connection_string, "", "", ""), None).table("tickets")
    before = _peak_memory_mb()
    started = time.perf_counter()
    messages = take_in_by_hand(dovecot, user, table)
    return Measured(messages, time.perf_counter() - started, 0, 0, _peak_memory_mb() - before)


def _connected(environment: dict[str, str], mailbox: Mailbox) -> Services:
    """With everything made and cached that a process makes once."""
    services = compose(read_settings(environment))
    if services.mailboxes.get(mailbox.id) is None:
        services.mailboxes.add(mailbox)
    services.mailboxes.all()
    services.schedule.all()
    services.tickets.state(mailbox.id)
    services.raws.keep(mailbox.id, b"makes the container")
    services.polls.put(PollRequest("none", "demand", "bench"))
    return services


def _peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
