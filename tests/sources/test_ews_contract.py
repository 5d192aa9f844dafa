import pytest

from tests.sources.contract import SourceContract
from tests.sources.ews_mailbox import EwsMailbox


class TestEws(SourceContract):
    @pytest.fixture
    def provider(self, simulators):
        return EwsMailbox(simulators)
