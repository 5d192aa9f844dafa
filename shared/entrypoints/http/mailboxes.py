"""The operations on mailboxes: configuration, connection tests, polls on demand, and what the polls left behind."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from starlette.exceptions import HTTPException

from shared.application import connection_test, health, mailboxes
from shared.application.ports import CheckStage, PollRequest, Versioned
from shared.application.services import Services
from shared.domain.intake import QuarantineEntry
from shared.domain.mailbox import Mailbox, MailboxId
from shared.entrypoints.http import models
from shared.entrypoints.http.health import mailbox_health
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import CorrelationId, IfMatch, JsonBody, Ready, etag, json_body, ready

router = APIRouter(prefix="/api/mailboxes", tags=["mailboxes"], dependencies=[Depends(ready)])

Id = Annotated[MailboxId, Path()]
_BODY_ERRORS = (400, 413, 415, 422)
_ETAG = {"headers": {"ETag": {"description": "the version of the configuration", "schema": {"type": "string"}}}}


@router.get("")
def list_mailboxes(services: Ready) -> models.Mailboxes:
    return models.Mailboxes(mailboxes=[_mailbox(report) for report in health.reports(services)])


@router.post(
    "", status_code=201, openapi_extra=json_body("MailboxSettings"), responses={201: _ETAG, **described(*_BODY_ERRORS)}
)
def create_mailbox(body: JsonBody, services: Ready, response: Response) -> models.Mailbox:
    """Its id is made from its name and never changes. It is polled within a minute."""
    created = mailboxes.create(services, body)
    response.headers["Location"] = f"/api/mailboxes/{created.value.id}"
    return _answer(services, created, response)


@router.get("/{mailbox_id}", responses={200: _ETAG, **described(404)})
def get_mailbox(mailbox_id: Id, services: Ready, response: Response) -> models.Mailbox:
    """The ETag is that of the configuration; health changes without it."""
    return _answer(services, mailboxes.find(services, mailbox_id), response)


@router.put(
    "/{mailbox_id}",
    openapi_extra=json_body("MailboxSettings"),
    responses={200: _ETAG, **described(404, 412, 428, *_BODY_ERRORS)},
)
def replace_mailbox(
    mailbox_id: Id, if_match: IfMatch, body: JsonBody, services: Ready, response: Response
) -> models.Mailbox:
    """All settings are replaced; what is left out gets its default. `id`, `created_at` and `health` are ignored, so
    that an answer can be sent back with changes.
    """
    current = mailboxes.find(services, mailbox_id)
    if_match.require(current.etag)
    return _answer(services, mailboxes.replace(services, current, body), response)


@router.delete("/{mailbox_id}", status_code=204, responses=described(404, 412, 428))
def delete_mailbox(mailbox_id: Id, if_match: IfMatch, services: Ready) -> None:
    """It is not read any more. Its tickets stay in the store, but are not shown without it."""
    current = mailboxes.find(services, mailbox_id)
    if_match.require(current.etag)
    mailboxes.delete(services, current)


@router.post("/test-connection", openapi_extra=json_body("ConnectionTest"), responses=described(*_BODY_ERRORS))
def test_unsaved_connection(body: JsonBody, services: Ready) -> models.ConnectionTestResult:
    """Test a configuration that is not saved. Nothing of it is stored, nor are the secrets sent along."""
    return _test_result(connection_test.check_unsaved(services, body))


@router.post("/{mailbox_id}/test-connection", responses=described(404))
def test_connection(mailbox_id: Id, services: Ready) -> models.ConnectionTestResult:
    """Ends after the first stage that failed. Changes nothing in the mailbox."""
    return _test_result(connection_test.check(services, mailboxes.find(services, mailbox_id).value))


@router.post("/{mailbox_id}/poll", status_code=202, responses=described(404, 409))
def poll_mailbox(mailbox_id: Id, services: Ready, correlation_id: CorrelationId) -> models.PollAccepted:
    """Have the mailbox polled now, whatever its schedule says."""
    if not mailboxes.find(services, mailbox_id).value.enabled:
        raise HTTPException(409, "the mailbox is not enabled")
    polled = services.schedule.get(mailbox_id)
    failures = polled.consecutive_failures if polled else 0
    services.polls.put(PollRequest(mailbox_id, "demand", correlation_id, failures))
    return models.PollAccepted(correlation_id=correlation_id)


@router.get("/{mailbox_id}/runs", responses=described(404, 422))
def list_runs(mailbox_id: Id, services: Ready, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> models.PollRuns:
    """The runs that found mail or failed, newest first."""
    mailboxes.find(services, mailbox_id)
    runs = services.tickets.runs(mailbox_id, limit)
    return models.PollRuns(runs=[models.PollRun(**asdict(run)) for run in runs])


@router.get("/{mailbox_id}/quarantine", responses=described(404))
def list_quarantine(mailbox_id: Id, services: Ready) -> models.Quarantine:
    """The messages that could not be handled."""
    mailboxes.find(services, mailbox_id)
    return models.Quarantine(entries=[_entry(each) for each in services.tickets.quarantine(mailbox_id)])


@router.get("/{mailbox_id}/folders", responses=described(404, 422, 502, 503))
def list_folders(mailbox_id: Id, services: Ready) -> models.Folders:
    """Asked of the mail server, now."""
    source = services.open_source(mailboxes.find(services, mailbox_id).value)
    try:
        return models.Folders(folders=[models.Folder(**asdict(each)) for each in source.folders()])
    finally:
        source.close()


def _answer(services: Services, versioned: Versioned[Mailbox], response: Response) -> models.Mailbox:
    response.headers["ETag"] = etag(versioned.etag)
    polled = services.schedule.get(versioned.value.id)
    return _mailbox(health.report(versioned.value, polled, services.clock()))


def _mailbox(report: health.MailboxReport) -> models.Mailbox:
    return models.Mailbox(**dict(report.mailbox), health=mailbox_health(report))


def _test_result(stages: list[CheckStage]) -> models.ConnectionTestResult:
    ok = all(stage.ok for stage in stages)
    return models.ConnectionTestResult(ok=ok, stages=[models.CheckStage(**asdict(stage)) for stage in stages])


def _entry(entry: QuarantineEntry) -> models.QuarantineEntry:
    size = entry.raw.size if entry.raw else None
    return models.QuarantineEntry(**asdict(entry), id=entry.id, folder=entry.ref.folder, size=size)
