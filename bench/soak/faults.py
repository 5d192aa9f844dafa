"""Storage that fails: before it has done what it was asked for, and after."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import requests
from requests.adapters import HTTPAdapter

_BEFORE, _AFTER = 0.01, 0.02


@contextmanager
def storage_faults(chance: random.Random) -> Iterator[None]:
    """Of all requests one in a hundred is not served, and one in a hundred is served and answered with 503."""
    send = HTTPAdapter.send

    def failing_send(adapter: HTTPAdapter, request: Any, **options: Any) -> requests.Response:
        luck = chance.random()
        if luck < _BEFORE:
            return _unavailable(request)
        response = send(adapter, request, **options)
        return _unavailable(request) if luck < _AFTER else response

    with patch.object(HTTPAdapter, "send", failing_send):
        yield


def _unavailable(request: Any) -> requests.Response:
    response = requests.Response()
    response.status_code, response.reason, response.request, response.url = 503, "Server Busy", request, request.url
    response._content = b""  # noqa: SLF001 - how requests' own adapters are faked
    response.headers["x-ms-error-code"] = "ServerBusy"
    return response
