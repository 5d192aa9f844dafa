"""The operations on mailboxes: configuration, connection tests, polls on demand, and what the polls left behind."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.exceptions import HTTPException

from shared.application import connection_test, dry_run, health, mailboxes
from shared.application.installation import installation
from shared.application.ports.platform import PollRequest
from shared.application.services import Services
from shared.domain.fields import DocumentId
from shared.domain.mailbox import Mailbox
from shared.entrypoints.http import models
from shared.entrypoints.http.configured import BODY_ERRORS, add_operations
from shared.entrypoints.http.health import mailbox_health
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import CorrelationId, JsonBody, Ready, json_body, ready

router = APIRouter(prefix="/api/mailboxes", tags=["mailboxes"], dependencies=[Depends(ready)])

Id = Annotated[DocumentId, Path()]


@router.get("")
def list_mailboxes(services: Ready) -> models.Mailboxes:
    return models.Mailboxes(mailboxes=[_mailbox(report) for report in health.mailbox_reports(services)])


@router.post("/test-connection", openapi_extra=json_body("ConnectionTest"), responses=described(*BODY_ERRORS))
def test_unsaved_connection(body: JsonBody, services: Ready) -> models.ConnectionTestResult:
    """Test a configuration that is not saved. Nothing of it is stored, nor are the secrets sent along."""
    return models.ConnectionTestResult.of(connection_test.check_unsaved(services, body))


@router.post("/{mailbox_id}/test-connection", responses=described(404))
def test_connection(mailbox_id: Id, services: Ready) -> models.ConnectionTestResult:
    """Ends after the first stage that failed. Changes nothing in the mailbox."""
    return models.ConnectionTestResult.of(
        connection_test.check(services, mailboxes.find_mailbox(services, mailbox_id).value)
    )


@router.post("/dry-run", openapi_extra=json_body("UnsavedDryRun"), responses=described(*BODY_ERRORS, 502, 503))
def dry_run_unsaved(body: JsonBody, services: Ready) -> models.DryRunResult:
    """What would become of waiting messages in a mailbox that is not saved. Nothing is stored, marked or moved."""
    return models.DryRunResult.of(dry_run.dry_run_unsaved(services, body))


@router.post(
    "/{mailbox_id}/dry-run", openapi_extra=json_body("DryRun"), responses=described(404, *BODY_ERRORS, 502, 503)
)
def dry_run_mailbox(mailbox_id: Id, body: JsonBody, services: Ready) -> models.DryRunResult:
    """What the next poll would make of each message that is waiting, and why, with the saved settings or with others.
    Each is looked at as if the others were not there. Nothing is stored, marked or moved.
    """
    mailbox = mailboxes.find_mailbox(services, mailbox_id).value
    return models.DryRunResult.of(dry_run.dry_run(services, mailbox, body))


@router.post("/{mailbox_id}/poll", status_code=202, responses=described(404, 409))
def poll_mailbox(mailbox_id: Id, services: Ready, correlation_id: CorrelationId) -> models.PollAccepted:
    """Have the mailbox polled now, whatever its schedule says."""
    if not mailboxes.find_mailbox(services, mailbox_id).value.enabled:
        raise HTTPException(409, "the mailbox is not enabled")
    if not installation(services).email_to_ticket:
        raise HTTPException(409, "email to ticket is switched off")
    polled = services.schedule.get(mailbox_id)
    failures = polled.consecutive_failures if polled else 0
    services.polls.put(PollRequest(mailbox_id, "demand", correlation_id, failures))
    return models.PollAccepted(correlation_id=correlation_id)


@router.get("/{mailbox_id}/runs", responses=described(404, 422))
def list_runs(mailbox_id: Id, services: Ready, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> models.PollRuns:
    """The runs that found mail or failed, newest first."""
    mailboxes.find_mailbox(services, mailbox_id)
    runs = services.tickets.runs(mailbox_id, limit)
    return models.PollRuns(runs=[models.PollRun(**asdict(run)) for run in runs])


@router.get("/{mailbox_id}/folders", responses=described(404, 422, 502, 503))
def list_folders(mailbox_id: Id, services: Ready) -> models.Folders:
    """Asked of the mail server, now."""
    source = services.open_source(mailboxes.find_mailbox(services, mailbox_id).value)
    try:
        return models.Folders(folders=[models.Folder(**asdict(each)) for each in source.folders()])
    finally:
        source.close()


def _answer(services: Services, mailbox: Mailbox) -> models.Mailbox:
    return _mailbox(health.mailbox_report(services, mailbox))


def _mailbox(report: health.MailboxReport) -> models.Mailbox:
    return models.Mailbox(**dict(report.of), health=mailbox_health(report))


add_operations(router, mailboxes.MAILBOXES, models.Mailbox, _answer)
