"""The operations that change tickets: comments, fields, merging and links."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from shared.application import commenting, merging, ticket_changes
from shared.application.ports.stores import Versioned
from shared.application.ticket_changes import Asked
from shared.domain import ticket as domain
from shared.domain.ticket_changes import NewComment, OtherTicket, TicketPatch
from shared.entrypoints.http.answers import ETAG, with_etag
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import (
    IdempotencyKey,
    IfMatch,
    Ready,
    caller,
    json_body,
    json_bytes,
    parsed_json,
    ready,
)
from shared.entrypoints.http.tickets import Comment, Tag, Ticket, shown_comment, shown_ticket

router = APIRouter(prefix="/api/tickets/{tag}", tags=["tickets"], dependencies=[Depends(ready)])

_COMMENT_BYTES = 30_000_000
_OTHER_BYTES = 1_000_000
_PATCH_TYPES = ("application/merge-patch+json", "application/json")
_CHANGED: dict[int | str, dict[str, Any]] = {200: ETAG, **described(409)}


def _asked(max_bytes: int, *content_types: str) -> Callable[..., Awaitable[Asked]]:
    """Reads the request; without content types it has no body."""

    async def asked(request: Request, if_match: IfMatch, key: IdempotencyKey) -> Asked:
        body = await json_bytes(request, content_types, max_bytes) if content_types else b""
        digest = hashlib.sha256(f"{request.method} {request.url.path}\n".encode() + body).hexdigest()
        data = parsed_json(body) if content_types else None
        return Asked(caller(request), data, if_match.require, key, digest)

    return asked


Commenting = Annotated[Asked, Depends(_asked(_COMMENT_BYTES, "application/json"))]
Patching = Annotated[Asked, Depends(_asked(_OTHER_BYTES, *_PATCH_TYPES))]
Naming = Annotated[Asked, Depends(_asked(_OTHER_BYTES, "application/json"))]
Asking = Annotated[Asked, Depends(_asked(0))]


@router.post(
    "/comments",
    status_code=201,
    openapi_extra=json_body(NewComment),
    responses={201: ETAG, **described(409)},
)
def add_comment(tag: Tag, asked: Commenting, services: Ready, response: Response) -> Comment:
    """Answer the requester and those in copy, or leave a note for technicians. The ETag is that of the ticket."""
    ticket, made = commenting.comment(services, tag, asked)
    return shown_comment(with_etag(response, ticket), made)


@router.patch("", openapi_extra=json_body(TicketPatch, _PATCH_TYPES), responses=_CHANGED)
def change_ticket(tag: Tag, asked: Patching, services: Ready, response: Response) -> Ticket:
    """Change what is named and nothing else (RFC 7396)."""
    return _answer(ticket_changes.patch(services, tag, asked).ticket, response)


@router.post("/merge", openapi_extra=json_body(OtherTicket), responses=_CHANGED)
def merge_ticket(tag: Tag, asked: Naming, services: Ready, response: Response) -> Ticket:
    """Close the ticket for good and have what comes for it added to the other one, of the same mailbox. Its log stays.
    Its requester and those in copy are in copy of the other ticket from then on.
    """
    return _answer(merging.merge(services, tag, asked).ticket, response)


@router.post("/links", openapi_extra=json_body(OtherTicket), responses=_CHANGED)
def link_ticket(tag: Tag, asked: Naming, services: Ready, response: Response) -> Ticket:
    """Have the ticket and another one of the same mailbox name each other."""
    return _answer(merging.link(services, tag, asked).ticket, response)


@router.delete("/links/{other_tag}", responses=_CHANGED)
def unlink_ticket(tag: Tag, other_tag: Tag, asked: Asking, services: Ready, response: Response) -> Ticket:
    """Have them name each other no more."""
    return _answer(merging.unlink(services, tag, other_tag, asked).ticket, response)


def _answer(ticket: Versioned[domain.Ticket], response: Response) -> Ticket:
    return shown_ticket(with_etag(response, ticket))
