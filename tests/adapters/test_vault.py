from datetime import UTC, datetime

import pytest

from local.simulators import Simulators
from shared.adapters.identity import AppIdentity
from shared.adapters.vault import KeyVaultSecrets
from shared.domain.errors import AppError, SecretMissing, SecretUnusable, StoreUnavailable
from tests.adapters.conftest import APP, APP_SECRET
from tests.clock import MovableClock


def test_a_secret_is_read_by_its_name(simulators: Simulators, secrets: KeyVaultSecrets) -> None:
    simulators.vault.put("mail-password", "hunter2")

    assert secrets.get("mail-password") == "hunter2"


def test_it_is_known_when_a_secret_expires(simulators: Simulators, secrets: KeyVaultSecrets) -> None:
    expires_at = datetime(2027, 1, 31, tzinfo=UTC)
    simulators.vault.put("mail-password", "hunter2", exp=int(expires_at.timestamp()))
    assert secrets.expires_at("mail-password") is None, "it was not read yet"

    secrets.get("mail-password")

    assert secrets.expires_at("mail-password") == expires_at


def test_a_secret_is_read_again_after_five_minutes(
    simulators: Simulators, secrets: KeyVaultSecrets, clock: MovableClock
) -> None:
    simulators.vault.put("mail-password", "old")
    secrets.get("mail-password")
    simulators.vault.put("mail-password", "new")

    clock.advance(minutes=4, seconds=59)
    assert secrets.get("mail-password") == "old"
    clock.advance(seconds=1)
    assert secrets.get("mail-password") == "new"


def test_a_forgotten_secret_is_read_afresh(simulators: Simulators, secrets: KeyVaultSecrets) -> None:
    simulators.vault.put("mail-password", "old")
    secrets.get("mail-password")
    simulators.vault.put("mail-password", "new")

    secrets.forget("mail-password")
    secrets.forget("never-read")

    assert secrets.get("mail-password") == "new"


def test_an_unknown_secret_is_missing(secrets: KeyVaultSecrets) -> None:
    with pytest.raises(SecretMissing) as caught:
        secrets.get("nothing")

    assert caught.value.advice


def test_a_disabled_secret_is_missing(simulators: Simulators, secrets: KeyVaultSecrets) -> None:
    simulators.vault.put("mail-password", "x", enabled=False)

    with pytest.raises(SecretUnusable, match="disabled"):
        secrets.get("mail-password")


def test_an_empty_secret_is_missing(simulators: Simulators, secrets: KeyVaultSecrets) -> None:
    simulators.vault.put("mail-password", "")

    with pytest.raises(SecretUnusable, match="empty"):
        secrets.get("mail-password")


def test_a_vault_that_refuses_the_app_is_unavailable_and_says_which_role_is_missing(
    simulators: Simulators, secrets: KeyVaultSecrets
) -> None:
    simulators.vault.put("mail-password", "x")
    simulators.entra.add_app(APP, APP_SECRET, vault="")

    with pytest.raises(StoreUnavailable) as caught:
        secrets.get("mail-password")

    assert "Key Vault Secrets User" in caught.value.advice


def test_a_vault_that_does_not_know_the_app_is_unavailable(simulators: Simulators, secrets: KeyVaultSecrets) -> None:
    simulators.entra.add_app(APP, "another-secret", vault="user")

    with pytest.raises(StoreUnavailable) as caught:
        secrets.get("mail-password")

    assert caught.value.advice


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429, "headers": {"Retry-After": "0"}}])
def test_a_vault_that_is_busy_is_asked_again(
    simulators: Simulators, secrets: KeyVaultSecrets, fault: dict[str, object]
) -> None:
    simulators.vault.put("mail-password", "x")
    simulators.faults.add("vault.get", times=2, **fault)

    assert secrets.get("mail-password") == "x"


def test_a_vault_that_stays_out_of_order_is_unavailable(simulators: Simulators, secrets: KeyVaultSecrets) -> None:
    simulators.faults.add("vault.get", status=503, times=None)

    with pytest.raises(StoreUnavailable):
        secrets.get("mail-password")


def test_a_vault_that_cannot_be_reached_is_unavailable(simulators: Simulators, secrets: KeyVaultSecrets) -> None:
    simulators.stop()

    with pytest.raises(StoreUnavailable):
        secrets.get("mail-password")
    simulators.stop()


def test_a_failed_read_does_not_take_the_place_of_a_value(simulators: Simulators, secrets: KeyVaultSecrets) -> None:
    with pytest.raises(SecretMissing):
        secrets.get("mail-password")

    simulators.vault.put("mail-password", "x")

    assert secrets.get("mail-password") == "x"


@pytest.mark.usefixtures("_app_registration")
@pytest.mark.parametrize(
    ("uri", "is_checked"),
    [
        ("https://mailroom.vault.azure.net", True),
        ("https://mailroom.vault.usgovcloudapi.net", True),
        ("https://mailroom.vault.azure.cn", True),
        ("https://localhost:8443", False),
        ("https://vault.azure.net.elsewhere.example", False),
    ],
)
def test_the_challenge_of_a_public_vault_must_be_for_its_own_domain(configured, clock, uri, is_checked) -> None:
    settings = configured(KEY_VAULT_URI=uri)

    client = KeyVaultSecrets(settings, AppIdentity(settings), clock)._client

    [policy] = (each for each in client._client._client._pipeline._impl_policies if hasattr(each, "on_challenge"))
    assert policy._verify_challenge_resource is is_checked


def test_no_error_holds_the_value_of_a_secret(simulators: Simulators, secrets: KeyVaultSecrets) -> None:
    simulators.vault.put("mail-password", "hunter2", enabled=False)

    with pytest.raises(AppError) as caught:
        secrets.get("mail-password")

    assert "hunter2" not in f"{caught.value!r} {caught.value.advice} {caught.value.__cause__!r}"
