"""The operations on messages in quarantine (req O9)."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from shared.application import quarantine
from shared.application.ports.stores import Versioned
from shared.application.services import Services
from shared.domain.errors import NotFound
from shared.domain.intake import QuarantineEntry
from shared.domain.kinds import Kind
from shared.domain.mailbox import Mailbox
from shared.domain.message import Address
from shared.entrypoints.http.answers import ETAG, download, with_etag
from shared.entrypoints.http.handing_in import BINARY, BinaryBody
from shared.entrypoints.http.mailboxes import Found as OfMailbox
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import IfMatch, JsonBody, Ready, json_body, ready

router = APIRouter(prefix="/api/mailboxes/{mailbox_id}/quarantine", tags=["mailboxes"], dependencies=[Depends(ready)])

EntryId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
_ONE = "/{entry_id}"


def _found(mailbox: OfMailbox, entry_id: EntryId, services: Ready) -> tuple[Mailbox, Versioned[QuarantineEntry]]:
    return mailbox, quarantine.find(services, mailbox, entry_id)


Found = Annotated[tuple[Mailbox, Versioned[QuarantineEntry]], Depends(_found)]


class Entry(BaseModel):
    """A message that could not be handled. `size` is in bytes; None where its bytes could never be fetched."""

    id: str
    folder: str
    at: datetime
    attempts: int
    error_code: str
    error: str
    size: int | None
    is_corrected: bool


class Quarantine(BaseModel):
    entries: list[Entry]


class HeaderField(BaseModel):
    name: str
    value: str


class Message(BaseModel):
    """What is known of it; `defects` name what was broken and repaired."""

    subject: str
    sender: Address | None
    to: list[Address]
    cc: list[Address]
    sent_at: datetime | None
    message_id: str | None
    kind: Kind
    defects: tuple[str, ...]


class EntryWithMessage(Entry):
    """`message` is None where it cannot be parsed, or was never fetched; `header` has all fields that can be read."""

    header: list[HeaderField]
    message: Message | None


class RetriedMessages(BaseModel):
    """`left` were not tried for want of time: repeat the request."""

    messages: list[quarantine.Retried]
    left: int


@router.get("")
def list_quarantine(mailbox: OfMailbox, services: Ready) -> Quarantine:
    """The messages that could not be handled."""
    return Quarantine(entries=[Entry(**_entry(each)) for each in services.tickets.quarantine(mailbox.id)])


@router.post("/retry", responses=described(409))
def retry_quarantine(mailbox: OfMailbox, services: Ready) -> RetriedMessages:
    """Take all of them in as if they had just come, as far as there is time."""
    return _retried(services, mailbox, [each.id for each in services.tickets.quarantine(mailbox.id)])


@router.get(_ONE, responses={200: ETAG})
def get_quarantined(found: Found, services: Ready, response: Response) -> EntryWithMessage:
    """With what its message says, as it would be taken in."""
    return _answer(services, *found, response)


@router.get(
    f"{_ONE}/message",
    response_class=Response,
    responses={200: {"content": {"message/rfc822": {}}}},
)
def export_quarantined(found: Found, services: Ready, original: Annotated[bool, Query()] = False) -> Response:
    """The message as an .eml file, as it would be taken in, or as it was received (`original`)."""
    mailbox, entry = found[0], found[1].value
    content = quarantine.content(services, mailbox, entry, original=original)
    return download(content, f"{entry.id}.eml", "message/rfc822")


@router.put(
    f"{_ONE}/message",
    openapi_extra={"requestBody": {"required": True, "content": {"message/rfc822": BINARY}}},
    responses={200: ETAG, **described(409)},
)
def correct_quarantined(
    found: Found, if_match: IfMatch, body: BinaryBody, services: Ready, response: Response
) -> EntryWithMessage:
    """Have another message taken in in its place, such as the same with a corrected header; what was received is kept.
    Refused while there is something wrong with its header.
    """
    mailbox, entry = found
    if_match.require(entry.etag)
    if len(body) > mailbox.intake.max_message_bytes:
        raise HTTPException(413, f"the mailbox takes messages of {mailbox.intake.max_message_bytes} bytes at most")
    quarantine.correct(services, mailbox, entry, body)
    return _answer(services, mailbox, quarantine.find(services, mailbox, entry.value.id), response)


@router.post(f"{_ONE}/retry", responses=described(409))
def retry_quarantined(found: Found, services: Ready) -> quarantine.Retried:
    """Take it in as if it had just come, also where it is not in the mailbox any more."""
    retried = _retried(services, found[0], [found[1].value.id]).messages
    if not retried:
        raise NotFound("it is not in quarantine any more")
    return retried[0]


@router.post(f"{_ONE}/drop", status_code=204, openapi_extra=json_body(quarantine.Drop), responses=described(409))
def drop_quarantined(found: Found, data: JsonBody, services: Ready) -> None:
    """Take it out for good, with a reason for the record."""
    quarantine.drop(services, *found, data)


def _retried(services: Services, mailbox: Mailbox, entry_ids: list[str]) -> RetriedMessages:
    found = quarantine.retry(services, mailbox, entry_ids)
    return RetriedMessages(messages=found, left=len(entry_ids) - len(found))


def _answer(
    services: Services, mailbox: Mailbox, found: Versioned[QuarantineEntry], response: Response
) -> EntryWithMessage:
    entry = with_etag(response, found)
    try:
        content = quarantine.content(services, mailbox, entry)
    except NotFound:
        return EntryWithMessage(**_entry(entry), header=[], message=None)
    message = quarantine.message(mailbox, entry, content)
    return EntryWithMessage(
        **_entry(entry),
        header=[HeaderField(name=name, value=value) for name, value in quarantine.header(content)],
        message=Message(**asdict(message)) if message else None,
    )


def _entry(entry: QuarantineEntry) -> dict[str, Any]:
    size = entry.raw.size if entry.raw else None
    return asdict(entry) | {
        "id": entry.id,
        "folder": entry.ref.folder,
        "size": size,
        "is_corrected": entry.corrected is not None,
    }
