from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.simulators import HOME_TENANT, Simulators
from shared.adapters.identity import AppIdentity
from shared.adapters.vault import KeyVaultSecrets
from shared.settings import Settings, read_settings
from tests.clock import MovableClock

APP = "aaaaaaaa-0000-4000-8000-000000000001"
APP_SECRET = "the-secret-of-the-app"


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def simulators(tmp_path: Path, clock: MovableClock) -> Iterator[Simulators]:
    with Simulators(tmp_path / "ca.pem", clock=clock) as running:
        running.entra.add_app(APP, APP_SECRET, vault="user")
        yield running


Configured = Callable[..., Settings]


@pytest.fixture
def configured(simulators: Simulators) -> Configured:
    def configured(**changes: str) -> Settings:
        environment = {
            "DATA_STORAGE": "UseDevelopmentStorage=true",
            "KEY_VAULT_URI": simulators.url,
            "POLL_SCHEDULE": "0 * * * * *",
            "LOGIN_ENDPOINT": simulators.url,
            "GRAPH_ENDPOINT": simulators.url,
            "EXTRA_CA_FILE": str(simulators.ca_file),
        }
        return read_settings(environment | changes)

    return configured


@pytest.fixture
def settings(configured: Configured) -> Settings:
    return configured()


@pytest.fixture
def _app_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app's own identity as it is away from Azure."""
    monkeypatch.setenv("AZURE_TENANT_ID", HOME_TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", APP)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", APP_SECRET)


@pytest.fixture
def secrets(_app_registration: None, settings: Settings, clock: MovableClock) -> KeyVaultSecrets:
    return KeyVaultSecrets(settings, AppIdentity(settings), clock)
