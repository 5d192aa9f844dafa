"""What is read from a request before a use case sees it: the JSON body and the version that a change is meant for."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from pydantic_core import from_json
from starlette.exceptions import HTTPException

from shared.application.services import Services
from shared.domain.errors import PreconditionFailed, SettingsError
from shared.mime.headers import one_line

_MAX_BYTES = 1_000_000


def ready(request: Request) -> Services:
    """As they are for whoever calls. :raises SettingsError: nothing is served while the app settings are wrong."""
    services: Services | SettingsError = request.app.state.services
    if isinstance(services, SettingsError):
        raise services
    return replace(services, caller=caller(request))


Ready = Annotated[Services, Depends(ready)]


def _correlation_id(request: Request) -> str:
    return str(request.state.correlation_id)


CorrelationId = Annotated[str, Depends(_correlation_id)]


async def whole_body(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise HTTPException(413, f"the body may have {max_bytes} bytes at most")
    return bytes(body)


async def json_bytes(request: Request, content_types: Sequence[str], max_bytes: int) -> bytes:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in content_types:
        raise HTTPException(415, f"the body must be {' or '.join(content_types)}")
    return await whole_body(request, max_bytes)


async def _json_body(request: Request) -> object:
    return parsed_json(await json_bytes(request, ["application/json"], _MAX_BYTES))


def parsed_json(body: bytes) -> object:
    try:
        parsed: object = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise HTTPException(400, "the body is no JSON text (RFC 8259)") from error
    return parsed


JsonBody = Annotated[object, Depends(_json_body)]


def json_body(schema: str, content_types: Sequence[str] = ("application/json",)) -> dict[str, Any]:
    """For the OpenAPI document: the body is checked by the use case, which finds all problems at once."""
    content = {each: {"schema": {"$ref": f"#/components/schemas/{schema}"}} for each in content_types}
    return {"requestBody": {"required": True, "content": content}}


def caller(request: Request) -> str:
    """Who calls, as App Service says where people sign in. Where they do not, whoever has a key says who they are."""
    return one_line(request.headers.get("x-ms-client-principal-name", ""))[:254] or "function key"


class Versions:
    """The versions that a change is meant for: strong ETags, or any version there is (RFC 9110 section 13.1.1)."""

    def __init__(self, if_match: str) -> None:
        self._tags = set(re.findall(r'\*|"[^"]*"', if_match))

    def require(self, stored_etag: str) -> None:
        if not self._tags & {"*", etag(stored_etag)}:
            raise PreconditionFailed("If-Match names another version than the current one", advice="Read it again.")


def _if_match(
    if_match: Annotated[str, Header(alias="If-Match", description="the ETag of the version that you have read")],
) -> Versions:
    return Versions(if_match)


IfMatch = Annotated[Versions, Depends(_if_match)]


def etag(stored_etag: str) -> str:
    """As HTTP wants it; proxies that compress may put `W/` before it, which is looked over when it comes back."""
    return f'"{hashlib.sha256(stored_etag.encode()).hexdigest()[:32]}"'
