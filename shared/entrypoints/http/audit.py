"""Reading who changed what (req O6); nothing here changes it."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, BaseModel, Field
from starlette.exceptions import HTTPException

from shared.application.auditing import audited
from shared.domain.audit import AuditFilter, AuditOutcome
from shared.domain.errors import AppError
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import Ready, ready

router = APIRouter(prefix="/api/audit", tags=["configuration"], dependencies=[Depends(ready)])

Text = Annotated[str | None, Query(max_length=254)]


class AuditEntry(BaseModel):
    """One change. Secrets are there by their names; what is personal, and what is long, is not shown in full."""

    at: datetime
    by: str = Field(description="who has signed in, or `function key`")
    action: str
    kind: str
    subject: str = Field(description="the id of what was changed; of a contact it is made from the address")
    before: dict[str, Any] = Field(description="what has changed, by its path")
    after: dict[str, Any]
    outcome: AuditOutcome = Field(description="`begun` where it was broken off: the change was made or not")


class Audit(BaseModel):
    """Newest first; `continuation` asks for the next page, None says that there is none."""

    entries: list[AuditEntry]
    continuation: str | None


@router.get("", responses=described(422))
def list_audit(
    services: Ready,
    *,
    who: Text = None,
    kind: Text = None,
    subject: Annotated[str | None, Query(alias="id", max_length=254)] = None,
    since: AwareDatetime | None = None,
    until: Annotated[AwareDatetime | None, Query(description="changes before then")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    continuation: Annotated[str | None, Query(max_length=2000, description="from the answer before")] = None,
) -> Audit:
    """Those that all of the parameters admit. A page may be short, or empty, although there is another."""
    wanted = AuditFilter(who, kind, subject, since, until)
    found, more = services.audit.list(wanted, limit, continuation)
    return Audit(entries=[AuditEntry(**asdict(each)) for each in found], continuation=more)


def acts(kind: str, action: str) -> Any:
    """For operations that do something to what their path names: it is on record before they do (`dependencies`)."""

    def recorded(request: Request, services: Ready) -> Iterator[None]:
        subject = "/".join(map(str, request.path_params.values()))
        with audited(services, kind, subject, action, refusals=(AppError, HTTPException)):
            yield

    return Depends(recorded)
