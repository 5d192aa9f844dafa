"""The health of the deployment and of each mailbox; the one operation that works while the app settings are wrong."""

from collections.abc import Sequence
from dataclasses import asdict

from fastapi import APIRouter, Request, Response

from shared.application.health import MailboxReport, MailboxStatus, deployment_warnings, reports
from shared.domain.errors import SettingsError, StoreError
from shared.domain.intake import MailboxHealth
from shared.entrypoints.http import models
from shared.entrypoints.http.requests import ready

router = APIRouter(prefix="/api/health", tags=["health"])


@router.get("", responses={503: {"model": models.Health, "description": "Broken: the problems tell what is wrong"}})
def get_health(request: Request, response: Response) -> models.Health:
    """Whether the deployment works, and how each mailbox is doing."""
    try:
        services = ready(request)
        found = reports(services)
    except SettingsError as error:
        return _broken(response, error.problems)
    except StoreError as error:
        return _broken(response, [f"{error} {error.advice}".strip()])
    failing = any(each.status is MailboxStatus.FAILING for each in found)
    return models.Health(
        status="failing" if failing else "ok",
        warnings=deployment_warnings(services),
        mailboxes=[_named(each) for each in found],
    )


def _broken(response: Response, problems: Sequence[str]) -> models.Health:
    response.status_code = 503
    return models.Health(status="broken", problems=list(problems))


def mailbox_health(report: MailboxReport) -> models.MailboxHealth:
    polled = asdict(report.polled) | {"last_error": _failure(report.polled)} if report.polled else {}
    return models.MailboxHealth(**polled, status=report.status, warnings=report.warnings)


def _failure(polled: MailboxHealth) -> models.Failure | None:
    if polled.error_code is None:
        return None
    return models.Failure(code=polled.error_code, text=polled.error or "", advice=polled.advice)


def _named(report: MailboxReport) -> models.NamedHealth:
    mailbox = report.mailbox
    return models.NamedHealth(**dict(mailbox_health(report)), id=mailbox.id, name=mailbox.name, enabled=mailbox.enabled)
