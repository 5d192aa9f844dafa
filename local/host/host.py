"""Loads the app through an engine and drives its triggers."""

import asyncio
import logging
import secrets
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import ExitStack, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

from local.host.converters import ConvertersEngine
from local.host.engine import (
    Engine,
    EventLoop,
    Function,
    FunctionFailed,
    HostError,
    HttpResponse,
    Listener,
    TriggerData,
    importable,
)
from local.host.queues import QueuePoller
from local.host.routes import routes_of
from local.host.runtime import RuntimeEngine
from local.host.settings import HostSettings, expand, read_host_json
from local.host.timers import Timer
from local.host.web import WebServer

_log = logging.getLogger("host")
ENGINES: dict[str, Callable[[], Engine]] = {"converters": ConvertersEngine, "runtime": RuntimeEngine}
_SUPPORTED = {"httpTrigger", "http", "timerTrigger", "queueTrigger"}


class FunctionsHost:
    """Runs the app in a folder. Its settings are the environment's; its timers are remembered in the folder `state`.

    Keys that are not given are made up; `port` 0 is any free one. `message_lease` is how long a queue message stays
    hidden after a crash (ten minutes on Azure).
    """

    def __init__(
        self,
        app: Path,
        state: Path,
        *,
        engine: str = "converters",
        port: int = 0,
        key: str | None = None,
        master_key: str | None = None,
        message_lease: timedelta = timedelta(minutes=1),
    ) -> None:
        self.key = key or secrets.token_urlsafe()
        self.master_key = master_key or secrets.token_urlsafe()
        self.functions: tuple[Function, ...] = ()
        self.url = ""
        self._app, self._state, self._engine_name, self._port = app.resolve(), state, engine, port
        self._message_lease = message_lease
        self._timers: dict[str, Timer] = {}
        self._pollers: dict[str, QueuePoller] = {}
        self._under_way: set[Future[HttpResponse | None]] = set()
        self._cleanup = ExitStack()

    def start(self) -> None:
        """Return when HTTP is answered. :raises HostError: the app cannot be run here."""
        with ExitStack() as undo:
            undo.enter_context(importable(self._app))
            self._engine = ENGINES[self._engine_name]()
            undo.callback(self._engine.close)
            self._loop = EventLoop()
            undo.callback(self._loop.stop)
            settings = read_host_json(self._app)
            self.functions = self._loaded()
            self._prepare(settings, undo)
            for listener in self._listeners:
                undo.callback(listener.stop)
                listener.start()
            self._cleanup = undo.pop_all()
        _log.info("%d functions at %s with engine %s", len(self.functions), self.url, self._engine_name)
        _log.info("a run may take %s on Azure; here it is not stopped", settings.function_timeout)

    def stop(self, patience: timedelta = timedelta(seconds=10)) -> bool:
        """Take no more work and wait for what is under way; False when that takes longer than `patience`."""
        deadline = time.monotonic() + patience.total_seconds()
        for listener in self._listeners:
            listener.stop()
        wait(set(self._under_way), timeout=patience.total_seconds())
        late = [each for each in self._listeners if not each.wait(max(0, deadline - time.monotonic()))]
        self._cleanup.close()
        _log.info("stopped, while functions were running" if late else "stopped")
        return not late

    @property
    def _listeners(self) -> tuple[Listener, ...]:
        return (*self._timers.values(), *self._pollers.values(), self._web)

    def run_timer(self, name: str) -> None:
        """Run a timer function now and wait for it. :raises FunctionFailed: it raised."""
        self._timers[name].run()

    def _loaded(self) -> tuple[Function, ...]:
        try:
            functions = self._loop.submit(self._engine.load(self._app)).result()
        except Exception as error:
            raise HostError(f"the app cannot be loaded: {error}") from error
        for function in functions:
            unknown = {binding["type"] for binding in function.bindings} - _SUPPORTED
            if unknown:
                raise HostError(f"{function.name}: this host has no bindings of type {', '.join(unknown)}")
        return tuple(map(expand, functions))

    def _prepare(self, settings: HostSettings, undo: ExitStack) -> None:
        self._state.mkdir(parents=True, exist_ok=True)
        for function in self.functions:
            if function.trigger["type"] == "timerTrigger":
                self._timers[function.name] = Timer(function, self._state, self._invoke)
            elif function.trigger["type"] == "queueTrigger":
                poller = QueuePoller(function, settings.queues, self._message_lease, self._invoke)
                self._pollers[function.name] = poller
        routes = routes_of(self.functions, settings.route_prefix)
        self._web = WebServer(self._port, routes, (self.key, self.master_key), self._invoke, self._run_now)
        undo.callback(self._web.server_close)
        self.url = f"http://127.0.0.1:{self._web.server_address[1]}"

    def _invoke(self, function: Function, data: TriggerData) -> Future[HttpResponse | None]:
        run = self._loop.submit(self._run(function, data))
        self._under_way.add(run)
        run.add_done_callback(self._under_way.discard)
        return run

    async def _run(self, function: Function, data: TriggerData) -> HttpResponse | None:
        invocation_id, started = str(uuid.uuid4()), time.monotonic()
        try:
            response = await self._engine.invoke(function, invocation_id, data)
        except asyncio.CancelledError:
            raise FunctionFailed("the host stopped") from None
        except Exception as error:
            _log.exception("%s %s failed: %s: %s", function.name, invocation_id, type(error).__name__, error)
            raise FunctionFailed(function.name) from error
        _log.info("%s %s succeeded in %d ms", function.name, invocation_id, 1000 * (time.monotonic() - started))
        return response

    def _run_now(self, name: str, text: str) -> bool:
        """Start a timer function, or a queue function on this text; False where there is none of that name."""
        if name in self._timers:
            run: Callable[[], None] = self._timers[name].run
        elif name in self._pollers:
            run = partial(self._pollers[name].run, text)
        else:
            return False
        threading.Thread(target=_quietly, args=(run,), name=name, daemon=True).start()
        return True


def _quietly(run: Callable[[], None]) -> None:
    with suppress(FunctionFailed):  # it is logged already
        run()
