"""People sign in with a browser; what they allow goes into Key Vault (req A5-A7)."""

from dataclasses import replace
from ssl import create_default_context
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient

from local.simulators import HOME_TENANT, Simulators
from local.simulators.entra_users import PERSONAL_TENANT
from shared.adapters.tokens import Tokens
from shared.application.services import Services
from shared.domain.sign_in import NewSignIn
from shared.entrypoints.http.app import build
from tests.clock import MovableClock
from tests.proxy import ProxyServer

REDIRECT = "https://mailroom.example/hooks/sign-in"
CLIENT = "cccccccc-0000-4000-8000-000000000003"
ANN, BOB = "ann@example.com", "bob@example.com"
USED = "used before"


class Provider:
    """One of the simulated services, with a client that may sign people in."""

    def __init__(self, simulators: Simulators, kind: str) -> None:
        self.simulators = simulators
        self.kind = kind
        self.secret = f"refresh-{kind.replace('_', '-')}"
        self.purpose = {"google_user": "gmail"}.get(kind, "graph")
        common = {"kind": kind, "client_id": CLIENT, "client_secret": "client", "refresh_token_secret": self.secret}
        self.sign_in: dict[str, Any] = (
            common
            | {
                "microsoft_user": {"tenant": HOME_TENANT},
                "google_user": {},
                "oauth2": {
                    "authorization_url": f"{simulators.url}/oauth/authorize",
                    "token_url": f"{simulators.url}/oauth/token",
                    "scopes": "mail",
                },
            }[kind]
        )

    def sit_down(self, user: str | None) -> None:
        """At the browser; None cancels."""
        service = {"microsoft_user": "users", "google_user": "google", "oauth2": "oauth"}[self.kind]
        getattr(self.simulators, service).sign_in(user)


@pytest.fixture(params=["microsoft_user", "google_user", "oauth2"])
def provider(vault: Simulators, request: pytest.FixtureRequest) -> Provider:
    return prepared(vault, request.param)


@pytest.fixture
def generic(vault: Simulators) -> Provider:
    return prepared(vault, "oauth2")


def prepared(vault: Simulators, kind: str) -> Provider:
    vault.vault.put("client", "the-client-secret")
    vault.entra.add_app(CLIENT, "the-client-secret", redirect_uris=[REDIRECT])
    for clients in (vault.google.clients, vault.oauth.clients):
        clients.add(CLIENT, "the-client-secret", [REDIRECT])
    for user in (ANN, BOB):
        vault.users.add(user, tenant=HOME_TENANT)
        vault.google.add_account(user)
    made = Provider(vault, kind)
    made.sit_down(ANN)
    return made


def started(api: TestClient, provider: Provider) -> dict[str, Any]:
    answer = api.post("/api/sign-ins", json={"sign_in": provider.sign_in})
    assert answer.status_code == 201, answer.text
    return answer.json()


def browsed(provider: Provider, url: str) -> dict[str, str]:
    """What the browser comes back with."""
    answer = httpx.get(url, verify=create_default_context(cafile=provider.simulators.ca_file), trust_env=False)
    assert answer.status_code == 302, answer.text
    location = answer.headers["Location"]
    assert location.startswith(f"{REDIRECT}?")
    return dict(parse_qsl(urlsplit(location).query))


def come_back(api: TestClient, query: dict[str, str]) -> httpx.Response:
    return api.get("/hooks/sign-in", params=query)


def refused(api: TestClient, query: dict[str, str], why: str) -> None:
    answer = come_back(api, query)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/html")
    assert why in answer.text


def test_whoever_signs_in_gives_a_refresh_token_that_gives_access_tokens(
    api: TestClient, provider: Provider, services: Services, clock: MovableClock
):
    begun = started(api, provider)

    page = come_back(api, browsed(provider, begun["authorization_url"]))

    assert page.status_code == 200
    sign_in = NewSignIn.model_validate({"sign_in": provider.sign_in}).sign_in
    assert Tokens(services.settings, services.secrets, clock).token(sign_in, provider.purpose)
    shown = api.get(f"/api/sign-ins/{begun['id']}").json()
    assert (shown["status"], shown["error"]) == ("done", "")
    assert shown["account"] == ("" if provider.kind == "oauth2" else ANN)


