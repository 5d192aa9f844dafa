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
from shared.adapters.tls import start_tls
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CredentialsRejected,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
    Throttled,
)
from shared.domain.fields import Tls
from shared.settings import Settings

_LONGEST_ANSWER = 100_000
_TIMEOUTS = Timeouts()
_CHECK_URL = "Check the token URL."
_ADMINISTRATOR = "Have an administrator of the organisation allow the client."
SIGN_IN_AGAIN = "Sign in again, as whoever may read the mailbox."

Errors = Mapping[str, tuple[type[AppError], str, str]]

ERRORS: Errors = {
    "access_denied": (AccessDenied, "the person at the browser did not agree", "Sign in again, and agree."),
    "admin_policy_enforced": (AccessDenied, "the domain's policy blocks the client", _ADMINISTRATOR),
    "consent_required": (AccessDenied, "an administrator must allow the client", _ADMINISTRATOR),
    "invalid_client": (CredentialsRejected, "client id or client secret are wrong", "Check both."),
    "invalid_grant": (CredentialsRejected, "what was allowed has expired or was revoked", SIGN_IN_AGAIN),
    "invalid_scope": (SourceMisconfigured, "it knows no such scope, or did not grant it", "Check the scopes."),
    "redirect_uri_mismatch": (
        SourceMisconfigured,
        "the redirect URL is not registered for the client",
        "Register PUBLIC_URL followed by /hooks/sign-in as a redirect URL of the client.",
    ),
    "server_error": (SourceUnavailable, "it is out of order", "Try again later."),
    "temporarily_unavailable": (SourceUnavailable, "it is out of order", "Try again later."),
    "unauthorized_client": (AccessDenied, "the client may not sign in this way", "Allow it for the client."),
}
"""What a provider refuses, by its error code (RFC 6749 sections 4.1.2.1 and 5.2)."""


_KEY = "Store the service account's key in Key Vault as the JSON file that Google gave."
_DELEGATE = (
    "In the Google Admin console, under API controls, Domain-wide delegation, grant the client id of the service"
    " account https://www.googleapis.com/auth/gmail.modify to read by the Gmail API, https://mail.google.com/ for IMAP"
    " and POP3. It may take a day to work."
)
GOOGLE_SERVICE_ERRORS: Errors = {
    "admin_policy_enforced": (AccessDenied, "the domain's policy blocks it", "Have an administrator allow the app."),
    "disabled_client": (
        CredentialsRejected,
        "it is disabled",
        "Enable the service account in the Google Cloud console.",
    ),
    "invalid_client": (CredentialsRejected, "it is not known", f"Check that the service account exists. {_KEY}"),
    "invalid_grant": (
        CredentialsRejected,
        "its key, its time or the account it acts for is wrong",
        f"Check that the key was not deleted and that the account exists in the domain. {_KEY}",
    ),
    "invalid_scope": (SourceMisconfigured, "the scope is unknown", "Enable the Gmail API for the project."),
    "unauthorized_client": (AccessDenied, "it may not act for accounts of the domain", _DELEGATE),
}
"""What Google refuses to a service account."""


def post_form(url: str, form: Mapping[str, str], settings: Settings) -> dict[str, Any]:
    """The answer, if it is a success. :raises AppError: what kept the provider from giving one."""
    parts = urlsplit(url)
    deadline = Deadline(_TIMEOUTS)
    sock = connect(resolve(parts.hostname or "", parts.port or 443, settings), deadline)
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
    if isinstance(error, str) and error in ERRORS:
        return refused("The sign-in service refuses", ERRORS, error)
    if isinstance(error, str) and re.fullmatch("[a-z_]{3,40}", error):
        otherwise = error
    return CredentialsRejected(f"The sign-in service refuses with {otherwise}.", advice=SIGN_IN_AGAIN)


def refused(who: str, errors: Errors, code: str) -> AppError:
    kind, what, advice = errors[code]
    return kind(f"{who}: {what} ({code}).", advice=advice)


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
