"""The operations that change tickets: comments, fields, merging and links."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response

from shared.application import commenting, merging, ticket_changes
from shared.application.ports.stores import Versioned
from shared.application.ticket_changes import Asked
from shared.domain.errors import Invalid, Problem
from shared.domain.ticket import Ticket
from shared.entrypoints.http import models
from shared.entrypoints.http.configured import BODY_ERRORS
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import IfMatch, Ready, caller, etag, json_body, json_bytes, parsed_json, ready
from shared.entrypoints.http.tickets import TICKET_ETAG, Tag, shown_comment, shown_ticket

router = APIRouter(prefix="/api/tickets/{tag}", tags=["tickets"], dependencies=[Depends(ready)])

_COMMENT_BYTES = 30_000_000
_OTHER_BYTES = 1_000_000
_PATCH_TYPES = ("application/merge-patch+json", "application/json")
_KEY = Header(
    alias="Idempotency-Key",
    description="names this request: sent again under the same key, it changes nothing more and is answered with the "
    "ticket as it is by then",
)
_ERRORS = described(404, 409, 412, 428, *BODY_ERRORS)


def _asked(max_bytes: int, *content_types: str) -> Callable[..., Awaitable[Asked]]:
    """Reads the request; without content types it has no body."""

    async def asked(request: Request, if_match: IfMatch, idempotency_key: Annotated[str | None, _KEY] = None) -> Asked:
        if idempotency_key is not None and not 0 < len(idempotency_key) <= 255:
            raise Invalid([Problem("header.Idempotency-Key", "must have 1 to 255 characters")])
        body = await json_bytes(request, content_types, max_bytes) if content_types else b""
        digest = hashlib.sha256(f"{request.method} {request.url.path}\n".encode() + body).hexdigest()
        data = parsed_json(body) if content_types else None
        return Asked(caller(request), data, if_match.require, idempotency_key, digest)

    return asked


Commenting = Annotated[Asked, Depends(_asked(_COMMENT_BYTES, "application/json"))]
Patching = Annotated[Asked, Depends(_asked(_OTHER_BYTES, *_PATCH_TYPES))]
Naming = Annotated[Asked, Depends(_asked(_OTHER_BYTES, "application/json"))]
Asking = Annotated[Asked, Depends(_asked(0))]


@router.post(
    "/comments",
    status_code=201,
    openapi_extra=json_body("NewComment"),
    responses={201: TICKET_ETAG, **_ERRORS},
)
def add_comment(tag: Tag, asked: Commenting, services: Ready, response: Response) -> models.Comment:
    """Answer the requester and those in copy, or leave a note for technicians. The ETag is that of the ticket."""
    ticket, made = commenting.comment(services, tag, asked)
    response.headers["ETag"] = etag(ticket.etag)
    return shown_comment(ticket.value, made)


@router.patch("", openapi_extra=json_body("TicketPatch", _PATCH_TYPES), responses={200: TICKET_ETAG, **_ERRORS})
def change_ticket(tag: Tag, asked: Patching, services: Ready, response: Response) -> models.Ticket:
    """Change what is named and nothing else (RFC 7396)."""
    return _answer(ticket_changes.patch(services, tag, asked).ticket, response)


@router.post("/merge", openapi_extra=json_body("OtherTicket"), responses={200: TICKET_ETAG, **_ERRORS})
def merge_ticket(tag: Tag, asked: Naming, services: Ready, response: Response) -> models.Ticket:
    """Close the ticket for good and have what comes for it added to the other one, of the same mailbox. Its log stays.
    Its requester and those in copy are in copy of the other ticket from then on.
    """
    return _answer(merging.merge(services, tag, asked).ticket, response)


@router.post("/links", openapi_extra=json_body("OtherTicket"), responses={200: TICKET_ETAG, **_ERRORS})
def link_ticket(tag: Tag, asked: Naming, services: Ready, response: Response) -> models.Ticket:
    """Have the ticket and another one of the same mailbox name each other."""
    return _answer(merging.link(services, tag, asked).ticket, response)


@router.delete("/links/{other_tag}", responses={200: TICKET_ETAG, **described(404, 409, 412, 422, 428)})
def unlink_ticket(tag: Tag, other_tag: Tag, asked: Asking, services: Ready, response: Response) -> models.Ticket:
    """Have them name each other no more."""
    return _answer(merging.unlink(services, tag, other_tag, asked).ticket, response)


def _answer(ticket: Versioned[Ticket], response: Response) -> models.Ticket:
    response.headers["ETag"] = etag(ticket.etag)
    return shown_ticket(ticket.value)
