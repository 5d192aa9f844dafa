"""Everything that is not a success is answered as problem details (RFC 9457)."""

import logging
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import compile_path

from shared.application.ports.tickets import Fenced
from shared.application.validation import message
from shared.domain import errors
from shared.telemetry import Event, emit

MEDIA_TYPE = "application/problem+json"

_STATUS: dict[type[Exception], int] = {
    errors.AppError: 500,
    errors.SettingsError: 503,
    errors.MailboxError: 422,
    errors.SecretsReadOnly: 403,
    errors.SourceError: 502,
    errors.SourceUnavailable: 503,
    errors.StoreUnavailable: 503,
    errors.StoreRejected: 422,
    errors.WrittenByNewer: 503,
    errors.Conflict: 409,
    errors.RequestError: 400,
    errors.Invalid: 422,
    errors.NotFound: 404,
    errors.PreconditionFailed: 412,
}
_TITLES = {
    400: "Bad request",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Not possible now",
    412: "Changed meanwhile",
    413: "Too large",
    415: "Unsupported media type",
    422: "Invalid",
    428: "If-Match is required",
    500: "Internal error",
    502: "The mail server misbehaves",
    503: "Not available now",
}

_CODES = str.maketrans(" -", "__")


class Problem(BaseModel):
    """One thing that is wrong, and where."""

    path: str = Field(description="a JSON path into the body, or `query.` and a parameter", examples=["$.source.port"])
    message: str


class ProblemDetails(BaseModel):
    """Why a request was not served (RFC 9457)."""

    type: str = Field(description="tells the kinds of problems apart; stable", examples=["urn:mailroom:invalid"])
    title: str
    status: int
    detail: str
    problems: list[Problem] | None = Field(default=None, description="all that is wrong with the request")
    advice: str | None = Field(default=None, description="what to do about it")
    correlation_id: str | None = Field(default=None, description="finds what happened in the log")


_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}

ANY_PROBLEM: dict[int | str, dict[str, Any]] = {"default": {"description": "Not served", "content": _CONTENT}}
"""For the OpenAPI document: what every operation may answer."""


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document: what an operation answers where it does not succeed."""
    return {status: {"description": _TITLES[status], "content": _CONTENT} for status in statuses}


def answer(status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    title = _TITLES.get(status, "Not served")
    details = ProblemDetails(type=f"urn:mailroom:{code}", title=title, status=status, detail=detail, **more)
    return JSONResponse(details.model_dump(exclude_none=True), status, headers, MEDIA_TYPE)


async def app_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.AppError)
    if isinstance(error, errors.Invalid):
        return invalid([Problem(path=each.path, message=each.message) for each in error.problems])
    status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    detail = "/api/health tells what is wrong" if isinstance(error, errors.SettingsError) else str(error)
    more = {"advice": error.advice or None}
    if status >= 500:
        emit(Event.REQUEST_FAILED, level=logging.WARNING, code=error.code, status=status)
        more["correlation_id"] = request.state.correlation_id
    return answer(status, error.code, detail, headers=_retry_after(error), **more)


def _retry_after(error: errors.AppError) -> dict[str, str]:
    if isinstance(error, Fenced):
        return {"Retry-After": "10"}
    if isinstance(error, errors.SourceUnavailable) and error.retry_after:
        return {"Retry-After": str(int(error.retry_after.total_seconds()) + 1)}
    return {}


async def http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_allowed(request)))
    code = _TITLES.get(error.status_code, "not served").lower().translate(_CODES)
    return answer(error.status_code, code, error.detail, headers=headers)


def _allowed(request: Request) -> set[str]:
    """By all operations at this path; FastAPI tells those of the first."""
    paths = request.app.openapi()["paths"].items()
    here = (operations for path, operations in paths if compile_path(path)[0].match(request.url.path))
    return {method.upper() for operations in here for method in operations}


async def parameters_invalid(_: Request, error: Exception) -> JSONResponse:
    """A path that has the wrong form names nothing that exists."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(each["loc"][0] == "path" for each in found):
        return answer(404, errors.NotFound.code, "there is nothing of that name")
    return invalid([Problem(path=".".join(map(str, each["loc"])), message=message(each)) for each in found])


def invalid(found: list[Problem]) -> JSONResponse:
    return answer(422, errors.Invalid.code, "the problems tell what is wrong", problems=found)
