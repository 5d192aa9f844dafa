"""One request to a token endpoint that a configuration names (RFC 6749 sections 4.1.3, 5 and 6): guarded, bounded."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode, urlsplit

from shared.adapters.https import retry_after
from shared.adapters.net import Deadline, Timeouts, connect, network_errors, resolve
from shared.adapters.proxy import ProxyAccess
from shared.adapters.refusals import advice, meanings
from shared.adapters.tls import start_tls
from shared.domain.errors import AppError, CredentialsRejected, SourceMisbehaved, SourceUnavailable, Throttled
from shared.domain.fields import Tls
from shared.settings import Settings

_LONGEST_ANSWER = 100_000
_TIMEOUTS = Timeouts()
_CHECK_URL = "Check the token URL."


def post_form(url: str, form: Mapping[str, str], settings: Settings, proxy: ProxyAccess | None) -> dict[str, Any]:
    """The answer, if it is a success. :raises AppError: what kept the provider from giving one."""
    parts = urlsplit(url)
    deadline = Deadline(_TIMEOUTS)
    sock = connect(resolve(parts.hostname or "", parts.port or 443, settings, proxy), deadline)
    deadline.restart(_TIMEOUTS.command)
    connection = HTTPConnection(parts.netloc)
    connection.sock = start_tls(sock, parts.hostname or "", Tls(), settings)
    path = f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}"
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    try:
        with network_errors():
            connection.request("POST", path, urlencode(form), headers)
            answer = connection.getresponse()
            body = json_object(answer.read(_LONGEST_ANSWER))
    except HTTPException as exc:
        raise SourceMisbehaved("The token URL does not speak HTTP.", advice=_CHECK_URL) from exc
    finally:
        connection.close()
    return accepted(answer.status, body, retry_after(dict(answer.headers)))


def accepted(status: int, body: Mapping[str, Any] | None, wait: timedelta | None) -> dict[str, Any]:
    """The body of a success. :raises AppError: it is none."""
    if status == 429:
        raise Throttled("The sign-in service asks us to wait.", retry_after=wait)
    if status >= 500:
        raise SourceUnavailable(f"The sign-in service is out of order ({status}).", retry_after=wait)
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
