"""The operations on templates (req M5)."""

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from shared.application.sending_configuration import TEMPLATES, previewed
from shared.domain.templates import Rendered, Template, TemplateSettings
from shared.entrypoints.http.configured import add_operations
from shared.entrypoints.http.requests import JsonBody, Ready, json_body, ready

router = APIRouter(prefix="/api/templates", tags=["senders"], dependencies=[Depends(ready)])


class Templates(BaseModel):
    templates: list[Template]


@router.get("")
def list_templates(services: Ready) -> Templates:
    """Those of your own; for all others there are built-in texts."""
    return Templates(templates=[each.value for each in services.templates.all()])


@router.post("/preview", openapi_extra=json_body(TemplateSettings))
def preview_template(body: JsonBody, _: Ready) -> Rendered:
    """How a message would look, with made-up values; nothing is stored. A template that cannot work is refused, with
    each line and reason.
    """
    return previewed(body)


add_operations(router, TEMPLATES, Template, lambda _, stored: stored)
