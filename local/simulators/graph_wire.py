"""How Microsoft Graph words its errors and reads `Prefer` headers."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from local.simulators.web import Refused, Request, Response

_MAX_PAGE = 1000
_DEFAULT_PAGE = 10


def graph_error(code: str, message: str = "") -> dict[str, Any]:
    """The body of an error; also the `body` of a fault that plays one."""
    request_id = str(uuid4())
    inner = {"date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"), "request-id": request_id}
    return {"error": {"code": code, "message": message, "innerError": {**inner, "client-request-id": request_id}}}


def refusal(status: int, code: str, message: str, **headers: str) -> Refused:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Refused(Response(status, graph_error(code, message), names))


def not_found() -> Refused:
    return refusal(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def bad_query(message: str) -> Refused:
    return refusal(400, "RequestBroker--ParseUri", message)


@dataclass(frozen=True, slots=True)
class Preferences:
    immutable_ids: bool
    page_size: int | None
    applied: dict[str, str]


def preferences(request: Request) -> Preferences:
    wanted = request.headers.get("prefer", "")
    immutable = re.search(r'IdType\s*=\s*"ImmutableId"', wanted, re.IGNORECASE)
    size = re.search(r"odata\.maxpagesize\s*=\s*(\d+)", wanted)
    honoured = ", ".join(found.group() for found in (immutable, size) if found)
    page_size = min(int(size.group(1)), _MAX_PAGE) if size else None
    return Preferences(bool(immutable), page_size, {"Preference-Applied": honoured} if honoured else {})


def page_size(request: Request) -> int:
    top = request.query.get("$top")
    if top is None:
        return preferences(request).page_size or _DEFAULT_PAGE
    if not top.isdigit() or not 1 <= int(top) <= _MAX_PAGE:
        raise bad_query(f"Invalid value '{top}' for $top query option found. It must be between 1 and {_MAX_PAGE}.")
    return int(top)
