from collections.abc import Iterator

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient

from local.simulators import HOME_TENANT, Simulators
from tests.simulators.conftest import APP, SECRET, Client


@pytest.fixture
def vault(simulators: Simulators) -> Iterator[SecretClient]:
    """The real client library."""
    ca_file = str(simulators.ca_file)
    with (
        ClientSecretCredential(
            HOME_TENANT,
            APP,
            SECRET,
            authority=simulators.url,
            disable_instance_discovery=True,
            connection_verify=ca_file,
        ) as credential,
        SecretClient(
            simulators.url, credential, verify_challenge_resource=False, connection_verify=ca_file, retry_total=0
        ) as client,
    ):
        yield client


def test_without_a_token_the_vault_says_where_to_get_one(simulators: Simulators, client: Client) -> None:
    answer = client.request("GET", "/secrets/mail?api-version=7.6")

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer authorization="{simulators.url}/{HOME_TENANT}", resource="https://vault.azure.net"'
    )


def test_the_api_version_must_be_given(client: Client) -> None:
    assert client.request("GET", "/secrets/mail").json()["error"]["code"] == "BadParameter"


def test_a_token_for_another_audience_or_tenant_is_refused(simulators: Simulators, client: Client) -> None:
    elsewhere = "22222222-2222-3333-4444-555555555555"
    simulators.entra.add_tenant(elsewhere)
    simulators.entra.add_app(APP, SECRET, tenant=elsewhere, vault="officer")

    for wrong in ({}, {"tenant": elsewhere, "scope": "https://vault.azure.net/.default"}):
        client.sign_in(**wrong)
        assert client.request("GET", "/secrets/mail?api-version=7.6").status_code == 401


def test_a_secret_has_versions_and_the_newest_one_counts(vault: SecretClient) -> None:
    first = vault.set_secret("Mail-Password", "one")
    vault.set_secret("mail-password", "two")

    assert vault.get_secret("MAIL-password").value == "two"
    assert vault.get_secret("mail-password", first.properties.version).value == "one"
    assert len(list(vault.list_properties_of_secret_versions("mail-password"))) == 2


def test_a_list_has_all_names_over_several_pages(vault: SecretClient, simulators: Simulators) -> None:
    for number in range(30):
        simulators.vault.put(f"secret-{number}", "x")

    assert len({item.name for item in vault.list_properties_of_secrets(max_page_size=10)}) == 30


def test_an_unknown_secret_is_not_found(vault: SecretClient) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        vault.get_secret("nothing")

    assert caught.value.error is not None
    assert caught.value.error.code == "SecretNotFound"


def test_a_disabled_secret_is_not_handed_out(vault: SecretClient, simulators: Simulators) -> None:
    simulators.vault.put("mail", "x", enabled=False)

    with pytest.raises(HttpResponseError) as caught:
        vault.get_secret("mail")

    assert caught.value.status_code == 403


@pytest.mark.parametrize("access", ["", "user"])
def test_the_role_of_the_app_decides_what_it_may_do(vault: SecretClient, simulators: Simulators, access: str) -> None:
    simulators.vault.put("mail", "x")
    simulators.entra.add_app(APP, SECRET, vault=access)

    if access:
        assert vault.get_secret("mail").value == "x"
    with pytest.raises(HttpResponseError) as caught:
        vault.set_secret("mail", "y")
    assert caught.value.status_code == 403


def test_a_deleted_secret_keeps_its_name_until_it_is_purged(vault: SecretClient) -> None:
    vault.set_secret("mail", "x")
    vault.begin_delete_secret("mail").wait()

    with pytest.raises(ResourceNotFoundError):
        vault.get_secret("mail")
    with pytest.raises(ResourceExistsError):
        vault.set_secret("mail", "y")
    vault.purge_deleted_secret("mail")
    assert vault.set_secret("mail", "y").value == "y"


def test_a_deleted_secret_can_be_recovered(vault: SecretClient) -> None:
    vault.set_secret("mail", "x")
    vault.begin_delete_secret("mail").wait()

    vault.begin_recover_deleted_secret("mail").wait()

    assert vault.get_secret("mail").value == "x"
