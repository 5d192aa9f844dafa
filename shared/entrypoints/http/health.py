"""The health of the deployment and of each mailbox; the one operation that works while the app settings are wrong."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response

from shared.application.alerts import untold
from shared.application.health import MailboxReport, deployment_findings, mailbox_reports, sender_reports
from shared.domain.errors import AppError, SettingsError, StoreError
from shared.domain.health import Finding, Level, MailboxHealth, worst
from shared.domain.mailbox import Mailbox
from shared.domain.senders import Sender
from shared.entrypoints.http import models
from shared.entrypoints.http.requests import ready

router = APIRouter(prefix="/api/health", tags=["health"])


@router.get("", responses={503: {"model": models.Health, "description": "Nothing works: the findings tell why"}})
def get_health(request: Request, response: Response) -> models.Health:
    """Whether the deployment works, and how each mailbox and each sender is doing."""
    try:
        services = ready(request)
        mailboxes, senders = mailbox_reports(services), sender_reports(services)
        findings = [*deployment_findings(services), *untold(services, mailboxes, senders)]
    except SettingsError as error:
        return _broken(response, error, error.problems)
    except StoreError as error:
        return _broken(response, error, [str(error)])
    return models.Health(
        level=worst(each.level for parts in (findings, mailboxes, senders) for each in parts),
        findings=_findings(findings),
        mailboxes=[models.NamedHealth(**dict(mailbox_health(each)), **_named(each.of)) for each in mailboxes],
        senders=[
            models.SenderHealth(**_named(each.of), level=each.level, findings=_findings(each.findings))
            for each in senders
        ],
    )


@router.get("/live", responses={503: {"description": "The app settings are wrong"}})
def get_liveness(request: Request) -> models.Liveness:
    """Whether the app answers and its settings can work; open to all, and without details."""
    ready(request)
    return models.Liveness(status="ok")


def mailbox_health(report: MailboxReport) -> models.MailboxHealth:
    polled = asdict(report.state) | {"last_error": _failure(report.state)}
    return models.MailboxHealth(**polled, level=report.level, findings=_findings(report.findings))


def _broken(response: Response, error: AppError, texts: Sequence[str]) -> models.Health:
    response.status_code = 503
    found = [Finding(Level.ERROR, error.code, each, error.advice) for each in texts]
    return models.Health(level=Level.ERROR, findings=_findings(found))


def _findings(findings: Sequence[Finding]) -> list[models.Finding]:
    return [models.Finding(**asdict(each)) for each in findings]


def _failure(polled: MailboxHealth) -> models.Failure | None:
    if polled.error_code is None:
        return None
    return models.Failure(code=polled.error_code, text=polled.error or "", advice=polled.advice)


def _named(configured: Mailbox | Sender) -> dict[str, Any]:
    return configured.model_dump(include={"id", "name", "enabled"})
