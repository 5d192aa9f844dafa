"""Requests to Microsoft Graph about one mailbox: signed in, four at a time, patient where that is asked for."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from shared.adapters.https import Session, network_errors, retry_after
from shared.adapters.sources.graph_errors import refusal
from shared.adapters.sources.services import SourceServices
from shared.domain.errors import AppError, SourceMisbehaved, SourceUnavailable
from shared.domain.mailbox import Mailbox
from shared.domain.sources import GraphSource

CONCURRENCY = 4
"""Exchange serves so many requests of an app to one mailbox at a time."""

BATCH_REQUESTS = 20
_TRIES = 3
_LONGEST_WAIT = timedelta(seconds=10)
_UNASKED_WAIT = timedelta(seconds=1)
_IMMUTABLE_IDS = 'IdType="ImmutableId"'  # asked for with each request, or ids change with every move


class GraphClient:
    """Safe to use from several threads. Paths begin below the mailbox; links that Graph gave are taken as they are."""

    def __init__(self, mailbox: Mailbox, settings: GraphSource, services: SourceServices) -> None:
        endpoint = services.settings.graph_endpoint
        self.root = f"{endpoint}/v1.0"
        self._user = f"/users/{quote(settings.mailbox or mailbox.address, safe='@')}"
        self.mailbox_url = self.root + self._user
        self._sign_in = settings.sign_in
        self._tokens = services.tokens
        self._session = Session(services.settings)
        self._places = threading.BoundedSemaphore(CONCURRENCY)

    def close(self) -> None:
        self._session.close()

    def sign_in(self) -> None:
        """Have a token, from the cache if there is one."""
        self._tokens.token(self._sign_in, "graph")

    def get(self, path: str, prefer: str = "", /, **options: str | int) -> dict[str, Any]:
        """`options` are those of OData, without their dollar sign."""
        return self._json("GET", path, prefer=prefer, params={f"${name}": value for name, value in options.items()})

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._json("POST", path, json=body)

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._json("PATCH", path, json=body)

    def pages(self, path: str, **options: str | int) -> Iterator[dict[str, Any]]:
        """The items of a list, page by page."""
        page = self.get(path, **options)
        while True:
            yield from items(page)
            if "@odata.nextLink" not in page:
                return
            page = self.get(self.link(page, "@odata.nextLink"))

    def batch(self, parts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The answers to requests (method, url, body), in their order; each is tried only if the one before worked."""
        sent = [
            {
                "id": str(number),
                "headers": {"Content-Type": "application/json", "Prefer": f"{_IMMUTABLE_IDS}, return=minimal"},
                **part,
                "url": self._user + part["url"],
                **({"dependsOn": [str(number - 1)]} if number else {}),
            }
            for number, part in enumerate(parts)
        ]
        answers = self.post(f"{self.root}/$batch", {"requests": sent}).get("responses")
        by_id = {answer.get("id"): answer for answer in answers or () if isinstance(answer, dict)}
        try:
            return [by_id[request["id"]] for request in sent]
        except KeyError as exc:
            raise SourceMisbehaved("Graph left out answers of a batch.") from exc

    @contextmanager
    def stream(self, path: str) -> Iterator[requests.Response]:
        """An answer whose body is read within the block."""
        with self._places, self._sent("GET", path, stream=True) as response:
            yield response

    def link(self, page: Mapping[str, Any], name: str) -> str:
        """A link that Graph gave; only its own host may be given the app's token."""
        link = page[name]
        if not isinstance(link, str) or not self.is_own(link):
            raise SourceMisbehaved("Graph gave a link that leads elsewhere.")
        return link

    def is_own(self, link: str) -> bool:
        ours = urlsplit(self.root)
        try:
            theirs = urlsplit(link)
        except ValueError:
            return False
        return (theirs.scheme, theirs.netloc) == ("https", ours.netloc) and theirs.path.startswith(f"{ours.path}/")

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        with self._places, self._sent(method, path, **options) as response, network_errors("Graph"):
            if not response.content:
                return {}
            body = _parsed(response)
        if not isinstance(body, dict):
            raise SourceMisbehaved("Graph answered with something else than JSON.")
        return body

    def _sent(self, method: str, path: str, prefer: str = "", **options: Any) -> requests.Response:
        """The answer, if it is a success; short waits that Graph asks for are kept here, a rejected token renewed."""
        url = path if path.startswith("https:") else f"{self.mailbox_url}{path}"
        is_token_new = False
        for tries_left in reversed(range(_TRIES)):
            headers = {"Authorization": f"Bearer {self._tokens.token(self._sign_in, 'graph')}"}
            headers["Prefer"] = f"{_IMMUTABLE_IDS}, {prefer}" if prefer else _IMMUTABLE_IDS
            with network_errors("Graph"):
                response = self._session.request(method, url, headers=headers, allow_redirects=False, **options)
            if response.status_code < 300:
                return response
            error = self._refused(response)
            if response.status_code == 401 and not is_token_new:
                self._tokens.forget(self._sign_in, "graph")
                is_token_new = True
            elif isinstance(error, SourceUnavailable) and tries_left and wait_for(error):
                continue
            else:
                raise error
        raise error

    def _refused(self, response: requests.Response) -> AppError:
        with response, network_errors("Graph"):
            return refusal(response.status_code, _parsed(response), retry_after(response.headers))


def wait_for(error: SourceUnavailable) -> bool:
    """Wait as long as the provider asks, if that is short; False where it is not."""
    wait = _UNASKED_WAIT if error.retry_after is None else error.retry_after
    if wait > _LONGEST_WAIT:
        return False
    time.sleep(wait.total_seconds())
    return True


def graph_time(moment: datetime) -> str:
    """For a filter. Graph keeps whole seconds, so a moment within one stands for its beginning."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def items(page: Mapping[str, Any]) -> list[dict[str, Any]]:
    value = page.get("value")
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise SourceMisbehaved("Graph answered without a list where there must be one.")
    return value


def _parsed(response: requests.Response) -> Any:
    try:
        return response.json()
    except requests.JSONDecodeError:
        return None
