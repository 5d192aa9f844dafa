from collections.abc import Iterator

import pytest

from local import dovecot as dovecot_server
from local.azurite import COMMAND, Azurite, run_azurite
from tests.servers import require


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """A storage account of this test process alone; tests keep apart by the names of what they create."""
    require(COMMAND.exists(), "Azurite (npm ci --prefix local)")
    with run_azurite() as storage:
        yield storage


@pytest.fixture(scope="session")
def dovecot() -> Iterator[dovecot_server.Dovecot]:
    """An IMAP and POP3 server of this test process alone; each user name that a test makes up has an empty mailbox."""
    require(dovecot_server.COMMAND is not None, "Dovecot (tools/install-servers)")
    with dovecot_server.run_dovecot() as server:
        yield server
