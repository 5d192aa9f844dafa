"""The settings of the whole installation: email to ticket on or off (req O10), and who is alerted."""

from fastapi import APIRouter, Depends, Response

from shared.application import configuration
from shared.application.installation import INSTALLATION, for_editing
from shared.domain.installation import Installation, InstallationSettings
from shared.entrypoints.http.answers import with_etag
from shared.entrypoints.http.requests import IfMatch, JsonBody, Ready, json_body, ready

router = APIRouter(prefix="/api/installation", tags=["health"], dependencies=[Depends(ready)])


@router.get("")
def get_installation(services: Ready, response: Response) -> Installation:
    return with_etag(response, for_editing(services))


@router.put("", openapi_extra=json_body(InstallationSettings))
def replace_installation(if_match: IfMatch, data: JsonBody, services: Ready, response: Response) -> Installation:
    """All settings are replaced; what is left out gets its default. Polls that begin some seconds later heed it."""
    current = for_editing(services)
    if_match.require(current.etag)
    return with_etag(response, configuration.replace(services, INSTALLATION, current, data))
