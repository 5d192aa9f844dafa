"""Posting to the receivers of webhooks."""

from collections.abc import Mapping

from shared.adapters.https import guarded_endpoint, guarded_post, retry_after
from shared.adapters.net import Timeouts
from shared.application.ports.connections import WebhookAnswer
from shared.settings import Settings

_TIMEOUTS = Timeouts(connect=10, idle=15, command=15)


class HttpsWebhooks:
    """Bodies of answers are not read."""

    def __init__(self, settings: Settings, timeouts: Timeouts = _TIMEOUTS) -> None:
        self._settings = settings
        self._timeouts = timeouts

    def check(self, url: str) -> None:
        guarded_endpoint(url, self._settings)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        answer, _ = guarded_post("The receiver", url, headers, body, self._settings, timeouts=self._timeouts)
        return WebhookAnswer(answer.status, retry_after(answer.headers))
