"""How the Gmail API words errors and messages, and cuts lists into pages."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from local.simulators.gmail_store import Event, Mailbox, Message
from local.simulators.oauth import base64url
from local.simulators.web import Refused, Request, Response

_MAX_PAGE, _DEFAULT_PAGE = 500, "100"
_STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
_DOMAINS = {"userRateLimitExceeded": "usageLimits", "rateLimitExceeded": "usageLimits"}


def gmail_error(status: int, reason: str, message: str = "") -> dict[str, Any]:
    """Status and body of an error; also the options of a fault that plays it."""
    error = {"message": message, "domain": _DOMAINS.get(reason, "global"), "reason": reason}
    body: dict[str, Any] = {"code": status, "message": message, "errors": [error]}
    if status in _STATUSES:
        body["status"] = "FAILED_PRECONDITION" if reason == "failedPrecondition" else _STATUSES[status]
    return {"status": status, "body": {"error": body}}


def refusal(status: int, reason: str, message: str) -> Refused:
    return Refused(Response(**gmail_error(status, reason, message)))


def invalid(message: str) -> Refused:
    return refusal(400, "invalidArgument", message)


def not_found() -> Refused:
    return refusal(404, "notFound", "Requested entity was not found.")


def values(request: Request, name: str) -> list[str]:
    """All values of a parameter that may be repeated."""
    return [value for key, value in parse_qsl(request.target.partition("?")[2]) if key == name]


def paged(request: Request, name: str, items: Sequence[tuple[int, Any]]) -> Response:
    """A page of items with their positions, which ascend; no list at all where it would be empty."""
    size, token = request.query.get("maxResults", _DEFAULT_PAGE), request.query.get("pageToken")
    if not size.isdecimal() or (token and not token.isdecimal()):
        raise invalid("Invalid maxResults or pageToken")
    rest = [item for item in items if not token or item[0] > int(token)]
    page = rest[: min(int(size) or 1, _MAX_PAGE)]
    body: dict[str, Any] = {name: [item for _, item in page]} if page else {}
    if len(page) < len(rest):
        body["nextPageToken"] = str(page[-1][0])
    return Response(body=body)


def named(message: Message) -> dict[str, Any]:
    return {"id": message.id, "threadId": message.thread_id}


def labelled(message: Message) -> dict[str, Any]:
    return named(message) | {"labelIds": message.labels}


def shown(request: Request, mailbox: Mailbox, message: Message) -> dict[str, Any]:
    """In the format asked for. `raw` has no padding, which the real service may or may not send (facts 6.2)."""
    body = labelled(message) | {"snippet": "", "sizeEstimate": message.size, "historyId": str(message.history_id)}
    body["internalDate"] = str(message.arrived_at)
    match request.query.get("format", "full"):
        case "minimal":
            return body
        case "raw":
            return body | {"raw": base64url(mailbox.raw(message))}
        case "metadata":
            return body | _payload(mailbox, message, values(request, "metadataHeaders"))
        case "full":
            return body | _payload(mailbox, message, [])
        case unknown:
            raise invalid(f"Invalid value at 'format': {unknown}")


def _payload(mailbox: Mailbox, message: Message, only: Sequence[str]) -> dict[str, Any]:
    headers, wanted = mailbox.headers(message), [name.lower() for name in only]
    listed = [{"name": name, "value": str(value)} for name, value in headers.items()]
    chosen = [header for header in listed if not wanted or header["name"].lower() in wanted]
    return {"payload": {"mimeType": headers.get_content_type(), "headers": chosen}}


def event_shown(message: Message, event: Event) -> dict[str, Any]:
    change: dict[str, Any] = {"message": named(message) | {"labelIds": event.all_labels}}
    if event.kind.startswith("labels"):
        change["labelIds"] = event.labels
    return {"id": str(event.id), "messages": [named(message)], event.kind: [change]}


def raw_sent(request: Request) -> bytes:
    """The message in a request to send: as it is, or as JSON."""
    if request.headers.get("content-type") == "message/rfc822":
        return request.body
    raw: Any = request.json().get("raw")
    try:
        return base64.b64decode(raw + "=" * (-len(raw) % 4), "-_", validate=True)
    except (TypeError, binascii.Error) as error:
        raise invalid("'raw' RFC822 payload message string or uploading message via /upload/* URL required") from error