def test_no_token_and_no_code_is_shown_or_kept_outside_the_vault(
    api: TestClient, provider: Provider, services: Services, composed: Services
):
    begun = started(api, provider)
    query = browsed(provider, begun["authorization_url"])
    page = come_back(api, query)

    [row] = [row for row in composed.sign_ins._table.client.list_entities() if row["RowKey"] == begun["id"]]
    seen = page.text + api.get(f"/api/sign-ins/{begun['id']}").text + str(dict(row)) + str(page.headers)
    for secret in (services.secrets.get(provider.secret), query["code"], query["state"], "the-client-secret"):
        assert secret not in seen


def test_the_page_holds_no_script_and_is_not_kept(api: TestClient, generic: Provider):
    page = come_back(api, {"state": "<script>"})

    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "<script" not in page.text


def test_signing_in_again_changes_the_account(api: TestClient, provider: Provider, services: Services):
    come_back(api, browsed(provider, started(api, provider)["authorization_url"]))
    before = services.secrets.get(provider.secret)
    provider.sit_down(BOB)

    page = come_back(api, browsed(provider, started(api, provider)["authorization_url"]))

    assert page.status_code == 200
    assert services.secrets.get(provider.secret) != before


def test_who_does_not_agree_is_told_so(api: TestClient, provider: Provider, services: Services):
    provider.sit_down(None)
    begun = started(api, provider)

    refused(api, browsed(provider, begun["authorization_url"]), "did not agree")

    shown = api.get(f"/api/sign-ins/{begun['id']}").json()
    assert shown["status"] == "failed"
    assert shown["advice"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("consent_required", "an administrator"),
        ("temporarily_unavailable", "out of order"),
        ("something_new", "something_new"),
        ("<b>New</b> secret-1", "an error of its own"),
    ],
)
def test_why_the_provider_sent_the_browser_back_is_told_by_its_code(
    api: TestClient, generic: Provider, error: str, told: str
):
    query = browsed(generic, started(api, generic)["authorization_url"])

    refused(api, {"state": query["state"], "error": error}, told)


def test_a_state_that_is_not_ours_is_refused(api: TestClient, generic: Provider):
    query = browsed(generic, started(api, generic)["authorization_url"])

    refused(api, query | {"state": "made-up"}, "not begun here")
    refused(api, {"code": query["code"]}, "not begun here")


def test_a_state_works_once(api: TestClient, generic: Provider):
    query = browsed(generic, started(api, generic)["authorization_url"])
    come_back(api, query)

    refused(api, query, USED)


def test_a_state_works_once_also_where_the_sign_in_failed(api: TestClient, generic: Provider):
    query = browsed(generic, started(api, generic)["authorization_url"])
    refused(api, query | {"code": "guessed"}, "invalid_grant")

    refused(api, query, USED)


def test_a_state_expires_after_ten_minutes(api: TestClient, generic: Provider, clock: MovableClock):
    begun = started(api, generic)
    query = browsed(generic, begun["authorization_url"])

    clock.advance(minutes=10)

    refused(api, query, "has expired")
    assert api.get(f"/api/sign-ins/{begun['id']}").json()["status"] == "failed"


def test_a_code_that_was_asked_for_with_another_verifier_is_refused(api: TestClient, provider: Provider):
    """Somebody else's code, slipped into this browser, is of no use."""
    other = browsed(provider, started(api, provider)["authorization_url"])
    ours = browsed(provider, started(api, provider)["authorization_url"])

    refused(api, ours | {"code": other["code"]}, "You are not signed in")


@pytest.mark.parametrize("id_token", [7, "", "e30", "e30.e30.x", "e30.eyJub25jZSI6ICJhbm90aGVyIn0.x", "a.a.a"])
def test_what_microsoft_gives_for_another_sign_in_is_refused(api: TestClient, vault: Simulators, id_token: object):
    """The nonce tells (OpenID Connect Core section 3.1.3.7)."""
    microsoft = prepared(vault, "microsoft_user")
    query = browsed(microsoft, started(api, microsoft)["authorization_url"])
    given = {"access_token": "x", "expires_in": 3600, "refresh_token": "renewed", "id_token": id_token}
    vault.faults.add("entra.token", status=200, body=given)

    refused(api, query, "makes no sense")

    assert "renewed" not in [version.value for each in vault.vault.all() for version in each.versions]


