import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from local.azurite import Azurite
from local.dovecot import PASSWORD
from local.simulators import HOME_TENANT, Simulators
from local.smtp_server import SmtpServer, run_smtp_server
from shared.application.deliver import deliver
from shared.application.ports.platform import DeliveryRequest
from shared.application.services import Services
from shared.bootstrap import compose
from shared.entrypoints.http.app import build
from shared.settings import read_settings
from tests.api.desk import Desk
from tests.clock import MovableClock
from tests.emptied import empty
from tests.intake.memory_source import MemoryMailbox

SIGN_IN = {"kind": "password", "account": "support", "password_secret": "imap-password"}
IMAP = {"kind": "imap", "host": "mail.example.com", "sign_in": SIGN_IN}
APP = "22222222-2222-4222-8222-222222222222"


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulators]:
    """Key Vault, and Entra ID that lets the app in, with the secrets that the tests name."""
    with Simulators(tmp_path_factory.mktemp("simulators") / "ca.pem") as simulators:
        simulators.entra.add_app(APP, "app-identity-secret", vault="officer")
        secrets = {"imap-password": PASSWORD, "graph-secret": "graph-secret-value", "message-id-key": "k" * 40}
        for name, value in secrets.items():
            simulators.vault.put(name, value)
        yield simulators


@pytest.fixture(scope="session")
def composed(azurite: Azurite, vault: Simulators) -> Services:
    return compose(
        read_settings(
            {
                "DATA_STORAGE": azurite.connection_string,
                "KEY_VAULT_URI": vault.url,
                "POLL_SCHEDULE": "0 * * * * *",
                "LOGIN_ENDPOINT": vault.url,
                "GRAPH_ENDPOINT": vault.url,
                "EXTRA_CA_FILE": str(vault.ca_file),
                "GOOGLE_LOGIN_ENDPOINT": vault.url,
                "GOOGLE_TOKEN_ENDPOINT": f"{vault.url}/token",
                "PUBLIC_URL": "https://mailroom.example",
                "ALLOW_SECRET_WRITES": "true",
                "ALLOW_LOOPBACK_TARGETS": "true",
            }
        )
    )


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left(composed: Services) -> Iterator[None]:
    """Other areas have the same storage."""
    yield
    empty(composed)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def services(composed: Services, clock: MovableClock, monkeypatch: pytest.MonkeyPatch) -> Services:
    """Nothing is configured yet, whatever ran before."""
    for name, value in {"TENANT_ID": HOME_TENANT, "CLIENT_ID": APP, "CLIENT_SECRET": "app-identity-secret"}.items():
        monkeypatch.setenv(f"AZURE_{name}", value)
    empty(composed)
    return replace(composed, clock=clock)


@pytest.fixture
def api(services: Services) -> TestClient:
    return TestClient(build(services))


@pytest.fixture
def support() -> dict[str, Any]:
    """A configuration with nothing wrong."""
    return {"name": "Support", "address": "support@example.com", "ticket_prefix": "SUP", "source": {**IMAP}}


@pytest.fixture
def billing() -> dict[str, Any]:
    """Another one, which is not in the way of the first."""
    source = {**IMAP, "sign_in": {**SIGN_IN, "account": "billing"}}
    return {"name": "Billing", "address": "billing@example.com", "ticket_prefix": "BIL", "source": source}


@pytest.fixture
def queued(composed: Services) -> Callable[[], list[dict[str, Any]]]:
    """What has been put on the queue of polls since the test began."""
    queue = composed.polls._clients.queue("polls")
    queue.clear_messages()
    return lambda: [json.loads(b64decode(message.content)) for message in queue.receive_messages()]


@pytest.fixture
def desks(api: TestClient, services: Services, support, billing) -> tuple[Desk, Desk]:
    """Support and Billing."""
    ids = [api.post("/api/mailboxes", json=each).json()["id"] for each in (support, billing)]
    first, second = (Desk(mailbox_id, services, MemoryMailbox()) for mailbox_id in ids)
    return first, second


@pytest.fixture
def desk(desks: tuple[Desk, Desk]) -> Desk:
    return desks[0]


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with run_smtp_server("none") as server:
        yield server


@pytest.fixture
def sender(api: TestClient, smtp: SmtpServer) -> str:
    transport = {"kind": "smtp", "host": "localhost", "port": smtp.port, "tls": {"mode": "none"}}
    settings = {"name": "Main", "from_address": "news@example.com", "transport": transport}
    return api.post("/api/senders", json={**settings, "limits": {"messages_per_minute": 60}}).json()["id"]


@pytest.fixture
def run(services: Services, desk: Desk, clock: MovableClock, smtp: SmtpServer) -> Callable[[int], None]:
    """Delivers what is due, minute by minute."""

    def run(minutes: int = 1) -> None:
        for _ in range(minutes):
            deliver(services, DeliveryRequest(desk.id))
            clock.advance(minutes=1)

    return run
