import uuid
from collections.abc import Iterator

import pytest

from local.azurite import Azurite
from shared.adapters.storage.clients import StorageClients
from shared.adapters.storage.raws import TableAndBlobRawStore
from shared.adapters.storage.tickets import TableTicketStore
from shared.settings import StorageSettings


@pytest.fixture(scope="session")
def clients(azurite: Azurite) -> Iterator[StorageClients]:
    clients = StorageClients(StorageSettings(azurite.connection_string, "", "", ""), credential=None)
    yield clients
    clients.session.close()


@pytest.fixture
def tickets(clients: StorageClients) -> TableTicketStore:
    return TableTicketStore(clients)


@pytest.fixture
def raws(clients: StorageClients) -> TableAndBlobRawStore:
    return TableAndBlobRawStore(clients)


@pytest.fixture
def mailbox_id() -> str:
    """A partition of this test alone."""
    return f"mailbox-{uuid.uuid4().hex[:12]}"
