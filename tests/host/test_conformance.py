"""Both engines run the same app alike; one of them is what Azure itself runs on Python 3.13."""

import sys
from pathlib import Path

import httpx
import pytest

from local.host.converters import ConvertersEngine
from local.host.engine import Engine, EventLoop, Function, FunctionFailed, HostError, importable
from local.host.runtime import RuntimeEngine
from tests.host.conftest import Messages, StartHost
from tests.host.sample import recorded, until, write_app

ROOT = Path(__file__).parents[2]
runtime_only = pytest.mark.skipif(sys.version_info < (3, 13), reason="azure-functions-runtime needs Python 3.13")

REQUESTS = [
    ("POST", "items/caf%C3%A9/7?q=1&q=2", "body"),
    ("POST", "items/caf%C3%A9/seven", ""),
    ("GET", "size", ""),
    ("PUT", "size", "x" * 100_000),
    ("GET", "boom", ""),
    ("GET", "nothing", ""),
    ("GET", "cookie", ""),
    ("GET", "empty", ""),
    ("GET", "secret", ""),
    ("DELETE", "web/a/%20b?c=%C3%A9", "body"),
]


def behaviour(engine: str, start_host: StartHost, client: httpx.Client, messages: Messages, record: Path) -> object:
    """Everything that can be seen of the sample app: what it answers and what its functions were given."""
    record.unlink(missing_ok=True)
    host = start_host(engine=engine)
    answers = [
        (answer.status_code, answer.headers.get("content-type"), answer.headers.get("x-answer"), answer.text)
        for method, path, body in REQUESTS
        for answer in [
            client.request(method, f"{host.url}/api/{path}", content=body, headers={"x-functions-key": host.key})
        ]
    ]
    host.run_timer("tick")
    messages.send("plain", "fail once")
    until(lambda: messages.left() == 0)
    host.stop()
    given = [line for line in recorded(record) if "body" in line]
    ticks = [(line["past_due"], sorted(line["status"])) for line in recorded(record) if "past_due" in line]
    return sorted(host.functions, key=_name), answers, sorted(map(str, given)), ticks


@runtime_only
def test_both_engines_run_the_sample_app_alike(start_host: StartHost, client, messages: Messages, record: Path):
    arguments = (start_host, client, messages, record)

    assert behaviour("runtime", *arguments) == behaviour("converters", *arguments)


def _name(function: Function) -> str:
    return function.name


def functions_in(folder: Path, engine: Engine) -> list[Function]:
    loop = EventLoop()
    try:
        with importable(folder):
            return sorted(loop.submit(engine.load(folder)).result(), key=_name)
    finally:
        loop.stop()
        engine.close()


@runtime_only
def test_both_engines_find_the_same_functions_in_mailroom():
    found = functions_in(ROOT, RuntimeEngine())

    assert found
    assert found == functions_in(ROOT, ConvertersEngine())


@pytest.mark.parametrize(
    "wrong",
    [
        "import azure.functions as func\none, two = func.FunctionApp(), func.FunctionApp()",
        "import azure.functions",
        "import no_such_module",
        "raise ValueError('at import')",
    ],
)
def test_an_app_that_azure_refuses_is_refused(start_host: StartHost, tmp_path: Path, engine: str, wrong: str):
    with pytest.raises(HostError, match="cannot be loaded"):
        start_host(write_app(tmp_path / "app", wrong), engine=engine)


def test_a_value_that_no_binding_takes_is_a_failure(start_host: StartHost, tmp_path: Path, engine: str):
    source = """
import azure.functions as func
app = func.FunctionApp()
@app.timer_trigger(schedule="0 0 0 29 2 *", arg_name="timer")
def chatty(timer: func.TimerRequest):
    return "text"
"""
    host = start_host(write_app(tmp_path / "app", source), engine=engine)

    with pytest.raises(FunctionFailed):
        host.run_timer("chatty")


def test_a_binding_that_the_host_does_not_have_is_refused(start_host: StartHost, tmp_path: Path):
    source = """
import azure.functions as func
app = func.FunctionApp()
@app.blob_trigger(arg_name="blob", path="inbox/{name}", connection="STORAGE")
def read(blob: func.InputStream) -> None: ...
"""

    with pytest.raises(HostError, match=r"read: .*blobTrigger"):
        start_host(write_app(tmp_path / "app", source))


def test_a_host_that_stopped_leaves_the_module_as_it_was(start_host: StartHost, monkeypatch: pytest.MonkeyPatch):
    mine = object()
    monkeypatch.setitem(sys.modules, "function_app", mine)

    start_host().stop()

    assert sys.modules["function_app"] is mine
