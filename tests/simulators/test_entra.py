import msal
import pytest

from local.simulators import HOME_TENANT, Simulators
from tests.clock import MovableClock
from tests.simulators.conftest import APP, SECRET, Client

DISABLED_APP = "cccccccc-0000-4000-8000-000000000001"
TWO_RESOURCES = "https://graph.microsoft.com/.default https://vault.azure.net/.default"


def test_msal_gets_a_token_with_a_client_secret(simulators: Simulators, client: Client) -> None:
    app = msal.ConfidentialClientApplication(
        APP,
        client_credential=SECRET,
        authority=f"{simulators.url}/{HOME_TENANT}",
        instance_discovery=False,
        http_client=client.session,
    )

    answer = app.acquire_token_for_client([f"{simulators.url}/.default"])

    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 3599


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"client_secret": "wrong"}, (401, "invalid_client", 7000215)),
        ({"client_secret": None}, (401, "invalid_client", 7000218)),
        ({"client_secret": "old"}, (401, "invalid_client", 7000222)),
        ({"client_id": "bbbbbbbb-0000-4000-8000-000000000001"}, (400, "unauthorized_client", 700016)),
        ({"client_id": DISABLED_APP}, (400, "unauthorized_client", 7000112)),
        ({"client_id": None}, (400, "invalid_request", 900144)),
        ({"tenant": "99999999-2222-3333-4444-555555555555"}, (400, "invalid_request", 90002)),
        ({"tenant": "common"}, (400, "invalid_request", 9001023)),
        ({"scope": None}, (400, "invalid_request", 900144)),
        ({"scope": "https://graph.microsoft.com/Mail.Read"}, (400, "invalid_scope", 70011)),
        ({"scope": "https://nowhere.example/.default"}, (400, "invalid_resource", 500011)),
        ({"scope": TWO_RESOURCES}, (400, "invalid_request", 700022)),
        ({"grant_type": "password"}, (400, "unsupported_grant_type", 70003)),
        ({"grant_type": None}, (400, "invalid_request", 900144)),
    ],
)
def test_a_wrong_request_is_refused_as_entra_id_does(
    simulators: Simulators, client: Client, fields: dict[str, str | None], refusal: tuple[int, str, int]
) -> None:
    simulators.entra.add_app(APP, SECRET).secrets["old"] = 0
    simulators.entra.add_app(DISABLED_APP, SECRET, enabled=False)

    answer = client.form(**fields)

    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"][0]) == refusal
    assert body["error_description"].startswith(f"AADSTS{refusal[2]}: ")


def test_an_unknown_tenant_has_no_configuration(client: Client) -> None:
    answer = client.request("GET", "/nowhere.example/v2.0/.well-known/openid-configuration")

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_tenant"
    assert answer.json()["error_codes"] == [90002]


def test_a_tenant_is_known_by_its_domains(simulators: Simulators, client: Client) -> None:
    simulators.entra.add_tenant(HOME_TENANT, ["example.com"])

    assert client.form(tenant="Example.com").status_code == 200


def test_a_client_may_name_itself_by_http_basic(client: Client) -> None:
    form = {"grant_type": "client_credentials", "scope": "https://graph.microsoft.com/.default"}

    answer = client.request("POST", f"/{HOME_TENANT}/oauth2/v2.0/token", data=form, auth=(APP, SECRET))

    assert answer.status_code == 200


def test_a_secret_works_until_it_expires(simulators: Simulators, client: Client, clock: MovableClock) -> None:
    simulators.entra.add_app(APP).secrets["short"] = clock().timestamp() + 60
    assert client.form(client_secret="short").status_code == 200

    clock.advance(seconds=60)

    assert client.form(client_secret="short").json()["error_codes"] == [7000222]


def test_a_token_lives_as_long_as_the_registration_says(simulators: Simulators, client: Client) -> None:
    simulators.entra.add_app(APP, SECRET, token_seconds=60)

    assert client.form().json()["expires_in"] == 60
