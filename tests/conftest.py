from collections.abc import Iterator

import pytest

from local.azurite import COMMAND, Azurite, run_azurite
from tests.servers import require


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """A storage account of this test process alone; tests keep apart by the names of what they create."""
    require(COMMAND.exists(), "Azurite (npm ci --prefix local)")
    with run_azurite() as storage:
        yield storage
