"""The HTTP API as one ASGI application; importing it costs a third of a second, so only HTTP requests do (req W1)."""

import logging
import uuid
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.security import APIKeyHeader
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.application.connection_test import ConnectionTest, SenderTest, UnsavedSenderTest
from shared.application.dry_run import DryRun, UnsavedDryRun
from shared.application.quarantine import Drop
from shared.application.secret_values import SecretValue
from shared.application.services import Services
from shared.domain.announcements import NewAnnouncement
from shared.domain.contact import ContactDetails
from shared.domain.erasures import ErasureRequest
from shared.domain.errors import AppError, SettingsError
from shared.domain.imports import ImportSettings
from shared.domain.installation import InstallationSettings
from shared.domain.mailbox import MailboxSettings
from shared.domain.outgoing_rules import OutgoingRuleSettings
from shared.domain.senders import SenderSettings
from shared.domain.sign_in import NewSignIn
from shared.domain.templates import TemplateSettings
from shared.domain.ticket_changes import NewComment, OtherTicket, TicketPatch
from shared.domain.ticket_types import TicketTypeSettings
from shared.domain.webhooks import SubscriptionSettings
from shared.entrypoints.http import (
    announcements,
    audit,
    configuration,
    contacts,
    erasures,
    handing_in,
    health,
    imports,
    installation,
    mailboxes,
    outbox,
    outgoing_rules,
    presets,
    problems,
    quarantine,
    runs,
    senders,
    sign_ins,
    subscriptions,
    templates,
    ticket_changes,
    ticket_types,
    tickets,
)
from shared.telemetry import Event, correlated, emit

_DESCRIPTION = """Configure mailboxes, test them, and read the tickets made from their mail.

Every answer that is not a success is problem details (RFC 9457). Configuration names secrets in Key Vault; their values
are neither stored nor answered."""
_TAGS = [
    {"name": "mailboxes", "description": "Configured mailboxes: settings, connection tests, polls, quarantine"},
    {"name": "senders", "description": "Configured outgoing servers: settings, the primary one, connection tests"},
    {"name": "tickets", "description": "Tickets, their comments, and the messages that made them"},
    {"name": "subscriptions", "description": "Webhooks: who is told of events, tests, and what was not delivered"},
    {"name": "announcements", "description": "One text to many people, each told singly"},
    {"name": "contacts", "description": "People: requesters and technicians, their groups and companies"},
    {"name": "configuration", "description": "All of it as one document, and who changed what"},
    {"name": "secrets", "description": "Writing secrets, and signing in with Microsoft, Google and others"},
    {"name": "health", "description": "Whether the deployment and each mailbox work"},
]
_FUNCTION_KEY = APIKeyHeader(
    name="x-functions-key", scheme_name="functionKey", auto_error=False, description="checked by Azure Functions"
)


def build(services: Services | SettingsError) -> FastAPI:
    """Where the app settings are wrong, `/api/health` says so and all else answers 503."""
    app = FastAPI(
        title="Mailroom",
        version="1",
        description=_DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        openapi_tags=_TAGS,
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
    for part in (
        audit,
        configuration,
        mailboxes,
        senders,
        templates,
        outgoing_rules,
        outbox,
        handing_in,
        quarantine,
        imports,
        presets,
        tickets,
        ticket_changes,
        ticket_types,
        contacts,
        erasures,
        announcements,
        sign_ins,
        subscriptions,
        health,
        installation,
        runs,
    ):
        app.include_router(part.router)
    app.add_middleware(_Answered)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # how FastAPI wants it to be replaced
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


def _openapi(app: FastAPI) -> dict[str, Any]:
    """With the bodies that FastAPI does not see, because the use cases check them."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            tags=app.openapi_tags,
            routes=app.routes,
        )
        bodies: list[type[BaseModel]] = [
            MailboxSettings,
            InstallationSettings,
            TicketTypeSettings,
            ConnectionTest,
            SenderSettings,
            TemplateSettings,
            OutgoingRuleSettings,
            SenderTest,
            UnsavedSenderTest,
            ContactDetails,
            NewComment,
            TicketPatch,
            OtherTicket,
            NewAnnouncement,
            SubscriptionSettings,
            NewSignIn,
            SecretValue,
            ImportSettings,
            ErasureRequest,
            DryRun,
            UnsavedDryRun,
            Drop,
            problems.ProblemDetails,
        ]
        _, schemas = models_json_schema(
            [(model, "validation") for model in bodies], ref_template="#/components/schemas/{model}"
        )
        document["components"]["schemas"] |= schemas["$defs"]
        app.openapi_schema = document
    return app.openapi_schema
