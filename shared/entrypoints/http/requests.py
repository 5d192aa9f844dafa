"""What is read from a request before a use case sees it: the body, and the version that a change is meant for."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request
from pydantic import BaseModel
from pydantic_core import from_json
from starlette.exceptions import HTTPException

from shared.application.services import Services
from shared.domain.errors import Invalid, PreconditionFailed, Problem, SettingsError
from shared.entrypoints.http.answers import etag
from shared.mime.headers import one_line

_MAX_BYTES = 1_000_000


def ready(request: Request) -> Services:
    """As they are for whoever calls. :raises SettingsError: nothing is served while the app settings are wrong."""
    services: Services | SettingsError = request.app.state.services
    if isinstance(services, SettingsError):
        raise services
    return replace(services, caller=caller(request))


Ready = Annotated[Services, Depends(ready)]
Limit = Annotated[int, Query(ge=1, le=200)]
Continuation = Annotated[str | None, Query(description="from the answer before; opaque")]


def _correlation_id(request: Request) -> str:
    return str(request.state.correlation_id)


CorrelationId = Annotated[str, Depends(_correlation_id)]


def media_type(request: Request, *allowed: str) -> str:
    """That of the body."""
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found not in allowed:
        raise HTTPException(415, f"the body must be {' or '.join(allowed)}")
    return found


async def whole_body(request: Request, max_bytes: int) -> bytes:
    """As it was before a Content-Encoding of gzip, and never much more than the limit in memory."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise HTTPException(415, "the Content-Encoding must be gzip, or none")
    unpacker = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    body = bytearray()
    async for chunk in request.stream():
        body += _unpacked(unpacker, chunk, max_bytes + 1 - len(body)) if unpacker else chunk
        if len(body) > max_bytes:
            raise HTTPException(413, f"the body may have {max_bytes} bytes at most")
    if unpacker and (not unpacker.eof or unpacker.unused_data):
        raise HTTPException(400, "the body is not one whole gzip stream")
    return bytes(body)


def _unpacked(unpacker: "zlib._Decompress", chunk: bytes, max_bytes: int) -> bytes:
    try:
        return unpacker.decompress(chunk, max_bytes)
    except zlib.error as error:
        raise HTTPException(400, "the body is no gzip stream") from error


async def json_bytes(request: Request, content_types: Sequence[str], max_bytes: int) -> bytes:
    media_type(request, *content_types)
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


class Described(dict[str, Any]):
    """What the OpenAPI document says of an operation beside what FastAPI sees; `model` is the shape of its body."""

    model: type[BaseModel]


def json_body(model: type[BaseModel], content_types: Sequence[str] = ("application/json",)) -> Described:
    """The use case checks the body, and finds all problems at once."""
    content = {each: {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}} for each in content_types}
    described = Described(requestBody={"required": True, "content": content})
    described.model = model
    return described


def caller(request: Request) -> str:
    """Who calls, as App Service says where people sign in. Where they do not, whoever has a key says who they are."""
    return one_line(request.headers.get("x-ms-client-principal-name", ""))[:254] or "function key"


class Versions:
    """The versions that a change is meant for: strong ETags, or any version there is (RFC 9110 section 13.1.1)."""

    def __init__(self, if_match: str) -> None:
        self._are_given = bool(if_match)
        self._tags = set(re.findall(r'\*|"[^"]*"', if_match))

    def require(self, stored_etag: str) -> None:
        """Asked where there is something to change: what is not there is not found, whatever the header says."""
        if not self._are_given:
            raise HTTPException(428, "send If-Match with the ETag of the version that you have read")
        if not self._tags & {"*", etag(stored_etag)}:
            raise PreconditionFailed("If-Match names another version than the current one", advice="Read it again.")


def _if_match(
    if_match: Annotated[str, Header(alias="If-Match", description="the ETag of the version that you have read")] = "",
) -> Versions:
    return Versions(if_match)


def _any_or_match(
    if_match: Annotated[
        str | None,
        Header(alias="If-Match", description="the ETag of the version that you have read; any version unless given"),
    ] = None,
) -> Versions | None:
    return None if if_match is None else Versions(if_match)


IfMatch = Annotated[Versions, Depends(_if_match)]
OptionalIfMatch = Annotated[Versions | None, Depends(_any_or_match)]


def _idempotency_key(
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="names this request: sent again under the same key, it changes nothing more and is answered"
            " with what it has made, as that is by then",
        ),
    ] = None,
) -> str | None:
    if key is not None and not 0 < len(key) <= 255:
        raise Invalid([Problem("header.Idempotency-Key", "must have 1 to 255 characters")])
    return key


IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
