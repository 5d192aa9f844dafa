"""The HTTP API as one ASGI application; importing it costs a third of a second, so only HTTP requests do (req W1)."""

import logging
import uuid
from functools import cache

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyHeader
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.application.services import Services
from shared.domain.errors import AppError, SettingsError
from shared.entrypoints.http import (
    announcements,
    audit,
    configuration,
    contacts,
    erasures,
    handing_in,
    health,
    imports,
    kinds,
    mailboxes,
    outbox,
    presets,
    problems,
    quarantine,
    runs,
    senders,
    sign_ins,
    subscriptions,
    ticket_changes,
    tickets,
)
from shared.entrypoints.http.openapi import DESCRIPTION, document
from shared.telemetry import Event, correlated, emit

_ROUTERS = (
    audit.router, configuration.router, mailboxes.router, senders.router, kinds.templates, kinds.outgoing_rules,
    outbox.router, handing_in.router, quarantine.router, imports.router, presets.router, tickets.router,
    ticket_changes.router, kinds.ticket_types, contacts.router, erasures.router, announcements.router,
    sign_ins.router, subscriptions.router, health.router, kinds.installation, runs.router,
)  # fmt: skip
_FUNCTION_KEY = APIKeyHeader(
    name="x-functions-key", scheme_name="functionKey", auto_error=False, description="checked by Azure Functions"
)


def build(services: Services | SettingsError) -> FastAPI:
    """Where the app settings are wrong, `/api/health` says so and all else answers 503."""
    app = FastAPI(
        title="Mailroom",
        version="1",
        description=DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        dependencies=[Depends(_FUNCTION_KEY)],
        responses=problems.ANY_PROBLEM,
        exception_handlers={
            AppError: problems.app_error,
            HTTPException: problems.http_exception,
            RequestValidationError: problems.parameters_invalid,
        },
    )
    app.state.services = services
    for router in _ROUTERS:
        app.include_router(router)
    app.add_middleware(_Answered)
    app.openapi = cache(lambda: document(app, _ROUTERS))  # type: ignore[method-assign]  # how FastAPI wants it to be replaced
    return app


class _Answered:
    """Every request gets an answer and a correlation id, also where the code is wrong."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        correlation_id = uuid.uuid4().hex
        scope.setdefault("state", {})["correlation_id"] = correlation_id

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Cache-Control"] = "no-store"
            await send(message)

        with correlated(correlation=correlation_id):
            try:
                await self._app(scope, receive, send_guarded)
            except Exception:  # noqa: BLE001 - the loop boundary of a request
                route = getattr(scope.get("route"), "path", None)
                emit(Event.REQUEST_FAILED, level=logging.ERROR, method=scope["method"], route=route)
                failed = problems.answer(500, "internal_error", "look it up in the log", correlation_id=correlation_id)
                await failed(scope, receive, send_guarded)
