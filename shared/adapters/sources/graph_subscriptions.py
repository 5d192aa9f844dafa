"""Subscriptions of Microsoft Graph: it posts to us when a message comes into a folder (req C14)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from shared.adapters.refusals import Refused
from shared.adapters.services import SourceServices
from shared.adapters.sources.graph_client import Folders, GraphClient, graph_code, graph_time
from shared.domain import sources
from shared.domain.errors import AppError, SourceMisbehaved
from shared.domain.mailbox import Mailbox
from shared.domain.watch import Watch


class _Client(GraphClient):
    def refusal(self, status: int, body: Any, wait: timedelta | None) -> AppError:
        """What is missing is the subscription, not the mailbox."""
        if status == 404 and graph_code(body).casefold() in ("resourcenotfound", "itemnotfound", ""):
            return Refused("Graph has no such subscription", is_gone=True, status=status)
        return super().refusal(status, body, wait)


class GraphWatcher:
    """A `Watcher`. Notifications of new mail and of the subscription's own life go to the same address."""

    def __init__(self, mailbox: Mailbox, services: SourceServices) -> None:
        assert isinstance(mailbox.source, sources.GraphSource)
        self._client = _Client(mailbox.source.mailbox or mailbox.address, mailbox.source.sign_in, services)
        self._folders = Folders(self._client)
        self._notify = f"{services.settings.public_url}/hooks/graph"
        self._all = f"{self._client.root}/subscriptions"

    def watch(self, folder: str, client_state: str, until: datetime) -> Watch:
        resource = self._resource(folder)
        asked = {
            "changeType": "created",
            "notificationUrl": self._notify,
            "lifecycleNotificationUrl": self._notify,
            "resource": resource,
            "expirationDateTime": graph_time(until),
            "clientState": client_state,
            "latestSupportedTlsVersion": "v1_2",
        }
        try:
            return _watch(folder, self._client.post(self._all, asked))
        except Refused as refused:
            if refused.status != 409:
                raise
        for found in self._client.pages(self._all):  # made by a worker that died, or whose answer got lost
            is_ours = (found.get("resource"), found.get("notificationUrl")) == (resource, self._notify)
            if is_ours and (renewed := self.renew(_watch(folder, found), until)):
                return renewed
        raise SourceMisbehaved("Graph says that the app watches this folder for somebody else.")

    def renew(self, watch: Watch, until: datetime) -> Watch | None:
        try:
            changed = self._client.patch(self._one(watch), {"expirationDateTime": graph_time(until)})
        except Refused as refused:
            if refused.is_gone:
                return None
            raise
        return _watch(watch.folder, changed | {"id": watch.id})

    def unwatch(self, watch: Watch) -> None:
        try:
            self._client.delete(self._one(watch))
        except Refused as refused:
            if not refused.is_gone:
                raise

    def close(self) -> None:
        self._client.close()

    def _one(self, watch: Watch) -> str:
        return f"{self._all}/{quote(watch.id, safe='')}"

    def _resource(self, folder: str) -> str:
        path = self._client.mailbox_url.removeprefix(self._client.root)
        return f"{path}/mailFolders('{self._folders.find(folder)}')/messages"


def _watch(folder: str, shown: Mapping[str, Any]) -> Watch:
    try:
        expires_at = datetime.fromisoformat(shown["expirationDateTime"]).astimezone(UTC)
        return Watch(folder, str(shown["id"]), expires_at)
    except (KeyError, TypeError, ValueError) as exc:
        raise SourceMisbehaved("Graph described a subscription without its id or expiry.") from exc
