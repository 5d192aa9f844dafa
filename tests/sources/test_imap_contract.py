import pytest

from tests.sources.contract import SourceContract


class TestImap(SourceContract):
    @pytest.fixture
    def provider(self, dovecot_mailbox):
        return dovecot_mailbox
