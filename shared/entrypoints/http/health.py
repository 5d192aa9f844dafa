"""The health of the deployment and of each mailbox; the one operation that works while the app settings are wrong."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from shared.application.alerts import untold
from shared.application.health import MailboxReport, deployment_findings, mailbox_reports, sender_reports
from shared.domain import health
from shared.domain.errors import AppError, SettingsError, StoreError
from shared.domain.health import Backlog, Finding, Level, worst
from shared.domain.mailbox import Mailbox
from shared.domain.senders import Sender
from shared.entrypoints.http.requests import ready

router = APIRouter(prefix="/api/health", tags=["health"])


class Failure(BaseModel):
    """Why the last poll failed, and what to do about it."""

    code: str
    text: str
    advice: str | None


class MailboxHealth(BaseModel):
    """How a mailbox is doing: `level` is the worst of its findings. `next_due_at` and `last_polled_at` are None before
    its first poll, which comes within a minute. While a poll is queued, `next_due_at` is when that one counts as lost.
    """

    level: Level
    next_due_at: datetime | None = None
    last_polled_at: datetime | None = None
    last_success_at: datetime | None = None
    consecutive_failures: int = 0
    last_error: Failure | None = None
    last_outcomes: dict[str, int] = {}
    secret_expires_at: datetime | None = None
    backlog: Backlog | None = None
    findings: tuple[Finding, ...]


class NamedHealth(MailboxHealth):
    """How one mailbox of the list is doing."""

    id: str
    name: str
    enabled: bool


class SenderHealth(BaseModel):
    """How one sender is doing: `level` is the worst of its findings."""

    id: str
    name: str
    enabled: bool
    level: Level
    findings: tuple[Finding, ...]


class Health(BaseModel):
    """`level` is the worst of all findings: those about the deployment as a whole, which are here, and those of each
    mailbox and sender. Where nothing works, because the app settings are wrong or the storage cannot be reached, only
    the findings that tell why are there.
    """

    level: Level
    findings: tuple[Finding, ...] = ()
    mailboxes: list[NamedHealth] = []
    senders: list[SenderHealth] = []


class Liveness(BaseModel):
    status: Literal["ok"]


@router.get("", responses={503: {"model": Health, "description": "Nothing works: the findings tell why"}})
def get_health(request: Request, response: Response) -> Health:
    """Whether the deployment works, and how each mailbox and each sender is doing."""
    try:
        services = ready(request)
        mailboxes, senders = mailbox_reports(services), sender_reports(services)
        findings = [*deployment_findings(services), *untold(services, mailboxes, senders)]
    except SettingsError as error:
        return _broken(response, error, error.problems)
    except StoreError as error:
        return _broken(response, error, [str(error)])
    return Health(
        level=worst(each.level for parts in (findings, mailboxes, senders) for each in parts),
        findings=tuple(findings),
        mailboxes=[NamedHealth(**dict(mailbox_health(each)), **_named(each.of)) for each in mailboxes],
        senders=[SenderHealth(**_named(each.of), level=each.level, findings=each.findings) for each in senders],
    )


@router.get("/live", responses={503: {"description": "The app settings are wrong"}})
def get_liveness(request: Request) -> Liveness:
    """Whether the app answers and its settings can work; open to all, and without details."""
    ready(request)
    return Liveness(status="ok")


def mailbox_health(report: MailboxReport) -> MailboxHealth:
    polled = asdict(report.state) | {"last_error": _failure(report.state)}
    return MailboxHealth(**polled, level=report.level, findings=report.findings)


def _broken(response: Response, error: AppError, texts: Sequence[str]) -> Health:
    response.status_code = 503
    found = [Finding(Level.ERROR, error.code, each, error.advice) for each in texts]
    return Health(level=Level.ERROR, findings=tuple(found))


def _failure(polled: health.MailboxHealth) -> Failure | None:
    if polled.error_code is None:
        return None
    return Failure(code=polled.error_code, text=polled.error or "", advice=polled.advice)


def _named(configured: Mailbox | Sender) -> dict[str, Any]:
    return configured.model_dump(include={"id", "name", "enabled"})
