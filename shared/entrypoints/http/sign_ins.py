"""The operations on what is secret: writing it, and having people sign in so that it is written."""

from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from shared.application import secret_values, sign_ins
from shared.domain.errors import RequestError
from shared.domain.fields import SecretName
from shared.domain.sign_in import SignInAttempt
from shared.entrypoints.http import models
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import JsonBody, Ready, json_body, ready

router = APIRouter(tags=["secrets"], dependencies=[Depends(ready)])

_PAGE = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Mailroom</title>
<h1>{title}</h1><p>{text}</p><p>You can close this page.</p></html>"""
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


@router.put(
    "/api/secrets/{name}",
    status_code=204,
    openapi_extra=json_body("SecretValue"),
    responses=described(400, 403, 404, 409, 413, 415, 422),
)
def put_secret(name: Annotated[SecretName, Path()], body: JsonBody, services: Ready) -> None:
    """Straight into Key Vault; no operation gives it back. Not possible where the deployment does not allow it."""
    secret_values.store(services, name, body)


@router.post(
    "/api/sign-ins",
    status_code=201,
    openapi_extra=json_body("NewSignIn"),
    responses=described(400, 403, 409, 413, 415, 422),
)
def start_sign_in(body: JsonBody, services: Ready) -> models.StartedSignIn:
    """Open `authorization_url` in a browser within ten minutes. Doing it again changes who has signed in."""
    if not services.settings.public_url:
        raise HTTPException(409, "set PUBLIC_URL: without it browsers do not find the way back")
    attempt, url = sign_ins.start(services, body)
    return models.StartedSignIn(id=attempt.id, expires_at=attempt.expires_at, authorization_url=url)


@router.get("/api/sign-ins/{sign_in_id}", responses=described(404))
def get_sign_in(sign_in_id: Annotated[str, Path(pattern="^[0-9a-f]{64}$")], services: Ready) -> models.SignIn:
    """How it is going."""
    return models.SignIn(**asdict(sign_ins.find(services, sign_in_id)))


@router.get("/hooks/sign-in", include_in_schema=False)
def sign_in_callback(request: Request, services: Ready) -> HTMLResponse:
    """Where the provider sends the browser back to: the one path without a function key, its state is the guard."""
    try:
        attempt = sign_ins.finish(services, _answer(request.query_params))
    except RequestError as error:
        return _page(400, "You are not signed in", f"{error} {error.advice}")
    return _ended(attempt)


def _answer(query: Mapping[str, str]) -> dict[str, str]:
    return {name: query[name] for name in ("state", "code", "error") if name in query}


def _ended(attempt: SignInAttempt) -> HTMLResponse:
    if attempt.status != "done":
        return _page(400, "You are not signed in", f"{attempt.error} {attempt.advice}")
    whose = f" as {attempt.account}" if attempt.account else ""
    return _page(200, f"You are signed in{whose}", "The mailbox can be read from now on.")


def _page(status: int, title: str, text: str) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(title=escape(title), text=escape(text)), status, _PAGE_HEADERS)
