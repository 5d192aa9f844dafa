"""The OpenAPI document: what FastAPI sees of the operations, and what it cannot see (req W1)."""

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.entrypoints.http.problems import ProblemDetails, described
from shared.entrypoints.http.requests import Described

DESCRIPTION = """Configure mailboxes, test them, and read the tickets made from their mail.

Every answer that is not a success is problem details (RFC 9457). Configuration names secrets in Key Vault; their values
are neither stored nor answered."""
TAGS = [
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


def document(app: FastAPI, routers: Iterable[APIRouter]) -> dict[str, Any]:
    """With the bodies, which the use cases check, and with the failures that the form of an operation brings along."""
    made = get_openapi(title=app.title, version=app.version, description=app.description, tags=TAGS, routes=app.routes)
    for operations in made["paths"].values():
        for operation in operations.values():
            _require_if_match(operation)
            failures = described(*_failures(operation))
            operation["responses"] |= {str(status): answer for status, answer in failures.items()}
    models: list[type[BaseModel]] = [*dict.fromkeys(_bodies(routers)), ProblemDetails]
    _, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    made["components"]["schemas"] |= schemas["$defs"]
    return made


def _require_if_match(operation: dict[str, Any]) -> None:
    """Its lack is told only once what is to be changed was found, so FastAPI sees a default."""
    for each in operation.get("parameters", ()):
        if each["name"] == "If-Match" and each["schema"].pop("default", None) == "":
            each["required"] = True


def _bodies(routers: Iterable[APIRouter]) -> Iterator[type[BaseModel]]:
    for router in routers:
        for route in router.routes:
            extra = getattr(route, "openapi_extra", None)
            if isinstance(extra, Described):
                yield extra.model


def _failures(operation: dict[str, Any]) -> Iterator[int]:
    parameters = operation.get("parameters", ())
    if_match = [each["required"] for each in parameters if each["name"] == "If-Match"]
    if any(each["in"] == "path" for each in parameters):
        yield 404
    if if_match:
        yield 412
    if any(if_match):
        yield 428
    if "requestBody" in operation:
        yield from (400, 413, 415, 422)
    elif any(each["in"] == "query" or each["name"] == "Idempotency-Key" for each in parameters):
        yield 422
