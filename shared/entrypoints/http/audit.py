"""Reading who changed what (req O6); nothing here changes it."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime
from starlette.exceptions import HTTPException

from shared.application.auditing import audited
from shared.domain.audit import AuditEntry, AuditFilter
from shared.domain.errors import AppError
from shared.entrypoints.http.answers import Page
from shared.entrypoints.http.requests import Continuation, Limit, Ready, ready

router = APIRouter(prefix="/api/audit", tags=["configuration"], dependencies=[Depends(ready)])

Text = Annotated[str | None, Query(max_length=254)]


class Audit(Page):
    """Newest first."""

    entries: Sequence[AuditEntry]


@router.get("")
def list_audit(
    services: Ready,
    *,
    who: Text = None,
    kind: Text = None,
    subject: Annotated[str | None, Query(alias="id", max_length=254)] = None,
    since: AwareDatetime | None = None,
    until: Annotated[AwareDatetime | None, Query(description="changes before then")] = None,
    limit: Limit = 50,
    continuation: Continuation = None,
) -> Audit:
    """Those that all of the parameters admit. A page may be short, or empty, although there is another."""
    wanted = AuditFilter(who, kind, subject, since, until)
    found, more = services.audit.list(wanted, limit, continuation)
    return Audit(entries=found, continuation=more)


def acts(kind: str, action: str) -> Any:
    """For operations that do something to what their path names: it is on record before they do (`dependencies`)."""

    def recorded(request: Request, services: Ready) -> Iterator[None]:
        subject = "/".join(map(str, request.path_params.values()))
        with audited(services, kind, subject, action, refusals=(AppError, HTTPException)):
            yield

    return Depends(recorded)
