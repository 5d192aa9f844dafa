"""The operations on tickets: lists, one ticket with its log, and what its messages hold."""

import base64
import re
from dataclasses import asdict, fields
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Response

from shared import mime
from shared.application import mailboxes, tickets
from shared.domain.errors import NotFound
from shared.domain.fields import DocumentId
from shared.domain.message import Attachment
from shared.domain.ticket import Comment, Ticket
from shared.entrypoints.http import models
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import Ready, etag, ready

router = APIRouter(prefix="/api/tickets", tags=["tickets"], dependencies=[Depends(ready)])

Tag = Annotated[str, Path(pattern=r"^[A-Za-z][A-Za-z0-9]{1,9}-[1-9][0-9]{0,9}$", examples=["SUP-17"])]
Seq = Annotated[int, Path(ge=1)]
Index = Annotated[int, Path(ge=0)]

_IMAGES = ("image/gif", "image/jpeg", "image/png", "image/webp")
_PASSED_ON = (*_IMAGES, "application/pdf", "application/zip", "text/plain")
"""Types that a browser cannot be made to run; whatever else is declared is handed out as mere bytes."""

TICKET_ETAG = {"headers": {"ETag": {"description": "the version of the ticket", "schema": {"type": "string"}}}}
_INLINE_BYTES = 5_000_000
_HTML_POLICY = (
    "default-src 'none'; img-src 'self' data:{remote}; style-src 'unsafe-inline';"
    " sandbox allow-popups allow-popups-to-escape-sandbox"
)
"""Scripts, remote content and forms are refused by the browser as well, should the sanitiser ever fail; links open."""


@router.get("", responses=described(404, 422))
def list_tickets(
    services: Ready,
    mailbox: Annotated[DocumentId | None, Query(description="the id of a mailbox; all of them unless given")] = None,
    status: Annotated[Literal["open", "all"], Query(description="open: those that are not closed")] = "open",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    continuation: Annotated[str | None, Query(description="from the answer before; opaque")] = None,
) -> models.Tickets:
    """Newest first."""
    ids = (
        [mailboxes.find_mailbox(services, mailbox).value.id]
        if mailbox
        else [each.id for each in services.mailboxes.cached()]
    )
    found, more = tickets.newest(services, ids, open_only=status == "open", limit=limit, continuation=continuation)
    return models.Tickets(tickets=[shown_ticket(each) for each in found], continuation=more)


@router.get("/{tag}", responses={200: TICKET_ETAG, **described(404)})
def get_ticket(tag: Tag, services: Ready, response: Response) -> models.TicketWithComments:
    """One ticket with its log, oldest comment first."""
    stored = tickets.find(services, tag)
    found = stored.value
    response.headers["ETag"] = etag(stored.etag)
    comments = services.tickets.comments(found.mailbox_id, found.number)
    return models.TicketWithComments(**_values(found), comments=[shown_comment(found, each) for each in comments])


@router.get(
    "/{tag}/comments/{seq}/raw",
    response_class=Response,
    responses={200: {"content": {"message/rfc822": {}}}, **described(404)},
)
def get_raw_message(tag: Tag, seq: Seq, services: Ready) -> Response:
    """The message that made the comment, byte for byte as it was received."""
    content = tickets.raw_message(services, tickets.find(services, tag).value, seq)
    return download(content, f"{tag.upper()}-{seq}.eml", "message/rfc822")


@router.get(
    "/{tag}/comments/{seq}/html",
    response_class=Response,
    responses={200: {"content": {"text/html": {}}}, **described(404)},
)
def get_html(
    tag: Tag,
    seq: Seq,
    services: Ready,
    remote_images: Annotated[bool, Query(description="true loads them, which tells their senders")] = False,
) -> Response:
    """The message's HTML without script and, unless asked for, without remote content; its inline images are part of
    it. 404 where the message has no HTML.
    """
    content = tickets.raw_message(services, tickets.find(services, tag).value, seq)
    html = mime.safe_html(content, image_url=_data_url, remote_images=remote_images)
    if html is None:
        raise NotFound("the message has no HTML")
    policy = _HTML_POLICY.format(remote=" https: http:" if remote_images else "")
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
    return Response(html, media_type="text/html", headers=headers)


@router.get(
    "/{tag}/comments/{seq}/attachments/{index}",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}, **described(404)},
)
def get_attachment(tag: Tag, seq: Seq, index: Index, services: Ready) -> Response:
    """The decoded bytes of one attachment."""
    found = mime.attachment_bytes(tickets.raw_message(services, tickets.find(services, tag).value, seq), index)
    if found is None:
        raise NotFound("there is no such attachment")
    attachment, content = found
    passed_on = attachment.content_type in _PASSED_ON
    return download(content, attachment.name, attachment.content_type if passed_on else "application/octet-stream")


def download(content: bytes, name: str, media_type: str) -> Response:
    """Saved under its name (RFC 6266), which older clients are told without what they may misread."""
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", name)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    return Response(content, headers={"Content-Type": media_type, "Content-Disposition": disposition})


def _data_url(image: Attachment, data: bytes) -> str:
    """Within the HTML, because a browser that shows it sends no function key along; empty for what is no image."""
    if image.content_type not in _IMAGES or len(data) > _INLINE_BYTES:
        return ""
    return f"data:{image.content_type};base64,{base64.b64encode(data).decode()}"


def _href(ticket: Ticket, *below: str | int) -> str:
    return "/".join(map(str, ("/api/tickets", ticket.tag, *below)))


def shown_ticket(ticket: Ticket) -> models.Ticket:
    return models.Ticket(**_values(ticket))


def _values(ticket: Ticket) -> dict[str, Any]:
    others = {
        "linked_to": [f"{ticket.prefix}-{number}" for number in ticket.linked_to],
        "merged_into": f"{ticket.prefix}-{ticket.merged_into}" if ticket.merged_into else None,
        "href": _href(ticket),
    }
    return others | {each.name: getattr(ticket, each.name) for each in fields(models.Ticket) if each.name not in others}


def shown_comment(ticket: Ticket, comment: Comment) -> models.Comment:
    attachments = [
        models.Attachment(**asdict(each), href=_href(ticket, "comments", comment.seq, "attachments", each.index))
        for each in comment.attachments
    ]
    return models.Comment(**asdict(comment) | {"message": _message(ticket, comment), "attachments": attachments})


def _message(ticket: Ticket, comment: Comment) -> models.Message | None:
    if comment.raw is None:
        return None
    return models.Message(
        message_id=comment.message_id,
        size=comment.raw.size,
        protection=comment.protection,
        defects=comment.defects,
        raw_href=_href(ticket, "comments", comment.seq, "raw"),
        html_href=_href(ticket, "comments", comment.seq, "html"),
    )
