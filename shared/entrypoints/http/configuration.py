"""All configuration as one document, for version control and pipelines (req O11)."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from shared.application import exchange
from shared.application.contacts import Imported
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import Ready, json_bytes, parsed_json, ready

router = APIRouter(prefix="/api/configuration", tags=["configuration"], dependencies=[Depends(ready)])

_MAX_BYTES = 20_000_000
_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
}


class Step(BaseModel):
    """What happens to one part of the configuration; `before` and `after` have what changes, by its path."""

    action: Literal["add", "change", "remove"]
    section: str
    id: str
    name: str
    before: dict[str, Any]
    after: dict[str, Any]


class Plan(BaseModel):
    """What a document changes. Contacts are counted where it has them."""

    digest: str = Field(description="names this plan; it is of no use any more when the configuration changes")
    steps: list[Step]
    contacts: Imported | None


async def _document(request: Request) -> object:
    return parsed_json(await json_bytes(request, ["application/json"], _MAX_BYTES))


ADocument = Annotated[object, Depends(_document)]


@router.get("")
def export_configuration(
    services: Ready, with_contacts: Annotated[bool, Query(alias="contacts")] = False
) -> dict[str, Any]:
    """Secrets are in it by their names. The same configuration gives the same document."""
    return exchange.export(services, contacts=with_contacts)


@router.post("/plan", openapi_extra=_BODY)
def plan_configuration(document: ADocument, services: Ready) -> Plan:
    """What the document would change; nothing is. A section that it has is complete: what is stored and not in it would
    be removed. Sections that it does not have stay as they are; contacts are never removed.
    """
    return _shown(exchange.plan(services, document))


@router.post("/apply", openapi_extra=_BODY, responses=described(412))
def apply_configuration(
    document: ADocument, services: Ready, digest: Annotated[str, Query(description="that of the plan")]
) -> Plan:
    """Make the changes of a plan, for the same document. Should that break off, what is left can be planned again."""
    return _shown(exchange.apply(services, document, digest))


def _shown(plan: exchange.Plan) -> Plan:
    return Plan(digest=plan.digest, steps=[_step(each) for each in plan.steps], contacts=plan.contacts)


def _step(step: exchange.Step) -> Step:
    before, after = step.differences()
    found = step.document
    return Step(
        action=step.action, section=step.section, id=found.id, name=found.name, before=dict(before), after=dict(after)
    )
