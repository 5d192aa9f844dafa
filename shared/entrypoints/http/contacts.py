"""The operations on contacts: one by one, lists, and files of them (req P1)."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from shared.application import contacts
from shared.application.contact_files import csv_lines, json_lines
from shared.application.ports.stores import Versioned
from shared.application.services import Services
from shared.domain.contact import Contact, ContactFilter
from shared.domain.errors import PreconditionFailed
from shared.entrypoints.http.answers import ETAG, Page, with_etag
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import (
    Continuation,
    JsonBody,
    Limit,
    OptionalIfMatch,
    Ready,
    Versions,
    json_body,
    media_type,
    parsed_json,
    ready,
    whole_body,
)

router = APIRouter(prefix="/api/contacts", tags=["contacts"], dependencies=[Depends(ready)])

_MAX_BYTES = 5_000_000
_FILE: dict[str, Any] = {
    "text/csv": {"schema": {"type": "string"}},
    "application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Contact"}}},
}

MailAddress = Annotated[str, Path(examples=["kim@example.com"])]


class Contacts(Page):
    """In an order of no meaning."""

    contacts: Sequence[Contact]


@router.get("")
def list_contacts(
    services: Ready,
    wanted: Annotated[ContactFilter, Depends()],
    limit: Limit = 50,
    continuation: Continuation = None,
) -> Contacts:
    """Those that all of the parameters admit; `text` is part of the address, the name or the company. A page may be
    short, or empty, although there is another.
    """
    found, more = services.contacts.list(wanted, limit, continuation)
    return Contacts(contacts=found, continuation=more)


@router.get("/{address:path}", responses={200: ETAG})
def get_contact(address: MailAddress, services: Ready, response: Response) -> Contact:
    """Found by any spelling of the address."""
    return with_etag(response, contacts.find(services, address))


@router.put(
    "/{address:path}",
    openapi_extra=json_body(Contact),
    responses={200: ETAG, 201: {**ETAG, "model": Contact}, **described(409)},
)
def put_contact(
    address: MailAddress, body: JsonBody, services: Ready, response: Response, if_match: OptionalIfMatch
) -> Contact:
    """Create the contact, or replace all of it; what is left out gets its default. An `address` in the body is ignored,
    so that an answer can be sent back with changes.
    """
    current = _current(services, address, if_match)
    saved = contacts.save(services, address, current, body)
    response.status_code = 200 if current else 201
    return with_etag(response, saved)


@router.delete("/{address:path}", status_code=204, responses=described(409))
def delete_contact(address: MailAddress, services: Ready, if_match: OptionalIfMatch) -> None:
    """The person's tickets stay."""
    _current(services, address, if_match)
    contacts.delete(services, contacts.find(services, address))


async def _lines(request: Request) -> list[contacts.Line]:
    kind = media_type(request, *_FILE)
    body = await whole_body(request, _MAX_BYTES)
    return [*(csv_lines(body, _charset(request)) if kind == "text/csv" else json_lines(parsed_json(body)))]


def _charset(request: Request) -> str:
    name, _, value = request.headers["content-type"].partition(";")[2].strip().partition("=")
    return value.strip('" ') if name.strip().lower() == "charset" else "utf-8"


@router.post("/import", openapi_extra={"requestBody": {"required": True, "content": _FILE}})
def import_contacts(
    services: Ready,
    lines: Annotated[list[contacts.Line], Depends(_lines)],
    plan: Annotated[bool, Query(description="save nothing, only tell what would change")] = False,
) -> contacts.Imported:
    """Add and change contacts from a file, wholly or not at all: a problem names each bad line. Its columns, or keys,
    are those of a contact; what a file has no column for stays as it is, and an empty cell empties.
    """
    return contacts.import_lines(services, lines, plan=plan)


def _current(services: Services, address: str, if_match: Versions | None) -> Versioned[Contact] | None:
    found = services.contacts.read([address]).get(address)
    if if_match is not None:
        if found is None:
            raise PreconditionFailed("If-Match names a version of a contact that does not exist")
        if_match.require(found.etag)
    return found
