from datetime import UTC, datetime

import pytest

from tests.sources.contract import SourceContract
from tests.sources.gmail_mailbox import GmailMailbox


class TestGmail(SourceContract):
    @pytest.fixture
    def provider(self, simulators):
        return GmailMailbox(simulators, lambda: datetime.now(UTC))
