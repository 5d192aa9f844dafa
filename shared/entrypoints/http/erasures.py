"""The operations on erasures: what is stored about a person, counted or erased."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from shared.application import erasure
from shared.domain.erasures import ErasureRequest
from shared.domain.fields import DocumentId
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import JsonBody, Ready, json_body, ready

router = APIRouter(prefix="/api/erasures", tags=["contacts"], dependencies=[Depends(ready)])


class Erasure(BaseModel):
    """The record of an erasure; it does not name the person."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    created_at: datetime
    by: str
    person: str = Field(description="SHA-256 of the address, in small letters")
    counts: dict[str, int] = Field(description="how many were found (plan), or changed and removed")
    finished_at: datetime | None = Field(description="None: send the request again to go on")


class Erasures(BaseModel):
    erasures: list[Erasure]


@router.post(
    "",
    openapi_extra=json_body(ErasureRequest),
    responses={202: {"model": Erasure, "description": "There is more to do"}, **described(409)},
)
def erase(body: JsonBody, services: Ready, response: Response) -> Erasure:
    """Count what is stored about a person (`plan`, the default), or erase it. That takes up to a minute; answered with
    202, it goes on when the same request is sent again.
    """
    asked, record = erasure.erase(services, body)
    if not asked.plan and record.finished_at is None:
        response.status_code = 202
    return Erasure.model_validate(record)


@router.get("")
def list_erasures(services: Ready) -> Erasures:
    return Erasures(erasures=[Erasure.model_validate(each.value) for each in services.erasures.all()])


@router.get("/{erasure_id}")
def get_erasure(erasure_id: Annotated[DocumentId, Path()], services: Ready) -> Erasure:
    """How far it is."""
    return Erasure.model_validate(erasure.find(services, erasure_id))
