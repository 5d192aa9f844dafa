"""The operations on mailboxes: configuration, connection tests, polls on demand, and what the polls left behind."""

from collections.abc import Sequence
from contextlib import closing
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from shared.application import connection_test, dry_run, health, mailboxes
from shared.application.installation import installation
from shared.application.ports.connections import Folder
from shared.application.ports.platform import PollRequest
from shared.application.services import Services
from shared.domain import mailbox as stored
from shared.domain.fields import DocumentId
from shared.domain.intake import PollRun
from shared.entrypoints.http.answers import ConnectionTestResult
from shared.entrypoints.http.configured import add_operations
from shared.entrypoints.http.health import MailboxHealth, mailbox_health
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import CorrelationId, JsonBody, Ready, json_body, ready

router = APIRouter(prefix="/api/mailboxes", tags=["mailboxes"], dependencies=[Depends(ready)])

Id = Annotated[DocumentId, Path()]
_ONE = "/{mailbox_id}"


def _found(mailbox_id: Id, services: Ready) -> stored.Mailbox:
    return mailboxes.find_mailbox(services, mailbox_id).value


Found = Annotated[stored.Mailbox, Depends(_found)]


def _chosen(
    services: Ready,
    mailbox: Annotated[DocumentId | None, Query(description="the id of a mailbox; all of them unless given")] = None,
) -> Sequence[str]:
    if mailbox:
        return [mailboxes.find_mailbox(services, mailbox).value.id]
    return [each.id for each in services.mailboxes.cached()]


Chosen = Annotated[Sequence[str], Depends(_chosen)]
"""The ids of the mailboxes that a list is over."""


class Mailbox(stored.Mailbox):
    """A configured mailbox and how it is doing. Secrets are shown by their names only."""

    health: MailboxHealth


class Mailboxes(BaseModel):
    mailboxes: list[Mailbox]


class PollAccepted(BaseModel):
    correlation_id: str = Field(description="finds the events of this poll in the log")


class PollRuns(BaseModel):
    runs: Sequence[PollRun]


class Folders(BaseModel):
    folders: Sequence[Folder]


@router.get("")
def list_mailboxes(services: Ready) -> Mailboxes:
    return Mailboxes(mailboxes=[_mailbox(report) for report in health.mailbox_reports(services)])


@router.post("/test-connection", openapi_extra=json_body(connection_test.ConnectionTest))
def test_unsaved_connection(body: JsonBody, services: Ready) -> ConnectionTestResult:
    """Test a configuration that is not saved. Nothing of it is stored, nor are the secrets sent along."""
    return ConnectionTestResult.of(connection_test.check_unsaved(services, body))


@router.post(f"{_ONE}/test-connection")
def test_connection(mailbox: Found, services: Ready) -> ConnectionTestResult:
    """Ends after the first stage that failed. Changes nothing in the mailbox."""
    return ConnectionTestResult.of(connection_test.check(services, mailbox))


@router.post("/dry-run", openapi_extra=json_body(dry_run.UnsavedDryRun), responses=described(502, 503))
def dry_run_unsaved(body: JsonBody, services: Ready) -> dry_run.WouldBe:
    """What would become of waiting messages in a mailbox that is not saved. Nothing is stored, marked or moved."""
    return dry_run.dry_run_unsaved(services, body)


@router.post(f"{_ONE}/dry-run", openapi_extra=json_body(dry_run.DryRun), responses=described(502, 503))
def dry_run_mailbox(mailbox: Found, body: JsonBody, services: Ready) -> dry_run.WouldBe:
    """What the next poll would make of each message that is waiting, and why, with the saved settings or with others.
    Each is looked at as if the others were not there. Nothing is stored, marked or moved.
    """
    return dry_run.dry_run(services, mailbox, body)


@router.post(f"{_ONE}/poll", status_code=202, responses=described(409))
def poll_mailbox(mailbox: Found, services: Ready, correlation_id: CorrelationId) -> PollAccepted:
    """Have the mailbox polled now, whatever its schedule says."""
    if not mailbox.enabled:
        raise HTTPException(409, "the mailbox is not enabled")
    if not installation(services).email_to_ticket:
        raise HTTPException(409, "email to ticket is switched off")
    polled = services.schedule.get(mailbox.id)
    failures = polled.consecutive_failures if polled else 0
    services.polls.put(PollRequest(mailbox.id, "demand", correlation_id, failures))
    return PollAccepted(correlation_id=correlation_id)


@router.get(f"{_ONE}/runs")
def list_runs(mailbox: Found, services: Ready, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> PollRuns:
    """The runs that found mail or failed, newest first."""
    return PollRuns(runs=services.tickets.runs(mailbox.id, limit))


@router.get(f"{_ONE}/folders", responses=described(422, 502, 503))
def list_folders(mailbox: Found, services: Ready) -> Folders:
    """Asked of the mail server, now."""
    with closing(services.open_source(mailbox)) as source:
        return Folders(folders=source.folders())


def _answer(services: Services, mailbox: stored.Mailbox) -> Mailbox:
    return _mailbox(health.mailbox_report(services, mailbox))


def _mailbox(report: health.MailboxReport) -> Mailbox:
    return Mailbox(**dict(report.of), health=mailbox_health(report))


add_operations(router, mailboxes.MAILBOXES, Mailbox, _answer)
