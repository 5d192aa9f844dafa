"""The operations on imports of older mail (req D6)."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from shared.application import imports
from shared.application.ports.stores import Versioned
from shared.domain import imports as stored
from shared.domain.fields import DocumentId
from shared.domain.imports import ImportSettings, ImportState
from shared.entrypoints.http.mailboxes import Found as OfMailbox
from shared.entrypoints.http.mailboxes import Id
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import JsonBody, Ready, json_body, ready

router = APIRouter(prefix="/api/mailboxes/{mailbox_id}/imports", tags=["mailboxes"], dependencies=[Depends(ready)])


def _found(mailbox_id: Id, import_id: Annotated[DocumentId, Path()], services: Ready) -> Versioned[stored.Import]:
    return imports.find(services, mailbox_id, import_id)


Found = Annotated[Versioned[stored.Import], Depends(_found)]


class Import(BaseModel):
    """An import and how far it is: `listed` of about `found` messages were taken in, with these outcomes; `left_out`
    were fetched and are not from that time. Where `found_is_exact` is false, the provider lists messages without dates,
    and `found` is the most that it can be.
    """

    model_config = ConfigDict(from_attributes=True)

    id: str
    created_at: datetime
    since: datetime
    until: datetime
    folders: tuple[str, ...] | None
    silent: bool
    state: ImportState
    found: int
    found_is_exact: bool
    listed: int
    left_out: int
    outcomes: dict[str, int]
    failures: int = Field(description="how many parts in a row have failed")
    error_code: str | None
    error: str | None
    ended_at: datetime | None


class Imports(BaseModel):
    """The newest first."""

    imports: list[Import]


@router.post("", status_code=202, openapi_extra=json_body(ImportSettings), responses=described(409))
def create_import(mailbox: OfMailbox, data: JsonBody, services: Ready, response: Response) -> Import:
    """Count the messages of that time that are there; then wait to be started, or begin (`plan`: false)."""
    made = imports.create(services, mailbox, data)
    response.headers["Location"] = f"/api/mailboxes/{mailbox.id}/imports/{made.id}"
    return Import.model_validate(made)


@router.get("")
def list_imports(mailbox: OfMailbox, services: Ready) -> Imports:
    return Imports(imports=[Import.model_validate(each) for each in imports.of_mailbox(services, mailbox.id)])


_ONE = "/{import_id}"


@router.get(_ONE)
def get_import(found: Found) -> Import:
    return Import.model_validate(found.value)


@router.post(f"{_ONE}/start", status_code=202, responses=described(409))
def start_import(found: Found, services: Ready) -> Import:
    """Take in what was counted, or go on with an import that failed."""
    return Import.model_validate(imports.start(services, found))


@router.post(f"{_ONE}/cancel", responses=described(409))
def cancel_import(found: Found, services: Ready) -> Import:
    """Take in no more of it; what was taken in stays."""
    return Import.model_validate(imports.cancel(services, found))
