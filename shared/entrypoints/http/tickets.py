"""The operations on tickets: lists, one ticket with its log, and what its messages hold."""

import base64
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field

from shared import mime
from shared.application import tickets
from shared.domain import message
from shared.domain import ticket as domain
from shared.domain.errors import NotFound
from shared.domain.message import Address
from shared.domain.ticket import CommentKind, Status, TicketFields
from shared.entrypoints.http.answers import ETAG, Page, download, with_etag
from shared.entrypoints.http.mailboxes import Chosen
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import Continuation, Limit, Ready, ready

router = APIRouter(prefix="/api/tickets", tags=["tickets"], dependencies=[Depends(ready)])

Tag = Annotated[str, Path(pattern=r"^[A-Za-z][A-Za-z0-9]{1,9}-[1-9][0-9]{0,9}$", examples=["SUP-17"])]
Seq = Annotated[int, Path(ge=1)]
Index = Annotated[int, Path(ge=0)]
_COMMENT = "/{tag}/comments/{seq}"

_IMAGES = ("image/gif", "image/jpeg", "image/png", "image/webp")
_PASSED_ON = (*_IMAGES, "application/pdf", "application/zip", "text/plain")
"""Types that a browser cannot be made to run; whatever else is declared is handed out as mere bytes."""

_INLINE_BYTES = 5_000_000
_HTML_POLICY = (
    "default-src 'none'; img-src 'self' data:{remote}; style-src 'unsafe-inline';"
    " sandbox allow-popups allow-popups-to-escape-sandbox"
)
"""Scripts, remote content and forms are refused by the browser as well, should the sanitiser ever fail; links open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket(TicketFields):
    """One ticket; `linked_to` are the tags of tickets that people have linked it to, or that its first message speaks
    of; `merged_into` is the tag of the one that gets its messages now.
    """

    tag: str
    mailbox_id: str
    number: int
    status: Status
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    comment_count: int
    linked_to: list[str]
    merged_into: str | None
    href: str


class Tickets(Page):
    """Newest first."""

    tickets: list[Ticket]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment(message.Attachment):
    """`size` is in bytes. `inline` is true where the HTML shows it."""

    href: str


class Message(BaseModel):
    """Where the message that made a comment is, as received and as sanitised HTML, and what is to be known of it.
    `defects` name what was broken in it and repaired.
    """

    message_id: str | None
    size: int
    protection: str = Field(description="such as `smime-signed` or `pgp-encrypted`; empty where it is neither")
    defects: tuple[str, ...]
    raw_href: str
    html_href: str


class Comment(BaseModel):
    """One entry of the log. `text` is what its author wrote, `full_text` what the reply quotes as well, where it does.
    `is_cut`: they are only the beginning, the whole is in the message.
    """

    seq: int
    kind: CommentKind
    author: Address
    at: datetime
    text: str
    full_text: str | None
    is_cut: bool
    notes: tuple[str, ...]
    message: Message | None
    attachments: list[Attachment]


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketWithComments(Ticket):
    """One ticket with its log, oldest comment first."""

    comments: list[Comment]


@router.get("", responses=described(404))
def list_tickets(
    services: Ready,
    ids: Chosen,
    status: Annotated[Literal["open", "all"], Query(description="open: those that are not closed")] = "open",
    limit: Limit = 50,
    continuation: Continuation = None,
) -> Tickets:
    """Newest first."""
    found, more = tickets.newest(services, ids, open_only=status == "open", limit=limit, continuation=continuation)
    return Tickets(tickets=[shown_ticket(each) for each in found], continuation=more)


@router.get("/{tag}", responses={200: ETAG})
def get_ticket(tag: Tag, services: Ready, response: Response) -> TicketWithComments:
    """One ticket with its log, oldest comment first."""
    found = with_etag(response, tickets.find(services, tag))
    comments = services.tickets.comments(found.mailbox_id, found.number)
    return TicketWithComments(**_values(found), comments=[shown_comment(found, each) for each in comments])


@router.get(f"{_COMMENT}/raw", response_class=Response, responses={200: {"content": {"message/rfc822": {}}}})
def get_raw_message(tag: Tag, seq: Seq, services: Ready) -> Response:
    """The message that made the comment, byte for byte as it was received."""
    content = tickets.raw_message(services, tickets.find(services, tag).value, seq)
    return download(content, f"{tag.upper()}-{seq}.eml", "message/rfc822")


@router.get(f"{_COMMENT}/html", response_class=Response, responses={200: {"content": {"text/html": {}}}})
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
    f"{_COMMENT}/attachments/{{index}}",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def get_attachment(tag: Tag, seq: Seq, index: Index, services: Ready) -> Response:
    """The decoded bytes of one attachment."""
    found = mime.attachment_bytes(tickets.raw_message(services, tickets.find(services, tag).value, seq), index)
    if found is None:
        raise NotFound("there is no such attachment")
    attachment, content = found
    passed_on = attachment.content_type in _PASSED_ON
    return download(content, attachment.name, attachment.content_type if passed_on else "application/octet-stream")


def _data_url(image: message.Attachment, data: bytes) -> str:
    """Within the HTML, because a browser that shows it sends no function key along; empty for what is no image."""
    if image.content_type not in _IMAGES or len(data) > _INLINE_BYTES:
        return ""
    return f"data:{image.content_type};base64,{base64.b64encode(data).decode()}"


def _href(ticket: domain.Ticket, *below: str | int) -> str:
    return "/".join(map(str, ("/api/tickets", ticket.tag, *below)))


def shown_ticket(ticket: domain.Ticket) -> Ticket:
    return Ticket(**_values(ticket))


def _values(ticket: domain.Ticket) -> dict[str, Any]:
    others = {
        "linked_to": [f"{ticket.prefix}-{number}" for number in ticket.linked_to],
        "merged_into": f"{ticket.prefix}-{ticket.merged_into}" if ticket.merged_into else None,
        "href": _href(ticket),
    }
    return others | {each.name: getattr(ticket, each.name) for each in fields(Ticket) if each.name not in others}


def shown_comment(ticket: domain.Ticket, comment: domain.Comment) -> Comment:
    attachments = [
        Attachment(**asdict(each), href=_href(ticket, "comments", comment.seq, "attachments", each.index))
        for each in comment.attachments
    ]
    return Comment(**asdict(comment) | {"message": _message(ticket, comment), "attachments": attachments})


def _message(ticket: domain.Ticket, comment: domain.Comment) -> Message | None:
    if comment.raw is None:
        return None
    return Message(
        message_id=comment.message_id,
        size=comment.raw.size,
        protection=comment.protection,
        defects=comment.defects,
        raw_href=_href(ticket, "comments", comment.seq, "raw"),
        html_href=_href(ticket, "comments", comment.seq, "html"),
    )
