"""The HTTP triggers. What they need is imported when the first request comes: timers and queues must not pay for it."""

from functools import cache

import azure.functions as func

blueprint = func.Blueprint()

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
"""All of them, so that the API itself answers those that it does not allow."""
_NO_PATH = '{"type": "urn:mailroom:not_found", "title": "Not found", "status": 404, "detail": "the path is not UTF-8"}'


@cache
def _api() -> func.AsgiMiddleware:
    from shared.bootstrap import services
    from shared.domain.errors import SettingsError
    from shared.entrypoints.http.app import build

    try:
        return func.AsgiMiddleware(build(services()))
    except SettingsError as error:
        return func.AsgiMiddleware(build(error))


async def _answered(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    try:
        answer: func.HttpResponse = await _api().handle_async(req, context)
    except UnicodeDecodeError:  # what the library makes of a path that is not UTF-8 once it is unquoted
        return func.HttpResponse(_NO_PATH, status_code=404, mimetype="application/problem+json")
    return answer


@blueprint.route(route="api/{*path}", methods=_METHODS)
async def api(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """The HTTP API (req W1)."""
    return await _answered(req, context)


@blueprint.route(route="api/health/live", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def liveness(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """What probes ask (req O7)."""
    return await _answered(req, context)


@blueprint.route(route="hooks/sign-in", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def sign_in_callback(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Where browsers come back to from signing in (req A5-A7); the state that they bring is the guard."""
    return await _answered(req, context)


@blueprint.route(route="hooks/unsubscribe", methods=["GET", "POST"], auth_level=func.AuthLevel.ANONYMOUS)
async def unsubscribe(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Where the link in announcements leads (req M8); the token in it is the guard."""
    return await _answered(req, context)


@blueprint.route(route="hooks/graph", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
def graph_notifications(req: func.HttpRequest) -> func.HttpResponse:
    """What Microsoft Graph tells of new mail and of its subscriptions (req C14); their client state is the guard."""
    from shared.entrypoints.http.graph_hook import answer

    return answer(req)
