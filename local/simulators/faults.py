"""Faults to order: what a real service does on a bad day (facts that tests and demonstrations ask for)."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from local.simulators.web import Refused, Request, Response


class Dropped(Exception):
    """Close the connection; half of `response`, where there is one, goes out before that."""

    def __init__(self, response: Response | None = None) -> None:
        super().__init__()
        self.response = response


@dataclass
class Fault:
    """One fault. `match` is a glob over kinds of requests (`graph.delta`, `vault.*`), `path` one over their paths.

    The first `skip` matching requests pass; the next `times` are hit (None: all). With `status` the request is
    answered at once and has no effect. `drop` closes the connection `before` or `after` the effect, or `midway`
    through the answer. `edit` changes the answer of a listing: see `EDITS`.
    """

    match: str
    path: str = "*"
    skip: int = 0
    times: int | None = 1
    status: int | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0
    drop: Literal["before", "after", "midway"] | None = None
    edit: str | None = None
    hits: int = 0

    def wants(self, kind: str, request: Request) -> bool:
        return fnmatchcase(kind, self.match) and fnmatchcase(request.path, self.path)

    def apply(self, request: Request, serve: Callable[[], Response]) -> Response:
        if self.status is not None:
            return Response(self.status, self.body, dict(self.headers))
        try:
            response = serve()
        except Refused as refused:
            response = refused.response
        if self.drop:
            raise Dropped(response if self.drop == "midway" else None)
        if self.edit:
            EDITS[self.edit](request, response)
        response.headers.update(self.headers)
        return response


class Faults:
    """The faults in force, oldest first; one request meets at most one of them."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, match: str, **options: Any) -> Fault:
        fault = Fault(match, **options)
        if fault.edit is not None and fault.edit not in EDITS:
            raise ValueError(f"no such edit: {fault.edit}; there are {', '.join(EDITS)}")
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, kind: str, request: Request) -> Fault | None:
        """The fault that hits this request, counted as used."""
        with self._lock:
            for fault in self._faults:
                if not fault.wants(kind, request):
                    continue
                fault.hits += 1
                if fault.hits > fault.skip and (fault.times is None or fault.hits <= fault.skip + fault.times):
                    return fault
        return None


def _empty_page(request: Request, response: Response) -> None:
    """No items, and a link that leads to the same page once more."""
    response.body.pop("@odata.deltaLink", None)
    response.body |= {"value": [], "@odata.nextLink": request.origin + request.target}


def _repeated_item(_: Request, response: Response) -> None:
    response.body["value"] = [item for item in response.body["value"] for _ in range(2)]


def _out_of_order(_: Request, response: Response) -> None:
    response.body["value"].reverse()


def _removed_item(_: Request, response: Response) -> None:
    removed = {"@odata.type": "#microsoft.graph.message", "id": "AAkRemoved=", "@removed": {"reason": "deleted"}}
    response.body["value"].insert(0, removed)


EDITS: dict[str, Callable[[Request, Response], None]] = {
    "empty_page": _empty_page,
    "repeated_item": _repeated_item,
    "out_of_order": _out_of_order,
    "removed_item": _removed_item,
}
