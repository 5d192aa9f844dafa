"""One measurement each, in a process of its own: what it is about is measured, not what came before."""

import os
import resource
import time
from dataclasses import dataclass

from bench.counting import counted
from bench.floor import take_in_by_hand
from local.dovecot import Dovecot
from shared.adapters.storage.clients import StorageClients
from shared.application.poll import poll
from shared.application.ports import PollRequest
from shared.bootstrap import compose
from shared.domain.mailbox import Mailbox
from shared.settings import StorageSettings, read_settings


@dataclass(frozen=True, slots=True)
class Measured:
    """`peak_memory_mb` is what it took over an idle process; counts are of requests and commands."""

    messages: int
    seconds: float
    storage: int
    provider: int
    peak_memory_mb: float

    @property
    def per_second(self) -> float:
        return self.messages / self.seconds


def measure_poll(environment: dict[str, str], mailbox: Mailbox, kinds: dict[str, str], *, polls: int = 1) -> Measured:
    """Poll until nothing is waiting, then `polls - 1` times more; only the last poll's requests are counted."""
    os.environ.update(environment)
    services = compose(read_settings(environment))
    services.mailboxes.add(mailbox)
    services.mailboxes.all()
    services.tickets.state(mailbox.id)
    services.raws.keep(mailbox.id, b"connects to the container, so that creating it is not counted")
    before = _peak_memory_mb()
    request = PollRequest(mailbox.id, "demand", "bench")
    for _ in range(polls - 1):
        poll(services, request)
    with counted(kinds) as counts:
        started = time.perf_counter()
        poll(services, request)
        seconds = time.perf_counter() - started
    health = services.schedule.get(mailbox.id)
    assert health, "a poll leaves its health"
    assert health.error_code is None, health.error
    provider = counts["imap"] if mailbox.source.kind == "imap" else counts["simulators"]
    return Measured(sum(health.last_outcomes.values()), seconds, counts["storage"], provider, _peak_memory_mb() - before)


def measure_floor(connection_string: str, dovecot: Dovecot, user: str) -> Measured:
    table = StorageClients(StorageSettings(connection_string, "", "", ""), None).table("tickets")
    before = _peak_memory_mb()
    started = time.perf_counter()
    messages = take_in_by_hand(dovecot, user, table)
    return Measured(messages, time.perf_counter() - started, 0, 0, _peak_memory_mb() - before)


def _peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
