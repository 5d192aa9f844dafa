"""The seam to Entra ID: every answer that is a refusal is raised here, before MSAL puts it into words of its own."""

from collections.abc import Mapping
from typing import Any

import requests

from shared.adapters.entra_errors import refusal
from shared.adapters.https import Session, network_errors, retry_after


class EntraSession(Session):
    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """:raises AppError: whatever keeps Entra ID from answering with what was asked for."""
        with network_errors("Entra ID"):
            response = super().request(*args, **kwargs)
        if response.status_code >= 400:
            raise refusal(response.status_code, _body(response), retry_after(response.headers))
        return response


def _body(response: requests.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except requests.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