def test_a_provider_that_gives_no_refresh_token_is_told_with_advice(
    api: TestClient, generic: Provider, vault: Simulators
):
    begun = started(api, generic)
    query = browsed(generic, begun["authorization_url"])
    vault.faults.add("oauth.token", status=200, body={"access_token": "x", "expires_in": 3600})

    refused(api, query, "offline_access")


def test_the_request_proves_its_origin_with_s256(api: TestClient, provider: Provider):
    query = parse_qs(urlsplit(started(api, provider)["authorization_url"]).query)

    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == [REDIRECT]
    assert len(query["state"][0]) >= 43


def test_what_a_person_is_asked_for_follows_from_the_purposes(api: TestClient, vault: Simulators):
    microsoft = prepared(vault, "microsoft_user")

    body = {"sign_in": microsoft.sign_in, "purposes": ["imap", "smtp"]}
    url = api.post("/api/sign-ins", json=body).json()["authorization_url"]

    names = {scope.rpartition("/")[2] for scope in parse_qs(urlsplit(url).query)["scope"][0].split()}
    assert names == {"IMAP.AccessAsUser.All", "SMTP.Send", "offline_access", "openid", "profile"}


@pytest.mark.parametrize("purposes", [["graph"], ["imap", "smtp"]])
def test_a_personal_account_is_not_asked_for_what_only_work_accounts_have(
    api: TestClient, vault: Simulators, purposes: list[str]
):
    microsoft = prepared(vault, "microsoft_user")
    vault.users.add(ANN, tenant=PERSONAL_TENANT)

    body = {"sign_in": microsoft.sign_in | {"tenant": "consumers"}, "purposes": purposes}
    url = api.post("/api/sign-ins", json=body).json()["authorization_url"]

    assert come_back(api, browsed(microsoft, url)).status_code == 200


def test_a_sign_in_is_finished_through_the_proxy_of_its_mailbox(api: TestClient, provider: Provider):
    with ProxyServer().running() as proxy:
        settings = {"kind": "http", "host": "localhost", "port": proxy.port}
        begun = api.post("/api/sign-ins", json={"sign_in": provider.sign_in, "proxy": settings}).json()
        page = come_back(api, browsed(provider, begun["authorization_url"]))

    assert page.status_code == 200
    assert proxy.targets


def test_an_old_sign_in_is_forgotten_when_a_new_one_begins(api: TestClient, generic: Provider, clock: MovableClock):
    old = started(api, generic)["id"]
    clock.advance(days=2)

    started(api, generic)

    assert api.get(f"/api/sign-ins/{old}").status_code == 404


def test_a_wrong_configuration_is_refused_with_its_problems(api: TestClient, generic: Provider):
    answer = api.post("/api/sign-ins", json={"sign_in": generic.sign_in | {"token_url": "http://plain.example"}})

    assert answer.status_code == 422
    assert [each["path"] for each in answer.json()["problems"]] == ["$.sign_in.token_url"]


def test_a_missing_client_secret_is_told_before_anybody_signs_in(api: TestClient, generic: Provider):
    answer = api.post("/api/sign-ins", json={"sign_in": generic.sign_in | {"client_secret": "nowhere"}})

    assert (answer.status_code, answer.json()["type"]) == (422, "urn:mailroom:secret_missing")


@pytest.mark.parametrize(("setting", "value", "status"), [("public_url", "", 409), ("allow_secret_writes", False, 403)])
def test_a_deployment_that_cannot_finish_a_sign_in_begins_none(
    services: Services, generic: Provider, setting: str, value: object, status: int
):
    services = replace(services, settings=replace(services.settings, **{setting: value}))

    answer = TestClient(build(services)).post("/api/sign-ins", json={"sign_in": generic.sign_in})

    assert answer.status_code == status
