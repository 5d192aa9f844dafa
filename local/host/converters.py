"""The engine for every Python: calls the functions itself, with the converters that azure.functions brings."""

import asyncio
import importlib
import inspect
import json
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from azure.functions import FunctionRegister, get_binding_registry
from azure.functions.meta import Datum

from local.host.engine import Function, HostError, HttpRequest, HttpResponse, TriggerData


@dataclass(frozen=True, slots=True)
class Context:
    """What a parameter named `context` gets."""

    function_name: str
    function_directory: str
    invocation_id: str
    thread_local_storage = threading.local()
    trace_context = SimpleNamespace(trace_parent="", trace_state="", attributes={})
    retry_context = SimpleNamespace(retry_count=0, max_retry_count=0, exception=None)


class ConvertersEngine:
    def __init__(self) -> None:
        self._registry = get_binding_registry()
        threads = int(os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "0"))
        self._pool = ThreadPoolExecutor(threads or None, thread_name_prefix="function")
        self._code: dict[str, Callable[..., Any]] = {}
        self._folder = ""

    async def load(self, folder: Path) -> tuple[Function, ...]:
        self._folder = str(folder)
        module = importlib.import_module("function_app")
        apps = [value for value in vars(module).values() if isinstance(value, FunctionRegister)]
        if len(apps) != 1:
            raise HostError(f"function_app.py defines {len(apps)} function apps; it must be one")
        built: Mapping[str, Any] = {str(each.get_function_name()): each for each in apps[0].get_functions()}
        self._code = {name: each.get_user_function() for name, each in built.items()}
        return tuple(Function(name, tuple(map(json.loads, each.get_raw_bindings()))) for name, each in built.items())

    async def invoke(self, function: Function, invocation_id: str, data: TriggerData) -> HttpResponse | None:
        call = partial(self._code[function.name], **self._arguments(function, invocation_id, data))
        if inspect.iscoroutinefunction(call.func):
            result = await call()
        else:
            result = await asyncio.get_running_loop().run_in_executor(self._pool, call)
        if isinstance(data, HttpRequest):
            return _response(self._registry.get("http").encode(result, expected_type=None))
        if result is not None:
            raise TypeError(f"{function.name} returned a value but has no $return binding")
        return None

    def _arguments(self, function: Function, invocation_id: str, data: TriggerData) -> dict[str, Any]:
        datum, metadata = _datum(data)
        converter = self._registry.get(function.trigger["type"])
        arguments = {function.trigger["name"]: converter.decode(datum, trigger_metadata=metadata)}
        if "context" in inspect.signature(self._code[function.name]).parameters:
            arguments["context"] = Context(function.name, self._folder, invocation_id)
        return arguments

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _datum(data: TriggerData) -> tuple[Datum, dict[str, Datum]]:
    if isinstance(data, HttpRequest):
        return _http_datum(data), {}
    metadata = {name: Datum(json.dumps(value), "json") for name, value in data.metadata.items()}
    return Datum(data.value, data.kind), metadata


def _http_datum(request: HttpRequest) -> Datum:
    return Datum(
        {
            "method": Datum(request.method, "string"),
            "url": Datum(request.url, "string"),
            "headers": {name: Datum(value, "string") for name, value in request.headers.items()},
            "query": {name: Datum(value, "string") for name, value in request.query.items()},
            "params": {name: Datum(value, "string") for name, value in request.route.items()},
            "body": Datum(request.body, "bytes"),
        },
        "http",
    )


def _response(datum: Datum) -> HttpResponse:
    if datum.type == "string":
        return HttpResponse(200, {"content-type": "text/plain; charset=utf-8"}, datum.value.encode())
    if datum.value["cookies"]:
        raise HostError("this host does not pass on cookies")
    headers = {name: value.value for name, value in datum.value["headers"].items()}
    return HttpResponse(int(datum.value["status_code"].value), headers, datum.value["body"].value)
