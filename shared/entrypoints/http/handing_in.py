"""Handing messages in by HTTP: one as `message/rfc822`, or many as `application/mbox`, plain or gzip (req C13)."""

import zlib
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from shared.application import mailboxes
from shared.application.explain import explain
from shared.application.handing_in import hand_in, handed_in
from shared.application.ports.tickets import Fenced
from shared.domain.ticket import Outcome
from shared.entrypoints.http import models
from shared.entrypoints.http.mailboxes import Id
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import Ready, ready
from shared.mime import mbox

router = APIRouter(prefix="/api/mailboxes", tags=["mailboxes"], dependencies=[Depends(ready)])

_MAX_BYTES = 150_000_000
RETRY_AFTER = {"Retry-After": "10"}
_KINDS = ("message/rfc822", "application/mbox")
_BODY: dict[str, Any] = {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _KINDS}}


class HandedIn(BaseModel):
    """What became of one message. For one that is `deferred`, nobody but the caller tries again."""

    outcome: Outcome
    reason: str
    ticket: str | None = Field(description="the tag of its ticket")


class HandedInMessages(BaseModel):
    """In the order of the body."""

    messages: list[HandedIn]


async def _body(request: Request) -> bytes:
    """As it was before a Content-Encoding of gzip, and never much more than the limit in memory."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise HTTPException(415, "the Content-Encoding must be gzip, or none")
    unpacker = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    body = bytearray()
    async for chunk in request.stream():
        body += _unpacked(unpacker, chunk, _MAX_BYTES + 1 - len(body)) if unpacker else chunk
        if len(body) > _MAX_BYTES:
            raise HTTPException(413, f"the body may have {_MAX_BYTES} bytes at most")
    if unpacker and (not unpacker.eof or unpacker.unused_data):
        raise HTTPException(400, "the body is not one whole gzip stream")
    return bytes(body)


BinaryBody = Annotated[bytes, Depends(_body)]


def _unpacked(unpacker: "zlib._Decompress", chunk: bytes, max_bytes: int) -> bytes:
    try:
        return unpacker.decompress(chunk, max_bytes)
    except zlib.error as error:
        raise HTTPException(400, "the body is no gzip stream") from error


def _messages(request: Request, body: bytes, max_bytes: int) -> list[bytes]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _KINDS:
        raise HTTPException(415, f"the body must be {' or '.join(_KINDS)}")
    messages = [body] if kind == "message/rfc822" and body else [*mbox.messages(body)]
    if not messages:
        raise HTTPException(400, f"the body holds no message as {kind}")
    for place, message in enumerate(messages, 1):
        if len(message) > max_bytes:
            raise HTTPException(413, f"message {place} has more than the {max_bytes} bytes that the mailbox takes")
    return messages


@router.post(
    "/{mailbox_id}/messages",
    openapi_extra={"requestBody": {"required": True, **_BODY}},
    responses=described(400, 404, 409, 413, 415),
)
def hand_in_messages(mailbox_id: Id, request: Request, services: Ready, body: BinaryBody) -> HandedInMessages:
    """Take messages in as if they had been polled, also where the mailbox is not enabled. A message that was taken in
    before is a duplicate, so a request can be repeated.
    """
    mailbox = mailboxes.find_mailbox(services, mailbox_id).value
    messages = _messages(request, body, mailbox.intake.max_message_bytes)
    try:
        found = hand_in(services, mailbox, messages)
    except Fenced as fenced:
        raise HTTPException(409, "the mailbox is being polled; repeat the request", RETRY_AFTER) from fenced
    return HandedInMessages(messages=[HandedIn(**asdict(each)) for each in found])


@router.post(
    "/{mailbox_id}/explain",
    openapi_extra={"requestBody": {"required": True, **_BODY}},
    responses=described(400, 404, 413, 415),
)
def explain_messages(mailbox_id: Id, request: Request, services: Ready, body: BinaryBody) -> models.Explanations:
    """What would become of each message if it came now, and why; nothing is stored (req O5)."""
    mailbox = mailboxes.find_mailbox(services, mailbox_id).value
    items = handed_in(mailbox, _messages(request, body, mailbox.intake.max_message_bytes))
    return models.Explanations(messages=[models.explanation(each) for each in explain(services, mailbox, items)])
