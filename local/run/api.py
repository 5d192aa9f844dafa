"""The HTTP API, called as anybody would."""

from typing import Any

import requests

from local.run.demo import DemoMailbox
from local.run.kept import RunFailed

_SECONDS = 30


class ApiFailed(RunFailed):
    """A call was not answered with success."""


class NoAnswer(ApiFailed):
    """Nobody is there."""


class Api:
    """:raises ApiFailed: at every call."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy on the way to this machine
        self._session.headers["x-functions-key"] = key

    def get(self, path: str, **query: Any) -> Any:
        return self._call("GET", path, params=query).json()

    def get_bytes(self, path: str) -> bytes:
        return self._call("GET", path).content

    def configure(self, mailbox: DemoMailbox) -> str:
        """Have the mailbox polled now, and then by its settings. Its id."""
        known = self.get("/api/mailboxes")["mailboxes"]
        found = next((each for each in known if each["name"] == mailbox.name), None)
        if found is None:
            found = self._call("POST", "/api/mailboxes", json=mailbox.settings).json()
        path = f"/api/mailboxes/{found['id']}"
        if found["source"].get("port") != mailbox.settings["source"].get("port"):
            current = self._call("GET", path)
            changed = current.json() | {"source": mailbox.settings["source"]}
            self._call("PUT", path, json=changed, headers={"If-Match": current.headers["ETag"]})
        self._call("POST", f"{path}/poll")
        return str(found["id"])

    def configure_sender(self, settings: dict[str, Any]) -> None:
        """Have it sent through, on the port that it has now."""
        known = self.get("/api/senders")["senders"]
        found = next((each for each in known if each["name"] == settings["name"]), None)
        if found is None:
            self._call("POST", "/api/senders", json=settings)
        elif found["transport"]["port"] != settings["transport"]["port"]:
            path = f"/api/senders/{found['id']}"
            current = self._call("GET", path)
            changed = current.json() | {"transport": settings["transport"]}
            self._call("PUT", path, json=changed, headers={"If-Match": current.headers["ETag"]})

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            answer = self._session.request(method, self.url + path, timeout=_SECONDS, **options)
        except requests.RequestException as error:
            raise NoAnswer(f"{method} {path} is not answered") from error
        if not answer.ok:
            raise ApiFailed(f"{method} {path} is answered with {answer.status_code}: {answer.text}")
        return answer
