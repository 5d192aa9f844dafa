"""The operations on ticket types (req K7)."""

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from shared.application.ticket_types import TICKET_TYPES
from shared.domain.ticket_types import TicketType, TicketTypeSettings, all_types
from shared.entrypoints.http.configured import add_operations
from shared.entrypoints.http.requests import Ready, ready

router = APIRouter(prefix="/api/ticket-types", tags=["tickets"], dependencies=[Depends(ready)])


class TicketTypes(BaseModel):
    """By their ids: the built-in ones, which cannot be changed, and those that people made."""

    ticket_types: dict[str, TicketTypeSettings]


@router.get("")
def list_ticket_types(services: Ready) -> TicketTypes:
    found = all_types(each.value for each in services.ticket_types.all())
    return TicketTypes(ticket_types={key: TicketTypeSettings.model_validate(dict(each)) for key, each in found.items()})


add_operations(router, TICKET_TYPES, TicketType, lambda _, stored: stored)
