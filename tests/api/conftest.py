import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from local.azurite import Azurite
from shared.adapters.storage.clients import StorageClients
from shared.adapters.storage.mailboxes import TableMailboxStore
from shared.adapters.storage.queues import StoragePollQueue
from shared.adapters.storage.raws import TableAndBlobRawStore
from shared.adapters.storage.schedule import TableScheduleStore
from shared.adapters.storage.tickets import TableTicketStore
from shared.application.services import Services
from shared.domain.errors import SecretMissing
from shared.entrypoints.http.app import build
from shared.settings import Settings, StorageSettings
from tests.clock import MovableClock

IMAP = {"kind": "imap", "host": "mail.example.com", "username": "support", "password_secret": "imap-password"}


class DictSecrets:
    def __init__(self):
        self.v = {"imap-password": "x", "graph-secret": "y"}

    def get(self, name):
        if name in self.v:
            return self.v[name]
        raise SecretMissing(name)

    def forget(self, name): ...


@pytest.fixture(scope="session")
def composed(azurite: Azurite) -> Iterator[Services]:
    storage = StorageSettings(azurite.connection_string, "", "", "")
    clients = StorageClients(storage, None)
    yield Services(
        TableMailboxStore(clients),
        TableTicketStore(clients),
        TableAndBlobRawStore(clients),
        TableScheduleStore(clients),
        StoragePollQueue(clients),
        DictSecrets(),
        None,
        MovableClock(),
        Settings(storage, "", "", "", None, False),
    )
    clients.session.close()


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def services(composed: Services, clock: MovableClock) -> Services:
    """Nothing is configured yet."""
    for each in composed.mailboxes.all():
        composed.mailboxes.delete(each.value.id, each.etag)
        composed.schedule.delete(each.value.id)
    return replace(composed, clock=clock)


@pytest.fixture
def api(services: Services) -> TestClient:
    return TestClient(build(services))


@pytest.fixture
def support() -> dict[str, Any]:
    """A configuration with nothing wrong."""
    return deepcopy({"name": "Support", "address": "support@example.com", "ticket_prefix": "SUP", "source": IMAP})


@pytest.fixture
def billing() -> dict[str, Any]:
    source = {**IMAP, "username": "billing"}
    return {"name": "Billing", "address": "billing@example.com", "ticket_prefix": "BIL", "source": source}


@pytest.fixture
def queued(composed: Services) -> Callable[[], list[dict[str, Any]]]:
    """What has been put on the queue of polls since the test began."""
    queue = composed.polls._clients.polls_queue
    queue.clear_messages()
    return lambda: [json.loads(b64decode(message.content)) for message in queue.receive_messages()]
