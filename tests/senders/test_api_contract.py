"""Graph, Exchange and Gmail keep the contract of senders."""

import pytest

from tests.senders.api_providers import EwsProvider, GmailProvider, GraphProvider
from tests.senders.contract import SenderContract


class TestGraph(SenderContract):
    @pytest.fixture
    def provider(self, simulators):
        return GraphProvider(simulators)


class TestGmail(SenderContract):
    @pytest.fixture
    def provider(self, simulators):
        return GmailProvider(simulators)


class TestEws(SenderContract):
    @pytest.fixture
    def provider(self, simulators):
        return EwsProvider(simulators)
