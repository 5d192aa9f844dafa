"""Requests to a provider's JSON API about one mailbox: signed in, a few at a time, patient where that is asked for."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar

import requests

from shared.adapters.https import Session, network_errors, retry_after
from shared.adapters.net import Unanswered
from shared.adapters.services import SourceServices
from shared.domain.errors import AppError, OutcomeUnknown, SourceMisbehaved, SourceUnavailable
from shared.domain.sign_in import Purpose, TokenSignIn

CONCURRENCY = 4
"""Exchange serves so many requests of an app to one mailbox at a time; others are asked for no more."""

_LONGEST_WAIT = timedelta(seconds=10)


class RestClient(ABC):
    """Safe to use from several threads. Paths begin below the mailbox; whole addresses are taken as they are."""

    service: ClassVar[str]
    purpose: ClassVar[Purpose]
    waits: ClassVar[Sequence[float]] = (1, 1)
    """Seconds before each further try, where the provider names none."""

    def __init__(self, root: str, mailbox_url: str, sign_in: TokenSignIn, services: SourceServices) -> None:
        self.root = root
        self.mailbox_url = mailbox_url
        self._sign_in = sign_in
        self.services = services
        self._session = Session(services.settings, services.proxy)
        self._places = threading.BoundedSemaphore(CONCURRENCY)

    def close(self) -> None:
        self._session.close()

    def sign_in(self) -> None:
        """Have a token, from the cache if there is one."""
        self.services.tokens.token(self._sign_in, self.purpose)

    @abstractmethod
    def refusal(self, status: int, body: Any, wait: timedelta | None) -> AppError:
        """The error for an answer with this status and JSON body, and for how long it asks to wait."""

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._json("POST", path, json=body)

    def hand_over(self, path: str, content: bytes, content_type: str) -> None:
        """Post what must not be done twice: tried once more only where the token was rejected.

        :raises OutcomeUnknown: there is no answer that tells whether it was done.
        """
        headers = {"Content-Type": content_type}
        try:
            response = self._asked("POST", path, headers, data=content)
            if response.status_code == 401:
                self.services.tokens.forget(self._sign_in)
                response = self._asked("POST", path, headers, data=content)
        except Unanswered as exc:
            raise OutcomeUnknown from exc
        if response.status_code >= 500 and response.status_code != 503:
            raise OutcomeUnknown
        if response.status_code >= 300:
            raise self._refused(response)

    @contextmanager
    def stream(self, path: str) -> Iterator[requests.Response]:
        """An answer whose body is read within the block."""
        with self._places, self._sent("GET", path, stream=True) as response:
            yield response

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        with self._places, self._sent(method, path, **options) as response, network_errors(self.service):
            if not response.content:
                return {}
            body = _parsed(response)
        if not isinstance(body, dict):
            raise SourceMisbehaved(f"{self.service} answered with something else than JSON.")
        return body

    def _sent(self, method: str, path: str, headers: Mapping[str, str] | None = None, **options: Any) -> Any:
        """The answer, if it is a success; short waits that are asked for are kept here, a rejected token renewed."""
        is_token_new = False
        for wait in (*self.waits, None):
            response = self._asked(method, path, headers or {}, **options)
            if response.status_code < 300:
                return response
            error = self._refused(response)
            if response.status_code == 401 and not is_token_new:
                self.services.tokens.forget(self._sign_in)
                is_token_new = True
            elif not isinstance(error, SourceUnavailable) or wait is None or not wait_for(error, wait):
                raise error
        raise error

    def _asked(self, method: str, path: str, headers: Mapping[str, str], **options: Any) -> requests.Response:
        url = path if path.startswith("https:") else f"{self.mailbox_url}{path}"
        bearer = {"Authorization": f"Bearer {self.services.tokens.token(self._sign_in, self.purpose)}"}
        with network_errors(self.service, Unanswered):
            return self._session.request(method, url, headers={**bearer, **headers}, allow_redirects=False, **options)

    def _refused(self, response: requests.Response) -> AppError:
        with response, network_errors(self.service):
            return self.refusal(response.status_code, _parsed(response), retry_after(response.headers))


def wait_for(error: SourceUnavailable, unasked: float = 1) -> bool:
    """Wait as long as the provider asks, if that is short; False where it is not."""
    if error.retry_after is not None and error.retry_after > _LONGEST_WAIT:
        return False
    time.sleep(unasked if error.retry_after is None else error.retry_after.total_seconds())
    return True


def _parsed(response: requests.Response) -> Any:
    try:
        return response.json()
    except requests.JSONDecodeError:
        return None
