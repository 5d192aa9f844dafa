"""What the simulated services share: requests, answers, and routes from templates to handlers."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

_KEY_AS_FUNCTION = re.compile(r"(users|mailFolders|messages)\('([^']*)'\)", re.IGNORECASE)
"""OData writes a key either as a segment or in parentheses: `users/ann` and `users('ann')` are the same."""


@dataclass(frozen=True, slots=True)
class Request:
    """`target` is path and query as received, `origin` the server as it was addressed; header names are lower case.
    `connection` is kept from one request of a connection to the next; its `certificate` is the server's, as DER.
    """

    method: str
    target: str
    origin: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    in_batch: bool = False
    connection: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return _KEY_AS_FUNCTION.sub(r"\1/\2", self.target.partition("?")[0])

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    def json(self) -> dict[str, Any]:
        """The body as an object; anything else is an empty one."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(slots=True)
class Response:
    """`body` is sent as JSON unless it is bytes or text; `chunked` sends it without saying how long it is."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    chunked: bool = False

    def encoded(self) -> bytes:
        if self.body is None:
            return b""
        if isinstance(self.body, bytes | str):
            return self.body if isinstance(self.body, bytes) else self.body.encode()
        self.headers.setdefault("Content-Type", "application/json; charset=utf-8")
        return json.dumps(self.body).encode()


class Refused(Exception):
    """The service answers with this instead."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


@dataclass(frozen=True, slots=True)
class Route:
    """`kind` names the request in counters and faults (`graph.delta`), or tells its name where the path alone does
    not; `{name}` in the template takes a segment.
    """

    kind: str | Callable[[Request], str]
    method: str
    template: str
    handler: Callable[..., Response]


class Service(Protocol):
    @property
    def routes(self) -> Sequence[Route]: ...

    def admit(self, request: Request, parameters: Mapping[str, str]) -> AbstractContextManager[None]:
        """Held while a request is served. :raises Refused: the caller may not come in."""


@dataclass(frozen=True, slots=True)
class Match:
    route: Route
    service: Service
    parameters: dict[str, str]

    def kind(self, request: Request) -> str:
        return self.route.kind if isinstance(self.route.kind, str) else self.route.kind(request)


def find_route(services: Sequence[Service], request: Request) -> Match | None:
    segments = request.path.split("/")
    for service in services:
        for route in service.routes:
            if route.method == request.method:
                parameters = _match(route.template.split("/"), segments)
                if parameters is not None:
                    return Match(route, service, parameters)
    return None


def _match(template: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    if len(template) != len(segments):
        return None
    parameters: dict[str, str] = {}
    for expected, found in zip(template, segments, strict=True):
        if expected.startswith("{"):
            parameters[expected[1:-1]] = unquote(found)
        elif expected.lower() != found.lower():
            return None
    return parameters
