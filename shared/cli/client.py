"""Calls to the API: where it is, the key that opens it, and what its refusals say."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests

RUNNING = Path(".local", "run.json")
"""Where `make run` leaves the address and the key of the API that it has started."""
_SECONDS = (10, 250)
"""To connect; and for an answer, which a connection test of several stages may take long to give."""


class Failed(Exception):
    """What was asked for was refused, or came out badly."""

    exit_code = 1


class Misused(Failed):
    """The command makes no sense."""

    exit_code = 2


class Unavailable(Failed):
    """The API is out of reach, or not working: the same command may succeed later."""

    exit_code = 3


def connect(environment: Mapping[str, str]) -> "Api":
    """:raises Misused: it is not said where the API is, or the key would go over the network in clear."""
    found = json.loads(RUNNING.read_text()) if "MAILROOM_URL" not in environment and RUNNING.exists() else {}
    url = environment.get("MAILROOM_URL") or found.get("url", "")
    key = environment.get("MAILROOM_KEY") or found.get("key", "")
    if not url or not key:
        raise Misused(f"set MAILROOM_URL and MAILROOM_KEY, or begin `make run`, which leaves both in {RUNNING}")
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise Misused("MAILROOM_URL must begin with https://, or the key can be read on its way")
    return Api(url, key)


class Api:
    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.headers["x-functions-key"] = key

    def get(self, path: str, **query: Any) -> Any:
        return _json(self.call("GET", path, params=query))

    def post(self, path: str, **options: Any) -> Any:
        return _json(self.call("POST", path, **options))

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """:raises Failed:"""
        try:  # a redirect would take the key elsewhere
            answer = self._session.request(
                method, f"{self._url}/api/{path}", timeout=_SECONDS, allow_redirects=False, **options
            )
        except requests.RequestException as error:
            raise Unavailable(f"{self._url} cannot be reached: {type(error).__name__}") from error
        if not 200 <= answer.status_code < 300:
            kind = Unavailable if answer.status_code >= 500 or answer.status_code == 429 else Failed
            raise kind("\n".join(_refusal(answer)))
        return answer

    def mailbox(self, named: str) -> str:
        """The id of a mailbox that is named by its id, its prefix or its name. :raises Failed: there is none."""
        for each in self.get("mailboxes")["mailboxes"]:
            if named.casefold() in (each["id"], each["ticket_prefix"].casefold(), each["name"].casefold()):
                return quote(each["id"])
        raise Failed(f"there is no mailbox {named}")


def _json(answer: requests.Response) -> Any:
    """:raises Unavailable: whoever answers there is not Mailroom."""
    try:
        return answer.json()
    except requests.JSONDecodeError as error:
        raise Unavailable(f"{urlsplit(answer.url).netloc} answers with no JSON: is that Mailroom?") from error


def _refusal(answer: requests.Response) -> Iterator[str]:
    """What problem details say (RFC 9457); of anything else its status."""
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        yield f"{answer.status_code} {answer.reason}"
        return
    problem = answer.json()
    yield f"{problem['title']}: {problem['detail']}"
    yield from (f"  {each['path']}: {each['message']}" for each in problem.get("problems", ()))
    yield from (f"{name}: {problem[name]}" for name in ("advice", "correlation_id") if name in problem)
