"""The operations on senders: configuration, the primary one, and connection tests."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from shared.application import connection_test, senders
from shared.application.services import Services
from shared.domain.fields import DocumentId
from shared.domain.providers import risks
from shared.domain.senders import Sender, primary
from shared.entrypoints.http import models
from shared.entrypoints.http.configured import BODY_ERRORS, add_operations
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import JsonBody, Ready, etag, json_body, ready

router = APIRouter(prefix="/api/senders", tags=["senders"], dependencies=[Depends(ready)])

Id = Annotated[DocumentId, Path()]


@router.get("")
def list_senders(services: Ready) -> models.Senders:
    found = [each.value for each in services.senders.all()]
    chosen = primary(found)
    return models.Senders(senders=[_shown(each, chosen) for each in found])


@router.post("/test-connection", openapi_extra=json_body("UnsavedSenderTest"), responses=described(*BODY_ERRORS))
def test_unsaved_sender(body: JsonBody, services: Ready) -> models.ConnectionTestResult:
    """Test a sender that is not saved. Nothing of it is stored, nor are the secrets sent along."""
    return models.ConnectionTestResult.of(connection_test.check_unsaved_sender(services, body))


@router.post(
    "/{sender_id}/test-connection", openapi_extra=json_body("SenderTest"), responses=described(404, *BODY_ERRORS)
)
def test_sender(sender_id: Id, body: JsonBody, services: Ready) -> models.ConnectionTestResult:
    """Ends after the first stage that failed. Sends nothing unless it is told whom to send a confirmation to."""
    sender = senders.find_sender(services, sender_id).value
    return models.ConnectionTestResult.of(connection_test.check_sender(services, sender, body))


@router.post("/{sender_id}/make-primary", responses=described(404, 412, 422))
def make_primary_sender(sender_id: Id, services: Ready, response: Response) -> models.Sender:
    """Have it stand in for senders that fail, in place of the one that did so far."""
    chosen = senders.make_primary(services, senders.find_sender(services, sender_id))
    response.headers["ETag"] = etag(chosen.etag)
    return _answer(services, chosen.value)


def _answer(services: Services, sender: Sender) -> models.Sender:
    return _shown(sender, primary(each.value for each in services.senders.all()))


def _shown(sender: Sender, chosen: Sender | None) -> models.Sender:
    is_primary = chosen is not None and chosen.id == sender.id
    return models.Sender(
        **dict(sender), primary=is_primary, warnings=tuple(each.text for each in risks(sender.transport))
    )


add_operations(router, senders.SENDERS, models.Sender, _answer)
