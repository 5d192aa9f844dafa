"""The stages of a connection test of Gmail."""

from itertools import islice

from shared.adapters.sources.gmail_client import GmailClient
from shared.adapters.sources.gmail_labels import Labels
from shared.adapters.sources.rest_check import RestCheck
from shared.adapters.sources.services import SourceServices
from shared.domain.mailbox import Mailbox
from shared.domain.sources import GmailSource


class GmailCheck(RestCheck):
    counted_at_most = 5000

    def __init__(self, mailbox: Mailbox, services: SourceServices, client: GmailClient, labels: Labels) -> None:
        assert isinstance(mailbox.source, GmailSource)
        super().__init__(mailbox, mailbox.source.folders, services, client)
        self._client = client
        self._labels = labels

    def _look(self) -> None:
        self._client.get("/profile")

    def _shown(self, path: str) -> str:
        self._id(path)
        return f"There is `{path}`"

    def _id(self, path: str) -> str:
        return self._labels.find(path)

    def _change_nothing(self) -> None:
        self._client.post("/messages/0000000000000000/modify", {"removeLabelIds": ["UNREAD"]})

    def _waiting(self, path: str) -> int:
        return sum(1 for _ in islice(self._client.present(self._id(path), self._mailbox), self.counted_at_most))
