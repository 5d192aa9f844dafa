import pytest

from shared.domain.errors import SettingsError
from shared.settings import read_settings

IN_AZURE = {
    "DATA_STORAGE__tableServiceUri": "https://data.table.core.windows.net/",
    "DATA_STORAGE__blobServiceUri": "https://data.blob.core.windows.net/",
    "DATA_STORAGE__queueServiceUri": "https://data.queue.core.windows.net/",
    "KEY_VAULT_URI": "https://vault.vault.azure.net/",
    "POLL_SCHEDULE": "0 * * * * *",
}


def test_in_azure_the_data_account_is_three_endpoints_and_no_secret():
    settings = read_settings(IN_AZURE)

    assert settings.storage.connection_string is None
    assert settings.storage.table_endpoint == "https://data.table.core.windows.net"
    assert settings.graph_endpoint == "https://graph.microsoft.com"
    assert settings.allow_loopback_targets is False


def test_development_storage_is_the_emulator_on_its_published_ports():
    settings = read_settings({**IN_AZURE, "DATA_STORAGE": "UseDevelopmentStorage=true"})

    assert "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1" in (settings.storage.connection_string or "")


def test_every_problem_is_told_at_once():
    broken = {
        "DATA_STORAGE__tableServiceUri": "http://data.table.core.windows.net",
        "DATA_STORAGE__blobServiceUri": "https://",
        "KEY_VAULT_URI": "@Microsoft.KeyVault(SecretUri=https://vault/secrets/x)",
        "POLL_SCHEDULE": "every minute",
        "ALLOW_LOOPBACK_TARGETS": "perhaps",
    }

    with pytest.raises(SettingsError) as caught:
        read_settings(broken)

    named = {problem.split()[0] for problem in caught.value.problems}
    assert named == {
        "DATA_STORAGE__tableServiceUri",
        "DATA_STORAGE__blobServiceUri",
        "DATA_STORAGE__queueServiceUri",
        "KEY_VAULT_URI",
        "POLL_SCHEDULE",
        "ALLOW_LOOPBACK_TARGETS",
    }


def test_an_error_names_the_setting_and_never_its_value():
    with pytest.raises(SettingsError) as caught:
        read_settings({**IN_AZURE, "KEY_VAULT_URI": "http://user:hunter2@vault"})

    assert "hunter2" not in str(caught.value)
