"""The health of the deployment and of each mailbox; the one operation that works while the app settings are wrong."""

from collections.abc import Sequence
from dataclasses import asdict

from fastapi import APIRouter, Request, Response

from shared.application.health import MailboxReport, MailboxStatus, deployment_findings, reports
from shared.application.sender_health import sender_reports
from shared.domain.errors import SettingsError, StoreError
from shared.domain.health import Finding, Level, MailboxHealth, worst
from shared.entrypoints.http import models
from shared.entrypoints.http.requests import ready

router = APIRouter(prefix="/api/health", tags=["health"])


@router.get("", responses={503: {"model": models.Health, "description": "Broken: the problems tell what is wrong"}})
def get_health(request: Request, response: Response) -> models.Health:
    """Whether the deployment works, and how each mailbox and each sender is doing."""
    try:
        services = ready(request)
        mailboxes, senders = reports(services), sender_reports(services)
        findings = [*deployment_findings(services)]
    except SettingsError as error:
        return _broken(response, error.problems)
    except StoreError as error:
        return _broken(response, [f"{error} {error.advice}".strip()])
    failing = any(each.status is MailboxStatus.FAILING for each in mailboxes)
    return models.Health(
        status="failing" if failing else "ok",
        level=worst(each.level for parts in (findings, mailboxes, senders) for each in parts),
        findings=_findings(findings),
        mailboxes=[_named(each) for each in mailboxes],
        senders=[
            models.SenderHealth(
                id=each.sender.id,
                name=each.sender.name,
                enabled=each.sender.enabled,
                level=each.level,
                findings=_findings(each.findings),
            )
            for each in senders
        ],
    )


@router.get("/live", responses={503: {"description": "The app settings are wrong"}})
def get_liveness(request: Request) -> models.Liveness:
    """Whether the app answers and its settings can work; open to all, and without details."""
    ready(request)
    return models.Liveness(status="ok")


def _broken(response: Response, problems: Sequence[str]) -> models.Health:
    response.status_code = 503
    return models.Health(status="broken", level=Level.ERROR, problems=list(problems))


def _findings(findings: Sequence[Finding]) -> list[models.Finding]:
    return [models.Finding(**asdict(each)) for each in findings]


def mailbox_health(report: MailboxReport) -> models.MailboxHealth:
    polled = asdict(report.polled) | {"last_error": _failure(report.polled)} if report.polled else {}
    findings = _findings(report.findings)
    return models.MailboxHealth(**polled, status=report.status, level=report.level, findings=findings)


def _failure(polled: MailboxHealth) -> models.Failure | None:
    if polled.error_code is None:
        return None
    return models.Failure(code=polled.error_code, text=polled.error or "", advice=polled.advice)


def _named(report: MailboxReport) -> models.NamedHealth:
    mailbox = report.mailbox
    return models.NamedHealth(**dict(mailbox_health(report)), id=mailbox.id, name=mailbox.name, enabled=mailbox.enabled)
