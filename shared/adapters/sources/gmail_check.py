"""The stages of a connection test of Gmail; nothing in the mailbox changes."""

from itertools import chain, islice

from shared.adapters.sources.checks import Finding, move_target
from shared.adapters.sources.gmail_client import GmailClient
from shared.adapters.sources.gmail_errors import GmailRefused
from shared.adapters.sources.gmail_labels import Labels
from shared.adapters.sources.rest_check import RestCheck
from shared.adapters.sources.services import SourceServices
from shared.domain.mailbox import Mailbox
from shared.domain.settlement import Keep, Move
from shared.domain.sources import GmailSource

_NO_MESSAGE = "0000000000000000"
"""No message has this id: asking for a change of it shows whether changes are allowed, and changes nothing."""

_COUNTED_AT_MOST = 5000


class GmailCheck(RestCheck):
    def __init__(self, mailbox: Mailbox, services: SourceServices, client: GmailClient, labels: Labels) -> None:
        assert isinstance(mailbox.source, GmailSource)
        super().__init__(mailbox, services, client)
        self._paths = mailbox.source.folders
        self._client = client
        self._labels = labels

    def _look(self) -> None:
        self._client.get("/profile")

    def _folder(self) -> Finding:
        for path in self._paths:
            self._labels.find(path)
        return Finding(f"There are {', '.join(f'`{path}`' for path in self._paths)}.")

    def _settlement(self) -> Finding:
        settlement = self._mailbox.settlement
        if isinstance(settlement, Keep):
            return Finding("Messages are left as they are.")
        try:
            self._client.post(f"/messages/{_NO_MESSAGE}/modify", {"removeLabelIds": ["UNREAD"]})
        except GmailRefused as refused:
            if not refused.is_gone:
                raise
        if isinstance(settlement, Move):
            return Finding(move_target(self._labels.find, self._paths, settlement))
        return Finding("Messages can be changed.")

    def _waiting(self) -> Finding:
        present = chain.from_iterable(self._client.present(self._labels.find(path)) for path in self._paths)
        count = sum(1 for _ in islice(present, _COUNTED_AT_MOST))
        more = "or more " * (count == _COUNTED_AT_MOST)
        return Finding(f"A first poll would take in {count} {more}messages.")
