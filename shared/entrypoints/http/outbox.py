"""The operations on what is owed: e-mails and webhooks that have not been delivered."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel

from shared.application import outbox
from shared.application.mailboxes import find_mailbox
from shared.domain.fields import DocumentId
from shared.entrypoints.http.audit import acts
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import Ready, ready

router = APIRouter(prefix="/api/outbox", tags=["senders"], dependencies=[Depends(ready)])

Mailbox = Annotated[DocumentId, Path(alias="mailbox_id")]
EntryId = Annotated[str, Path(alias="entry_id", pattern=r"^[A-Za-z0-9._-]{1,300}$")]


class Outbox(BaseModel):
    entries: list[outbox.Owed]


@router.get("", responses=described(404))
def list_outbox(services: Ready, mailbox: Annotated[DocumentId, Query()]) -> Outbox:
    """At most a thousand entries of a mailbox; those first that need somebody."""
    find_mailbox(services, mailbox)
    return Outbox(entries=outbox.owed(services, mailbox))


@router.post(
    "/{mailbox_id}/{entry_id}/retry",
    status_code=202,
    responses=described(412),
    dependencies=[acts("outbox entry", "retried")],
)
def retry_outbox_entry(mailbox_id: Mailbox, entry_id: EntryId, services: Ready) -> None:
    """Try it again now. Where it was not known whether an e-mail was sent, it may be sent twice."""
    find_mailbox(services, mailbox_id)
    outbox.retry(services, mailbox_id, entry_id)


@router.delete(
    "/{mailbox_id}/{entry_id}",
    status_code=204,
    responses=described(412),
    dependencies=[acts("outbox entry", "dropped")],
)
def drop_outbox_entry(mailbox_id: Mailbox, entry_id: EntryId, services: Ready) -> None:
    """Never deliver it."""
    find_mailbox(services, mailbox_id)
    outbox.drop(services, mailbox_id, entry_id)
