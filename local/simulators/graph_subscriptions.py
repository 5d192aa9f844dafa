"""Simulated Graph subscriptions: strict about what is asked for, and notifications posted over HTTP (facts 3)."""

import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from queue import Queue
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import requests

from local.simulators.graph_wire import refusal
from local.simulators.web import Request, Response

_LONGEST = timedelta(minutes=10_080)
_SHORTEST = timedelta(minutes=45)
_RESOURCE = re.compile(r"/?users/([^/]+)(?:/mailFolders(?:\('([^']+)'\)|/([^/]+)))?/messages", re.IGNORECASE)
_ASKED = {"changeType", "notificationUrl", "lifecycleNotificationUrl", "resource", "expirationDateTime", "clientState"}
_ASKED |= {"latestSupportedTlsVersion"}
_TRIES = 5


@dataclass
class Subscription:
    """`folder` is None for all messages of the mailbox. While `is_deaf`, what happens is not notified."""

    id: str
    app: str
    mailbox: str
    folder: str | None
    expires_at: datetime
    asked: dict[str, Any]
    is_deaf: bool = False

    def shown(self) -> dict[str, Any]:
        return {**self.asked, "id": self.id, "applicationId": self.app, "expirationDateTime": _wire(self.expires_at)}


@dataclass
class Subscriptions:
    """`find_folder` gives the id of a folder, or None. `fronts` says where an address is really served (its TLS ends
    elsewhere): `{"https://mail.example": "http://127.0.0.1:7071"}`. `answers` has the status of each notification.
    """

    find_folder: Callable[[str, str], str | None]
    clock: Callable[[], datetime]
    fronts: dict[str, str] = field(default_factory=dict)
    all: dict[str, Subscription] = field(default_factory=dict)
    answers: list[int] = field(default_factory=list)
    _owed: "Queue[tuple[str, dict[str, Any]]]" = field(default_factory=Queue)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _worker: threading.Thread | None = None

    def create(self, request: Request, app: str, may_read: Callable[[str], bool]) -> Response:
        asked = request.json()
        mailbox, folder = self._resource(asked, may_read)
        expires_at = self._expiry(asked)
        self._check_fields(asked)
        with self._lock:
            same = (app, mailbox, folder, asked["changeType"])
            live = [each for each in self.all.values() if each.expires_at > self.clock()]
            if same in [(each.app, each.mailbox, each.folder, each.asked["changeType"]) for each in live]:
                raise refusal(409, "Conflict", "A subscription for this resource exists already.")
        for name in ("notificationUrl", "lifecycleNotificationUrl"):
            if name in asked and not self._shakes_hands(asked[name]):
                said = "Subscription validation request failed. Must respond with 200 OK to this request."
                raise refusal(400, "ValidationError", said)
        made = Subscription(str(uuid4()), app, mailbox, folder, expires_at, asked)
        self.all[made.id] = made
        return Response(201, made.shown())

    def shown(self, app: str) -> Response:
        return Response(body={"value": [each.shown() for each in self._live(app)]})

    def renew(self, request: Request, app: str, wanted: str) -> Response:
        found = self._one(app, wanted)
        if request.json().keys() != {"expirationDateTime"}:
            raise refusal(400, "InvalidRequest", "the simulator renews and changes nothing else")
        found.expires_at = self._expiry(request.json())
        return Response(body=found.shown())

    def delete(self, app: str, wanted: str) -> Response:
        del self.all[self._one(app, wanted).id]
        return Response(204)

    def arrived(self, mailbox: str, folder: str, message: str) -> None:
        """A message has come into a folder."""
        for each in self.of(mailbox):
            if each.folder in (None, folder) and not each.is_deaf:
                resource = f"Users/{mailbox}/Messages/{message}"
                kind = {"@odata.type": "#Microsoft.Graph.Message", "@odata.id": resource, "id": message}
                self._notify(each, changeType="created", resource=resource, resourceData=kind)

    def tell(self, mailbox: str, event: str) -> None:
        """`missed`, `reauthorizationRequired` or `subscriptionRemoved`, which is true then."""
        for each in self.of(mailbox):
            if event == "subscriptionRemoved":
                del self.all[each.id]
            self._notify(each, "lifecycleNotificationUrl", lifecycleEvent=event)

    def of(self, mailbox: str) -> list[Subscription]:
        return [each for each in self._live() if each.mailbox == mailbox.lower()]

    def post(self, url: str, **options: Any) -> requests.Response:
        """As the world reaches it."""
        for public, local in self.fronts.items():
            url = url.replace(public, local, 1) if url.startswith(public) else url
        with requests.Session() as session:
            session.trust_env = False
            return session.post(url, timeout=10, allow_redirects=False, **options)

    def _live(self, app: str | None = None) -> list[Subscription]:
        now = self.clock()
        return [each for each in list(self.all.values()) if each.expires_at > now and app in (None, each.app)]

    def _one(self, app: str, wanted: str) -> Subscription:
        found = next((each for each in self._live(app) if each.id == wanted), None)
        if found is None:
            raise refusal(404, "ResourceNotFound", "The object was not found.")
        return found

    def _resource(self, asked: Mapping[str, Any], may_read: Callable[[str], bool]) -> tuple[str, str | None]:
        found = _RESOURCE.fullmatch(str(asked.get("resource", "")))
        if found is None:
            raise refusal(400, "ExtensionError", "the simulator knows messages of users, and of their folders")
        mailbox, name = found[1].lower(), found[2] or found[3]
        if not may_read(mailbox):
            raise refusal(403, "ExtensionError", "Operation: Create; Exception: [Status Code: Forbidden]")
        folder = self.find_folder(mailbox, name) if name else None
        if name and folder is None:
            raise refusal(404, "ExtensionError", "Operation: Create; Exception: [Status Code: NotFound]")
        return mailbox, folder

    def _expiry(self, asked: Mapping[str, Any]) -> datetime:
        now = self.clock()
        try:
            wanted = datetime.fromisoformat(asked["expirationDateTime"]).astimezone(UTC)
        except (KeyError, TypeError, ValueError):
            raise refusal(400, "InvalidRequest", "expirationDateTime is missing or no date.") from None
        if not now < wanted <= now + _LONGEST:
            said = "Subscription expiration can only be 10080 minutes in the future."
            raise refusal(400, "ValidationError", said)
        return max(wanted, now + _SHORTEST)

    def _check_fields(self, asked: Mapping[str, Any]) -> None:
        urls = [asked.get("notificationUrl"), asked.get("lifecycleNotificationUrl", "https://")]
        wrong = [
            *(asked.keys() - _ASKED),
            *(["changeType"] if asked.get("changeType") not in ("created", "updated", "deleted") else []),
            *(["notificationUrl"] if not all(str(url).startswith("https://") for url in urls) else []),
            *(["clientState"] if len(str(asked.get("clientState", ""))) > 128 else []),
        ]
        if wrong:
            raise refusal(400, "InvalidRequest", f"{', '.join(wrong)} cannot be as given.")

    def _shakes_hands(self, url: str) -> bool:
        token = (
            f"Validation: Testing client application reachability for subscription Request-Id: {secrets.token_hex()}"
        )
        try:
            answer = self.post(f"{url}?{urlencode({'validationToken': token})}", headers={"Content-Type": "text/plain"})
        except requests.RequestException:
            return False
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        return (answer.status_code, kind, answer.text) == (200, "text/plain", token)

    def _notify(self, about: Subscription, to: str = "notificationUrl", **told: Any) -> None:
        known = {"subscriptionId": about.id, "subscriptionExpirationDateTime": _wire(about.expires_at)}
        state = {"clientState": about.asked["clientState"]} if "clientState" in about.asked else {}
        self._owed.put((about.asked.get(to) or about.asked["notificationUrl"], known | state | told))
        with self._lock:
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, daemon=True)
                self._worker.start()

    def _work(self) -> None:
        while True:
            url, item = self._owed.get()
            for attempt in range(_TRIES):
                try:
                    status = self.post(url, json={"value": [item]}).status_code
                except requests.RequestException:
                    status = 0
                self.answers.append(status)
                if 200 <= status < 300:
                    break
                time.sleep(0.2 * 2**attempt)


def _wire(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
