"""What a function is, what it is given, what it gives back, and the engines that can run one."""

import asyncio
import importlib
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

T = TypeVar("T")


class HostError(Exception):
    """The app or its configuration is something that this host cannot run."""


class FunctionFailed(Exception):
    """A function raised; the host has logged what."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function and its bindings, each in the form of an entry of function.json."""

    name: str
    bindings: tuple[Mapping[str, Any], ...]

    @property
    def trigger(self) -> Mapping[str, Any]:
        return next(binding for binding in self.bindings if str(binding["type"]).endswith("Trigger"))


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`route` holds the values of the route's parameters; what came twice in headers or query is joined by a comma."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    route: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """What a timer or a queue hands over. The values of `metadata` can be written as JSON."""

    kind: Literal["json", "string", "bytes"]
    value: str | bytes
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HttpResponse:
    status: int
    headers: Mapping[str, str]
    body: bytes


TriggerData = HttpRequest | Payload
Invoke = Callable[[Function, TriggerData], Future[HttpResponse | None]]


class Listener(Protocol):
    """What waits for a trigger."""

    def start(self) -> None: ...

    def stop(self) -> None:
        """Take no more work. May be called twice."""

    def wait(self, seconds: float) -> bool:
        """Wait for what is under way, after `stop`; False when it takes longer."""


class Engine(Protocol):
    """Loads `function_app` and runs its functions; used on one event loop only."""

    async def load(self, folder: Path) -> tuple[Function, ...]:
        """Import `function_app`, which must be importable. :raises HostError: it is refused."""

    async def invoke(self, function: Function, invocation_id: str, data: TriggerData) -> HttpResponse | None:
        """Run a function, a synchronous one in a thread. Raises what the function raised, or an error that tells it."""

    def close(self) -> None: ...


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let `function_app` be imported from the folder; afterwards the module is what it was before."""
    before = sys.modules.pop("function_app", None)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("function_app", None)
        if before is not None:
            sys.modules["function_app"] = before


class EventLoop:
    """One event loop in a thread of its own, where all functions are awaited."""

    def __init__(self) -> None:
        self._ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._until_stopped()), name="functions", daemon=True
        )
        self._thread.start()

    async def _until_stopped(self) -> None:
        stopped = asyncio.Event()
        self._ready.set_result((asyncio.get_running_loop(), stopped))
        await stopped.wait()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        loop, _ = self._ready.result()
        return asyncio.run_coroutine_threadsafe(coroutine, loop)

    def stop(self) -> None:
        """Cancel what is still awaited and end."""
        loop, stopped = self._ready.result()
        loop.call_soon_threadsafe(stopped.set)
        self._thread.join()
