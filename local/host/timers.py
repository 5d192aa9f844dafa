"""Timer triggers: one thread for each, which runs its function when it is due and never twice at a time.

The times are kept in a file, so that a start can see that an occurrence was missed while the host was down.
"""

import json
import logging
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from local.host.engine import Function, FunctionFailed, HostError, Invoke, Payload
from local.host.ncrontab import Schedule, parse

_log = logging.getLogger("host.timers")
_NEVER = "0001-01-01T00:00:00+00:00"


@dataclass(frozen=True, slots=True)
class Status:
    """When the timer ran last, when it is due, and when this was written; ISO 8601 and named as Azure names them."""

    Last: str
    Next: str
    LastUpdated: str


class Timer:
    def __init__(self, function: Function, state: Path, invoke: Invoke) -> None:
        """:raises HostError: its schedule cannot be read."""
        self._function = function
        self._file = state / f"{function.name}.timer.json" if function.trigger.get("useMonitor", True) else None
        self._invoke = invoke
        self._schedule = _schedule(function)
        self._status = Status(_NEVER, _NEVER, _NEVER)
        self._running = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_time, name=function.name, daemon=True)

    def start(self) -> None:
        now = datetime.now(UTC)
        last, updated = self._kept(now)
        self._keep(last, updated, self._schedule.next(updated))
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def wait(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def run(self, *, past_due: bool = False) -> None:
        """Run the function now and wait for it. :raises FunctionFailed:"""
        tick = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": asdict(self._status) if self._file else None,
            "IsPastDue": past_due,
        }
        with self._running:
            self._invoke(self._function, Payload("json", json.dumps(tick), {})).result()

    def _keep_time(self) -> None:
        due = datetime.fromisoformat(self._status.Next)
        past_due = due < datetime.now(UTC)
        while not self._stopping.wait((due - datetime.now(UTC)).total_seconds()):
            started = max(datetime.now(UTC), due)
            try:
                self.run(past_due=past_due)
            except FunctionFailed:
                _log.info("%s runs again when it is due next", self._function.name)
            due, past_due = self._schedule.next(started), False
            self._keep(started.isoformat(), started, due)

    def _kept(self, now: datetime) -> tuple[str, datetime]:
        """The last run, and the time since when nothing was missed."""
        if self._file is None or not self._file.exists():
            return _NEVER, now
        kept = json.loads(self._file.read_text())
        return kept["Last"], datetime.fromisoformat(kept["LastUpdated"])

    def _keep(self, last: str, updated: datetime, due: datetime) -> None:
        self._status = Status(last, due.isoformat(), updated.isoformat())
        if self._file:
            draft = self._file.with_suffix(".draft")
            draft.write_text(json.dumps(asdict(self._status)))
            draft.replace(self._file)


def _schedule(function: Function) -> Schedule:
    try:
        schedule = parse(function.trigger["schedule"])
        schedule.next(datetime.now(UTC))
    except ValueError as error:
        raise HostError(f"{function.name}: {error}") from error
    return schedule
