"""The settings of the whole installation: email to ticket on or off (req O10), and who is alerted."""

from fastapi import APIRouter, Depends, Response

from shared.application import configuration
from shared.application.installation import INSTALLATION, for_editing
from shared.application.ports.stores import Versioned
from shared.domain.installation import Installation
from shared.entrypoints.http.configured import BODY_ERRORS
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import IfMatch, JsonBody, Ready, etag, json_body, ready

router = APIRouter(prefix="/api/installation", tags=["health"], dependencies=[Depends(ready)])


@router.get("")
def get_installation(services: Ready, response: Response) -> Installation:
    return _answer(for_editing(services), response)


@router.put("", openapi_extra=json_body("InstallationSettings"), responses=described(412, 428, *BODY_ERRORS))
def replace_installation(if_match: IfMatch, data: JsonBody, services: Ready, response: Response) -> Installation:
    """All settings are replaced; what is left out gets its default. Polls that begin some seconds later heed it."""
    current = for_editing(services)
    if_match.require(current.etag)
    return _answer(configuration.replace(services, INSTALLATION, current, data), response)


def _answer(versioned: Versioned[Installation], response: Response) -> Installation:
    response.headers["ETag"] = etag(versioned.etag)
    return versioned.value
