"""Simulated `$batch`: up to 20 requests in one, all side by side or each after another."""

import base64
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from local.simulators.graph_wire import graph_error, refusal
from local.simulators.web import Refused, Request, Response

MAX_REQUESTS = 20
CONCURRENCY = 4

Serve = Callable[[Request], Response]
Reserve = Callable[[str, int], Any]
"""Takes so many of a mailbox's slots for the time of the block. :raises Refused: they are not free."""


def batch(request: Request, serve: Serve, reserve: Reserve) -> Response:
    parts = _checked(request.json().get("requests"))
    responses: dict[str, dict[str, Any]] = {}
    with ExitStack() as held:
        throttled = _reserve(parts, reserve, held)
        for part in parts:
            responses[part["id"]] = _answer(part, request, responses, throttled, serve)
    return Response(body={"responses": list(reversed(responses.values()))})  # the order is not promised


def _checked(parts: Any) -> list[dict[str, Any]]:
    if not isinstance(parts, list) or not 1 <= len(parts) <= MAX_REQUESTS:
        raise refusal(400, "BadRequest", f"A batch holds 1 to {MAX_REQUESTS} requests.")
    seen: set[str] = set()
    for part in parts:
        shape = isinstance(part, dict) and all(isinstance(part.get(key), str) for key in ("id", "method", "url"))
        if not shape or part["id"].lower() in seen or not part["url"].startswith("/") or "/v1.0/" in part["url"]:
            raise refusal(400, "BadRequest", "Each request needs its own id, a method and a relative url.")
        if not {name.lower() for name in part.get("dependsOn", [])} <= seen:
            raise refusal(400, "BadRequest", "dependsOn must name earlier requests of the batch.")
        seen.add(part["id"].lower())
    return parts


def _reserve(parts: Sequence[dict[str, Any]], reserve: Reserve, held: ExitStack) -> set[str]:
    """The mailboxes that cannot take the load: requests that wait for nobody run four at a time in each."""
    load = Counter(_mailbox(part) for part in parts if not part.get("dependsOn"))
    throttled = set()
    for mailbox, independent in load.items():
        try:
            held.enter_context(reserve(mailbox, min(CONCURRENCY, independent)))
        except Refused:
            throttled.add(mailbox)
    return throttled


def _mailbox(part: dict[str, Any]) -> str:
    found = re.match(r"/users(?:/|\(')([^/')]+)", part["url"])
    return found.group(1) if found else ""


def _answer(
    part: dict[str, Any], outer: Request, done: dict[str, dict[str, Any]], throttled: set[str], serve: Serve
) -> dict[str, Any]:
    before = [done[name]["status"] for name in part.get("dependsOn", [])]
    if any(status >= 400 for status in before):
        body = graph_error("FailedDependency", "The request depends on one that failed.")
        return {"id": part["id"], "status": 424, "headers": {}, "body": body}
    if _mailbox(part) in throttled:
        body = graph_error("ApplicationThrottled", "Application is over its MailboxConcurrency limit.")
        return {"id": part["id"], "status": 429, "headers": {"Retry-After": "1"}, "body": body}
    headers = {"authorization": outer.headers.get("authorization", "")}
    headers |= {name.lower(): value for name, value in part.get("headers", {}).items()}
    sent = json.dumps(part["body"]).encode() if "body" in part else b""
    if sent and not headers.get("content-type", "").startswith("application/json"):
        raise refusal(400, "BadRequest", "A request with a body needs a Content-Type header.")
    inner = Request(part["method"], "/v1.0" + part["url"], outer.origin, headers, sent, in_batch=True)
    response = serve(inner)
    answer = {"id": part["id"], "status": response.status, "headers": response.headers}
    content = base64.b64encode(response.body).decode() if isinstance(response.body, bytes) else response.body
    return answer if content is None else answer | {"body": content}
