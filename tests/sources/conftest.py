from collections.abc import Iterator

import pytest

from local.dovecot import Dovecot

pytest.register_assert_rewrite("tests.sources.contract")

from tests.sources.dovecot_mailbox import DovecotMailbox  # noqa: E402 - it imports the contract


@pytest.fixture
def dovecot_mailbox(dovecot: Dovecot) -> Iterator[DovecotMailbox]:
    mailbox = DovecotMailbox(dovecot)
    yield mailbox
    mailbox.close()
