"""The answer to Microsoft Graph, which waits three seconds: so without the HTTP API, which takes long to import."""

import html
import json

import azure.functions as func

from shared.domain.errors import AppError
from shared.entrypoints.services import ready_services

_MOST_BYTES = 1_000_000
_LONGEST_TOKEN = 2_000
_NEVER_MARKUP = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def answer(req: func.HttpRequest) -> func.HttpResponse:
    """Whatever is not ours is ignored with the same answer. An error has Graph try again, for up to four hours."""
    token = req.params.get("validationToken")
    if token is not None:
        return _echoed(token)
    body = req.get_body()
    if len(body) > _MOST_BYTES:
        return func.HttpResponse(status_code=413)
    try:
        notifications = json.loads(body)["value"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return func.HttpResponse(status_code=400)
    return func.HttpResponse(status_code=_handled(notifications) if isinstance(notifications, list) else 400)


def _echoed(token: str) -> func.HttpResponse:
    """The handshake of a new subscription. Tokens hold no markup; others' texts must not become any."""
    if len(token) > _LONGEST_TOKEN:
        return func.HttpResponse(status_code=400)
    return func.HttpResponse(html.escape(token), status_code=200, mimetype="text/plain", headers=_NEVER_MARKUP)


def _handled(notifications: list[object]) -> int:
    from shared.application.push import notified

    services = ready_services()
    if services is None:
        return 503
    try:
        notified(services, notifications)
    except AppError:
        return 503
    return 202
