"""The processes of the soak: one that finds what is due, and those that poll, as the Functions host has them do."""

import json
import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from azure.storage.queue import QueueClient, TextBase64DecodePolicy
from requests.adapters import HTTPAdapter

from bench.soak.faults import storage_faults
from bench.soak.mailboxes import Clock, SoakSource
from shared.adapters.storage.clients import POLLS_QUEUE
from shared.application.poll import poll
from shared.application.ports.platform import PollRequest, Queue, SecretStore
from shared.application.schedule import schedule_polls
from shared.application.services import Services
from shared.bootstrap import compose
from shared.domain.mailbox import Mailbox
from shared.settings import read_settings

_TICK = timedelta(minutes=1)
_TWICE = 0.1


@dataclass(frozen=True, slots=True)
class Soak:
    """What all processes know. `until` is when the last message arrives."""

    environment: dict[str, str]
    clock: Clock
    until: datetime
    folder: Path
    threads: int
    hidden_seconds: int
    faults: bool

    def services(self, name: str, skew: timedelta = timedelta()) -> Services:
        clock = replace(self.clock, skew=skew)
        composed = compose(read_settings(self.environment), clock=clock)

        def open_source(mailbox: Mailbox, secrets: SecretStore | None = None) -> SoakSource:  # noqa: ARG001 - the port's
            return SoakSource(int(mailbox.id.removeprefix("soak-")), self.clock, self.until)

        polls = _Polls(composed.polls, clock, self.recorder(f"{name}.queued"))
        return replace(composed, open_source=open_source, polls=polls)

    def recorder(self, name: str) -> Callable[..., None]:
        """Writes one line for each call: a process that is killed has told what it did."""
        file, lock = (self.folder / name).open("a", buffering=1), threading.Lock()

        def record(**fields: Any) -> None:
            with lock:
                file.write(json.dumps(fields) + "\n")

        return record


@dataclass
class _Polls:
    """The queue, which knows nothing of compressed time."""

    queue: Queue[PollRequest]
    clock: Clock
    record: Callable[..., None]

    def put(self, request: PollRequest, delay: timedelta = timedelta()) -> None:
        self.record(mailbox=request.mailbox_id, due=(self.clock() + delay).timestamp(), reason=request.reason)
        self.queue.put(request, delay / self.clock.speed)


def schedule(soak: Soak) -> None:
    """The timer, once a minute of compressed time."""
    logging.disable()
    services = soak.services("schedule")
    while True:
        begun = time.monotonic()
        schedule_polls(services)
        time.sleep(max(0, _TICK.total_seconds() / soak.clock.speed - (time.monotonic() - begun)))


def work(soak: Soak, number: int) -> None:
    """Take requests off the queue until somebody ends the process."""
    logging.disable()
    chance = random.Random(number)  # noqa: S311 - the same faults each time
    with ExitStack() as stack:
        if soak.faults:
            stack.enter_context(storage_faults(chance))
        skew = timedelta(seconds=chance.uniform(-60, 60)) if soak.faults else timedelta()
        services, asked = soak.services(f"worker-{number}", skew), stack.enter_context(_counted())
        record = soak.recorder(f"worker-{number}")
        server = _Server(soak, services, record, asked, chance)
        workers = [threading.Thread(target=server.serve) for _ in range(soak.threads)]
        for each in workers:
            each.start()
        for each in workers:
            each.join()


@dataclass(frozen=True, slots=True)
class _Server:
    """One thread that handles one request at a time."""

    soak: Soak
    services: Services
    record: Callable[..., None]
    asked: threading.local
    chance: random.Random

    def serve(self) -> None:
        queue = QueueClient.from_connection_string(
            self.soak.environment["DATA_STORAGE"], POLLS_QUEUE, message_decode_policy=TextBase64DecodePolicy()
        )
        while True:
            try:
                self._serve_one(queue)
            except Exception as error:  # noqa: BLE001 - the host's loop: what a function raises comes again
                self.record(failed=type(error).__name__)

    def _serve_one(self, queue: QueueClient) -> None:
        self.asked.count = 0
        message = queue.receive_message(visibility_timeout=self.soak.hidden_seconds)
        if message is None:
            time.sleep(0.2)
            return
        request = PollRequest(**json.loads(message.content))
        begun = self.soak.clock().timestamp()
        poll(self.services, request)
        if not self.soak.faults or self.chance.random() > _TWICE:  # else it comes again, a minute late
            queue.delete_message(message)
        ended = self.soak.clock().timestamp()
        self.record(mailbox=request.mailbox_id, at=begun, ended=ended, storage=self.asked.count + 1)


class _counted:  # noqa: N801 - a context manager
    """Counts the requests to storage of each thread; the message had to be put on the queue, too."""

    def __enter__(self) -> threading.local:
        asked, send = threading.local(), HTTPAdapter.send

        def counting_send(adapter: HTTPAdapter, request: Any, **options: Any) -> Any:
            asked.count = getattr(asked, "count", 0) + 1
            return send(adapter, request, **options)

        self._patched = patch.object(HTTPAdapter, "send", counting_send)
        self._patched.start()
        return asked

    def __exit__(self, *_: object) -> None:
        self._patched.stop()
