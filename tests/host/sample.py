"""A functions app to run in tests, and how to see what it did."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

# It needs the settings RECORD (a file), SCHEDULE, QUEUE and STORAGE (a connection string).
SAMPLE = """
import json
import os

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


def record(**fields):
    with open(os.environ["RECORD"], "a") as lines:
        lines.write(json.dumps(fields, default=str) + "\\n")


@app.route("items/{name}/{id:int}", methods=["POST"])
def echo(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    seen = {
        "route": dict(req.route_params), "query": dict(req.params), "body": req.get_body().decode(),
        "header": req.headers.get("X-Asked"), "function": context.function_name, "method": req.method,
    }
    headers = {"X-Answer": "yes", "Content-Type": "application/json"}
    return func.HttpResponse(json.dumps(seen), status_code=201, headers=headers)


@app.route("size", auth_level=func.AuthLevel.ANONYMOUS)
def size(req: func.HttpRequest) -> str:
    return str(len(req.get_body()))


@app.route("boom", auth_level=func.AuthLevel.ANONYMOUS)
def boom(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("boom")


@app.route("nothing", auth_level=func.AuthLevel.ANONYMOUS)
def nothing(req: func.HttpRequest) -> func.HttpResponse:
    return None


@app.route("cookie", auth_level=func.AuthLevel.ANONYMOUS)
def cookie(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("", headers={"Set-Cookie": "a=b"})


@app.route("empty", auth_level=func.AuthLevel.ANONYMOUS)
def empty(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=204)


@app.route("secret", auth_level=func.AuthLevel.ADMIN)
def secret(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("the master was here")


async def web(scope, receive, send):
    request = await receive()
    answer = [scope["method"], scope["path"], scope["query_string"].decode(), request["body"].decode()]
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


@app.route("web/{*path}", auth_level=func.AuthLevel.ANONYMOUS)
async def asgi(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return await func.AsgiMiddleware(web).handle_async(req, context)


@app.timer_trigger(schedule="%SCHEDULE%", arg_name="timer")
def tick(timer: func.TimerRequest) -> None:
    record(past_due=timer.past_due, status=timer.schedule_status)
    if os.environ.get("TICK_FAILS"):
        raise ValueError("tick")


@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="STORAGE")
def work(message: func.QueueMessage) -> None:
    body = message.get_body().decode(errors="replace")
    inserted = message.insertion_time and message.insertion_time.tzinfo is not None
    record(body=body, attempt=message.dequeue_count, has_id=bool(message.id), inserted_in_utc=inserted)
    if body == "crash" and message.dequeue_count == 1:
        os._exit(9)
    if body == "fail" or (body == "fail once" and message.dequeue_count == 1):
        raise ValueError(body)
"""

HOST = {
    "version": "2.0",
    "extensions": {
        "http": {"routePrefix": "api"},
        "queues": {
            "batchSize": 4,
            "newBatchThreshold": 2,
            "maxDequeueCount": 3,
            "visibilityTimeout": "00:00:01",
            "maxPollingInterval": "00:00:01",
            "messageEncoding": "base64",
        },
    },
}


def write_app(folder: Path, source: str = SAMPLE, host: object = HOST) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "function_app.py").write_text(source)
    (folder / "host.json").write_text(json.dumps(host))
    return folder


def recorded(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def until(found: Callable[[], T], seconds: float = 30) -> T:
    """Ask again and again until there is something; fail after the deadline."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return result
