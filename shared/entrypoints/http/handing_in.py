"""Handing messages in by HTTP: one as `message/rfc822`, or many as `application/mbox`, plain or gzip (req C13)."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from shared.application.explain import Explanation, explain
from shared.application.handing_in import HandedIn, hand_in, handed_in
from shared.entrypoints.http.mailboxes import Found
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import Ready, media_type, ready, whole_body
from shared.mime import mbox

router = APIRouter(prefix="/api/mailboxes/{mailbox_id}", tags=["mailboxes"], dependencies=[Depends(ready)])

_MAX_BYTES = 150_000_000
_KINDS = ("message/rfc822", "application/mbox")
BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": dict.fromkeys(_KINDS, BINARY)}}


class HandedInMessages(BaseModel):
    """In the order of the body. For a message that is `deferred`, nobody but the caller tries again."""

    messages: Sequence[HandedIn]


class Explanations(BaseModel):
    """In the order of the body."""

    messages: Sequence[Explanation]


async def _body(request: Request) -> bytes:
    return await whole_body(request, _MAX_BYTES)


BinaryBody = Annotated[bytes, Depends(_body)]


def _messages(request: Request, body: bytes, max_bytes: int) -> list[bytes]:
    kind = media_type(request, *_KINDS)
    messages = [body] if kind == "message/rfc822" and body else [*mbox.messages(body)]
    if not messages:
        raise HTTPException(400, f"the body holds no message as {kind}")
    for place, message in enumerate(messages, 1):
        if len(message) > max_bytes:
            raise HTTPException(413, f"message {place} has more than the {max_bytes} bytes that the mailbox takes")
    return messages


@router.post("/messages", openapi_extra=_BODY, responses=described(409))
def hand_in_messages(mailbox: Found, request: Request, services: Ready, body: BinaryBody) -> HandedInMessages:
    """Take messages in as if they had been polled, also where the mailbox is not enabled. A message that was taken in
    before is a duplicate, so a request can be repeated.
    """
    messages = _messages(request, body, mailbox.intake.max_message_bytes)
    return HandedInMessages(messages=hand_in(services, mailbox, messages))


@router.post("/explain", openapi_extra=_BODY)
def explain_messages(mailbox: Found, request: Request, services: Ready, body: BinaryBody) -> Explanations:
    """What would become of each message if it came now, and why; nothing is stored (req O5)."""
    items = handed_in(mailbox, _messages(request, body, mailbox.intake.max_message_bytes))
    return Explanations(messages=explain(services, mailbox, items))
