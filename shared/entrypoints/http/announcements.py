"""The operations on announcements, and the link by which people ask for no more of them."""

import hashlib
from html import escape
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from pydantic_core import to_json

from shared.application import announcements, contacts
from shared.application.announcements import Progress
from shared.application.unsubscribing import address_of
from shared.domain.announcements import NewAnnouncement
from shared.domain.errors import NotFound
from shared.domain.fields import DocumentId
from shared.entrypoints.http.answers import page
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import IdempotencyKey, JsonBody, Ready, json_body, ready

router = APIRouter(tags=["announcements"], dependencies=[Depends(ready)])

Id = Annotated[DocumentId, Path(alias="announcement_id")]

_FORM = (
    '<p>{address}</p><form method="post"><button name="List-Unsubscribe" value="One-Click">Unsubscribe</button></form>'
)


class Announcements(BaseModel):
    """Newest first."""

    announcements: list[Progress]


@router.post(
    "/api/announcements",
    status_code=201,
    openapi_extra=json_body(NewAnnouncement),
    responses={200: {"model": Progress, "description": "The plan"}, **described(409)},
)
def create_announcement(
    body: JsonBody,
    services: Ready,
    response: Response,
    key: IdempotencyKey,
    *,
    plan: Annotated[bool, Query(description="send nothing, only tell to how many it would go")] = False,
) -> Progress:
    """Send one text to many, each singly, as fast as the sender may. Sent again under the same key, the request begins
    no other announcement.
    """
    if plan:
        response.status_code = 200
        return announcements.plan(services, body)
    digest = hashlib.sha256(to_json(body)).hexdigest()
    begun = announcements.announce(services, body, key, digest)
    response.headers["Location"] = f"/api/announcements/{begun.id}"
    return begun


@router.get("/api/announcements")
def list_announcements(services: Ready) -> Announcements:
    return Announcements(announcements=announcements.all_progress(services))


@router.get("/api/announcements/{announcement_id}")
def get_announcement(announcement_id: Id, services: Ready) -> Progress:
    """How far it is."""
    return announcements.progress(services, announcements.find(services, announcement_id).value)


@router.post("/api/announcements/{announcement_id}/cancel", responses=described(409))
def cancel_announcement(announcement_id: Id, services: Ready) -> Progress:
    """Send no more of it. What is being sent right now is sent."""
    return announcements.cancel(services, announcement_id)


@router.get("/hooks/unsubscribe", include_in_schema=False)
def ask_to_unsubscribe(services: Ready, token: str = "") -> HTMLResponse:
    """Asks first: programs that look into mail follow its links (RFC 8058 section 1)."""
    try:
        address = address_of(services, token)
    except NotFound as error:
        return page(404, "Not known", f"<p>{escape(str(error))}</p>")
    return page(200, "Receive no more announcements?", _FORM.format(address=escape(address)))


@router.post("/hooks/unsubscribe", include_in_schema=False)
def unsubscribe(services: Ready, token: str = "") -> HTMLResponse:
    """By the button of the page, or by the mail program itself."""
    try:
        contacts.unsubscribe(services, address_of(services, token))
    except NotFound as error:
        return page(404, "Not known", f"<p>{escape(str(error))}</p>")
    return page(200, "You will receive no more announcements", "<p>You can close this page.</p>")
