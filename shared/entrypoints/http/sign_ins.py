"""The operations on what is secret: writing it, and having people sign in so that it is written."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from html import escape
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from shared.application import secret_values, sign_ins
from shared.domain.errors import RequestError
from shared.domain.fields import SecretName
from shared.domain.sign_in import NewSignIn, SignInAttempt
from shared.entrypoints.http.answers import page
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import JsonBody, Ready, json_body, ready

router = APIRouter(tags=["secrets"], dependencies=[Depends(ready)])


class StartedSignIn(BaseModel):
    id: str
    authorization_url: str = Field(description="for the browser of whoever signs in")
    expires_at: datetime


class SignIn(BaseModel):
    """How a sign-in is going; `account` is who has signed in, where the provider tells."""

    id: str
    status: Literal["waiting", "done", "failed"]
    expires_at: datetime
    account: str
    error: str
    advice: str


@router.put(
    "/api/secrets/{name}",
    status_code=204,
    openapi_extra=json_body(secret_values.SecretValue),
    responses=described(403, 409),
)
def put_secret(name: Annotated[SecretName, Path()], body: JsonBody, services: Ready) -> None:
    """Straight into Key Vault; no operation gives it back. Not possible where the deployment does not allow it."""
    secret_values.store(services, name, body)


@router.post("/api/sign-ins", status_code=201, openapi_extra=json_body(NewSignIn), responses=described(403, 409))
def start_sign_in(body: JsonBody, services: Ready) -> StartedSignIn:
    """Open `authorization_url` in a browser within ten minutes. Doing it again changes who has signed in."""
    if not services.settings.public_url:
        raise HTTPException(409, "set PUBLIC_URL: without it browsers do not find the way back")
    attempt, url = sign_ins.start(services, body)
    return StartedSignIn(id=attempt.id, expires_at=attempt.expires_at, authorization_url=url)


@router.get("/api/sign-ins/{sign_in_id}")
def get_sign_in(sign_in_id: Annotated[str, Path(pattern="^[0-9a-f]{64}$")], services: Ready) -> SignIn:
    """How it is going."""
    return SignIn(**asdict(sign_ins.find(services, sign_in_id)))


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
    return page(status, title, f"<p>{escape(text)}</p><p>You can close this page.</p>")
