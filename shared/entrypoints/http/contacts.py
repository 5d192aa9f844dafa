"""The operations on contacts: one by one, lists, and files of them (req P1)."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from shared.application import contacts
from shared.application.contact_files import csv_lines, json_lines
from shared.application.ports.stores import Versioned
from shared.application.services import Services
from shared.domain import contact as domain
from shared.domain.contact import ContactDetails, ContactFilter
from shared.domain.errors import PreconditionFailed
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import JsonBody, Ready, Versions, etag, json_body, parsed_json, ready, whole_body

router = APIRouter(prefix="/api/contacts", tags=["contacts"], dependencies=[Depends(ready)])

_MAX_BYTES = 5_000_000
_ETAG = {"headers": {"ETag": {"description": "the version of the contact", "schema": {"type": "string"}}}}
_FILE: dict[str, Any] = {
    "text/csv": {"schema": {"type": "string"}},
    "application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/ContactDetails"}}},
}

MailAddress = Annotated[str, Path(examples=["kim@example.com"])]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description="the ETag of the version that you have read; any version unless given"),
]


class Contacts(BaseModel):
    """In an order of no meaning; `continuation` asks for the next page, None says that there is none."""

    contacts: list[ContactDetails]
    continuation: str | None


class Imported(BaseModel):
    """What the file has changed, or would change."""

    added: int
    changed: int
    unchanged: int = Field(description="contacts that are as the file says already")


@router.get("", responses=described(422))
def list_contacts(
    services: Ready,
    wanted: Annotated[ContactFilter, Depends()],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    continuation: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$", description="from the answer before")] = None,
) -> Contacts:
    """Those that all of the parameters admit; `text` is part of the address, the name or the company. A page may be
    short, or empty, although there is another.
    """
    found, more = services.contacts.list(wanted, limit, continuation)
    return Contacts(contacts=[contacts.details(each) for each in found], continuation=more)


@router.get("/{address:path}", responses={200: _ETAG, **described(404)})
def get_contact(address: MailAddress, services: Ready, response: Response) -> ContactDetails:
    """Found by any spelling of the address."""
    return _answer(contacts.find(services, address), response)


@router.put(
    "/{address:path}",
    openapi_extra=json_body("ContactDetails"),
    responses={200: _ETAG, 201: {**_ETAG, "model": ContactDetails}, **described(400, 409, 412, 413, 415, 422)},
)
def put_contact(
    address: MailAddress, body: JsonBody, services: Ready, response: Response, if_match: IfMatch = None
) -> ContactDetails:
    """Create the contact, or replace all of it; what is left out gets its default. An `address` in the body is ignored,
    so that an answer can be sent back with changes.
    """
    current = _current(services, address, if_match)
    saved = contacts.save(services, address, current, body)
    response.status_code = 200 if current else 201
    return _answer(saved, response)


@router.delete("/{address:path}", status_code=204, responses=described(404, 409, 412))
def delete_contact(address: MailAddress, services: Ready, if_match: IfMatch = None) -> None:
    """The person's tickets stay."""
    _current(services, address, if_match)
    contacts.delete(services, contacts.find(services, address))


async def _lines(request: Request) -> list[contacts.Line]:
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    body = await whole_body(request, _MAX_BYTES)
    match kind.strip().lower():
        case "application/json":
            return [*json_lines(parsed_json(body))]
        case "text/csv":
            return [*csv_lines(body, _charset(parameters))]
        case _:
            raise HTTPException(415, "the body must be text/csv or application/json")


def _charset(parameters: str) -> str:
    name, _, value = parameters.strip().partition("=")
    return value.strip('" ') if name.strip().lower() == "charset" else "utf-8"


@router.post(
    "/import",
    openapi_extra={"requestBody": {"required": True, "content": _FILE}},
    responses=described(400, 413, 415, 422),
)
def import_contacts(
    services: Ready,
    lines: Annotated[list[contacts.Line], Depends(_lines)],
    plan: Annotated[bool, Query(description="save nothing, only tell what would change")] = False,
) -> Imported:
    """Add and change contacts from a file, wholly or not at all: a problem names each bad line. Its columns, or keys,
    are those of a contact; what a file has no column for stays as it is, and an empty cell empties.
    """
    return Imported(**asdict(contacts.import_lines(services, lines, plan=plan)))


def _current(services: Services, address: str, if_match: str | None) -> Versioned[domain.Contact] | None:
    found = services.contacts.read([address]).get(address)
    if if_match is not None:
        if found is None:
            raise PreconditionFailed("If-Match names a version of a contact that does not exist")
        Versions(if_match).require(found.etag)
    return found


def _answer(versioned: Versioned[domain.Contact], response: Response) -> ContactDetails:
    response.headers["ETag"] = etag(versioned.etag)
    return contacts.details(versioned.value)
