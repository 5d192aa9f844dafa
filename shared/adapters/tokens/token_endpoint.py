"""One request to a token endpoint that a configuration names (RFC 6749 sections 4.1.3, 5 and 6): guarded, bounded."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from shared.adapters.https import guarded_post, retry_after
from shared.adapters.proxy import ProxyAccess
from shared.adapters.refusals import advice, busy, meanings
from shared.domain.errors import AppError, CredentialsRejected, SourceMisbehaved
from shared.settings import Settings

_LONGEST_ANSWER = 100_000
_CHECK_URL = "Check the token URL."


def post_form(url: str, form: Mapping[str, str], settings: Settings, proxy: ProxyAccess | None) -> dict[str, Any]:
    """The answer, if it is a success. :raises AppError: what kept the provider from giving one."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    content = urlencode(form).encode()
    answer, body = guarded_post(
        "The token URL", url, headers, content, settings, proxy=proxy, longest_answer=_LONGEST_ANSWER
    )
    return accepted(answer.status, json_object(body), retry_after(answer.headers))


def accepted(status: int, body: Mapping[str, Any] | None, wait: timedelta | None) -> dict[str, Any]:
    """The body of a success. :raises AppError: it is none."""
    if error := busy("The sign-in service", status, wait):
        raise error
    if body is None:
        raise SourceMisbehaved(f"The token URL answers {status} with something else than JSON.", advice=_CHECK_URL)
    if status != 200 or "error" in body:
        raise refusal(body.get("error"), f"error {status}")
    return dict(body)


def refusal(error: object, otherwise: str = "an error of its own") -> AppError:
    """The error for a code that the provider gave; what does not look like a code is not repeated."""
    if isinstance(error, str) and error in meanings("oauth2"):
        return refused("The sign-in service refuses", "oauth2", error)
    if isinstance(error, str) and re.fullmatch("[a-z_]{3,40}", error):
        otherwise = error
    return CredentialsRejected(f"The sign-in service refuses with {otherwise}.", advice=advice("sign_in_again"))


def refused(who: str, table: str, code: str) -> AppError:
    meaning = meanings(table)[code]
    return meaning.error(f"{who}: {meaning.text} ({code}).")


def text(answer: Mapping[str, Any], name: str) -> str:
    """:raises SourceMisbehaved: the provider left it out, or gave what cannot be sent in a header."""
    value = answer.get(name)
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value:
        raise SourceMisbehaved(f"The sign-in service gave no {name.replace('_', ' ')}.")
    return value


def json_object(content: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
