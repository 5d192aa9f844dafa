"""The operations on kinds of configuration that are settings and nothing else."""

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from shared.application import configuration
from shared.application.installation import INSTALLATION, for_editing
from shared.application.mailboxes import TICKET_TYPES
from shared.application.sending_configuration import OUTGOING_RULES, TEMPLATES, previewed
from shared.domain.installation import Installation, InstallationSettings
from shared.domain.outgoing_rules import OutgoingRule
from shared.domain.templates import Rendered, Template, TemplateSettings
from shared.domain.ticket_types import TicketType, TicketTypeSettings, all_types
from shared.entrypoints.http.answers import with_etag
from shared.entrypoints.http.configured import add_operations
from shared.entrypoints.http.requests import IfMatch, JsonBody, Ready, json_body, ready

installation = APIRouter(prefix="/api/installation", tags=["health"], dependencies=[Depends(ready)])
outgoing_rules = APIRouter(prefix="/api/outgoing-rules", tags=["senders"], dependencies=[Depends(ready)])
templates = APIRouter(prefix="/api/templates", tags=["senders"], dependencies=[Depends(ready)])
ticket_types = APIRouter(prefix="/api/ticket-types", tags=["tickets"], dependencies=[Depends(ready)])


@installation.get("")
def get_installation(services: Ready, response: Response) -> Installation:
    """Email to ticket on or off (req O10), and who is alerted."""
    return with_etag(response, for_editing(services))


@installation.put("", openapi_extra=json_body(InstallationSettings))
def replace_installation(if_match: IfMatch, data: JsonBody, services: Ready, response: Response) -> Installation:
    """All settings are replaced; what is left out gets its default. Polls that begin some seconds later heed it."""
    current = for_editing(services)
    if_match.require(current.etag)
    return with_etag(response, configuration.replace(services, INSTALLATION, current, data))


class OutgoingRules(BaseModel):
    outgoing_rules: list[OutgoingRule]


@outgoing_rules.get("")
def list_outgoing_rules(services: Ready) -> OutgoingRules:
    """In the order in which they are tried (req M4)."""
    found = [each.value for each in services.outgoing_rules.all()]
    return OutgoingRules(outgoing_rules=sorted(found, key=lambda each: (each.position, each.name)))


class Templates(BaseModel):
    templates: list[Template]


@templates.get("")
def list_templates(services: Ready) -> Templates:
    """Those of your own; for all others there are built-in texts (req M5)."""
    return Templates(templates=[each.value for each in services.templates.all()])


@templates.post("/preview", openapi_extra=json_body(TemplateSettings))
def preview_template(body: JsonBody, _: Ready) -> Rendered:
    """How a message would look, with made-up values. Nothing is stored. A template that cannot work is refused, with
    each line and reason.
    """
    return previewed(body)


class TicketTypes(BaseModel):
    """By their ids: the built-in ones, which cannot be changed, and those that people made."""

    ticket_types: dict[str, TicketTypeSettings]


@ticket_types.get("")
def list_ticket_types(services: Ready) -> TicketTypes:
    """They give tickets fields of their own (req K7)."""
    return TicketTypes(ticket_types=dict(all_types(each.value for each in services.ticket_types.all())))


add_operations(outgoing_rules, OUTGOING_RULES, OutgoingRule, lambda _, stored: stored)
add_operations(templates, TEMPLATES, Template, lambda _, stored: stored)
add_operations(ticket_types, TICKET_TYPES, TicketType, lambda _, stored: stored)
