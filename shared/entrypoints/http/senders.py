"""The operations on senders: configuration, the primary one, and connection tests."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel

from shared.application import connection_test
from shared.application.configuration import find
from shared.application.sending_configuration import SENDERS, make_primary
from shared.application.services import Services
from shared.domain import senders as stored
from shared.domain.fields import DocumentId
from shared.domain.providers import risks
from shared.domain.senders import primary
from shared.entrypoints.http.answers import ConnectionTestResult, with_etag
from shared.entrypoints.http.configured import add_operations
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import JsonBody, Ready, json_body, ready

router = APIRouter(prefix="/api/senders", tags=["senders"], dependencies=[Depends(ready)])

Id = Annotated[DocumentId, Path()]


class Sender(stored.Sender):
    """A configured sender. The primary one stands in for those that fail; there is always one, if any is enabled."""

    primary: bool
    warnings: tuple[str, ...]


class Senders(BaseModel):
    senders: list[Sender]


@router.get("")
def list_senders(services: Ready) -> Senders:
    found = [each.value for each in services.senders.all()]
    chosen = primary(found)
    return Senders(senders=[_shown(each, chosen) for each in found])


@router.post("/test-connection", openapi_extra=json_body(connection_test.UnsavedSenderTest))
def test_unsaved_sender(body: JsonBody, services: Ready) -> ConnectionTestResult:
    """Test a sender that is not saved. Nothing of it is stored, nor are the secrets sent along."""
    return ConnectionTestResult.of(connection_test.check_unsaved_sender(services, body))


@router.post("/{sender_id}/test-connection", openapi_extra=json_body(connection_test.SenderTest))
def test_sender(sender_id: Id, body: JsonBody, services: Ready) -> ConnectionTestResult:
    """Ends after the first stage that failed. Sends nothing unless it is told whom to send a confirmation to."""
    sender = find(services, SENDERS, sender_id).value
    return ConnectionTestResult.of(connection_test.check_sender(services, sender, body))


@router.post("/{sender_id}/make-primary", responses=described(412, 422))
def make_primary_sender(sender_id: Id, services: Ready, response: Response) -> Sender:
    """Have it stand in for senders that fail, in place of the one that did so far."""
    chosen = make_primary(services, find(services, SENDERS, sender_id))
    return _answer(services, with_etag(response, chosen))


def _answer(services: Services, sender: stored.Sender) -> Sender:
    return _shown(sender, primary(each.value for each in services.senders.all()))


def _shown(sender: stored.Sender, chosen: stored.Sender | None) -> Sender:
    is_primary = chosen is not None and chosen.id == sender.id
    return Sender(**dict(sender), primary=is_primary, warnings=tuple(each.text for each in risks(sender.transport)))


add_operations(router, SENDERS, Sender, _answer)
