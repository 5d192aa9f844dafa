"""The operations on outgoing rules (req M4)."""

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from shared.application.sending_configuration import OUTGOING_RULES
from shared.domain.outgoing_rules import OutgoingRule
from shared.entrypoints.http.configured import add_operations
from shared.entrypoints.http.requests import Ready, ready

router = APIRouter(prefix="/api/outgoing-rules", tags=["senders"], dependencies=[Depends(ready)])


class OutgoingRules(BaseModel):
    outgoing_rules: list[OutgoingRule]


@router.get("")
def list_outgoing_rules(services: Ready) -> OutgoingRules:
    """In the order in which they are tried."""
    found = [each.value for each in services.outgoing_rules.all()]
    return OutgoingRules(outgoing_rules=sorted(found, key=lambda each: (each.position, each.name)))


add_operations(router, OUTGOING_RULES, OutgoingRule, lambda _, stored: stored)
