"""Configured ticket types (req K7). A mailbox that names one that is gone makes tickets without its fields."""

from shared.application.configuration import Kind
from shared.domain.ticket_types import TicketType, TicketTypeSettings

TICKET_TYPES = Kind(
    noun="ticket type",
    settings=TicketTypeSettings,
    stored=TicketType,
    store=lambda services: services.ticket_types,
)
