"""What answers have in common: versions, pages of lists, files, and pages for people."""

import hashlib
import re
from collections.abc import Sequence
from html import escape
from typing import Self, TypeVar
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from shared.application.ports.connections import CheckStage
from shared.application.ports.stores import Versioned

ETAG = {"headers": {"ETag": {"description": "the version of what is stored", "schema": {"type": "string"}}}}
"""For the OpenAPI document."""

_HTML = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Mailroom</title>
<meta name="viewport" content="width=device-width"><h1>{title}</h1>{rest}</html>"""
_HTML_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}

T = TypeVar("T")


class Page(BaseModel):
    continuation: str | None = Field(description="asks for the next page; null where there is none")


class ConnectionTestResult(BaseModel):
    ok: bool
    stages: Sequence[CheckStage]

    @classmethod
    def of(cls, stages: Sequence[CheckStage]) -> Self:
        return cls(ok=all(each.ok for each in stages), stages=stages)


def etag(stored_etag: str) -> str:
    """As HTTP wants it; proxies that compress may put `W/` before it, which is looked over when it comes back."""
    return f'"{hashlib.sha256(stored_etag.encode()).hexdigest()[:32]}"'


def with_etag(response: Response, versioned: Versioned[T]) -> T:
    """The value; the answer says which version of it that is."""
    response.headers["ETag"] = etag(versioned.etag)
    return versioned.value


def download(content: bytes, name: str, media_type: str) -> Response:
    """Saved under its name (RFC 6266), which older clients are told without what they may misread."""
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", name)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    return Response(content, headers={"Content-Type": media_type, "Content-Disposition": disposition})


def page(status: int, title: str, rest: str) -> HTMLResponse:
    """For browsers; `rest` is HTML."""
    return HTMLResponse(_HTML.format(title=escape(title), rest=rest), status, _HTML_HEADERS)
