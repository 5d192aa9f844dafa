from datetime import UTC, datetime

import pytest

from tests.sources.contract import SourceContract, mail, read_all, subjects
from tests.sources.graph_mailbox import GraphMailbox


class TestGraph(SourceContract):
    @pytest.fixture
    def provider(self, simulators):
        return GraphMailbox(simulators, lambda: datetime.now(UTC))

    def test_a_message_that_arrives_between_two_pages_is_not_missed(self, provider, opened):
        """A round of a delta query is a snapshot: what arrives while it is read comes with the next one."""
        for number in range(4):
            provider.deliver(mail(f"Number {number}"))
        source = opened()
        first = source.changes(None, 2)

        provider.deliver(mail("Number 4"))

        second = source.changes(first.cursor, 2)
        assert subjects(list(source.fetch(second.messages))) == ["Number 2", "Number 3"]
        assert read_all(source, second.cursor) == ["Number 4"]
