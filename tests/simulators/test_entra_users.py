import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import msal
import pytest

from local.simulators import HOME_TENANT, Simulators
from tests.clock import MovableClock
from tests.simulators.conftest import APP, MAILBOX, SECRET, Client

ANN = MAILBOX
BACK = "https://mailroom.example.com/oauth/callback"
MAIL = "https://graph.microsoft.com/Mail.ReadWrite"
IMAP = "https://outlook.office.com/IMAP.AccessAsUser.All"
AUTHORIZE = f"/{HOME_TENANT}/oauth2/v2.0/authorize"


@pytest.fixture(autouse=True)
def ann(simulators: Simulators) -> None:
    simulators.entra.add_app(APP, SECRET, redirect_uris=[BACK])
    simulators.users.add(ANN)
    simulators.users.sign_in(ANN)


@pytest.fixture
def app(simulators: Simulators, client: Client) -> msal.ConfidentialClientApplication:
    return msal.ConfidentialClientApplication(
        APP,
        client_credential=SECRET,
        authority=f"{simulators.url}/{HOME_TENANT}",
        instance_discovery=False,
        http_client=client.session,
    )


def visit(client: Client, url: str) -> dict[str, str]:
    """What the browser brings back."""
    answer = client.request("GET", url, allow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(BACK)
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


def ask(client: Client, **fields: str) -> dict[str, str]:
    query = {"client_id": APP, "response_type": "code", "redirect_uri": BACK, "scope": f"offline_access {MAIL}"}
    return visit(client, f"{client.url}{AUTHORIZE}?" + "&".join(f"{k}={v}" for k, v in (query | fields).items() if v))


@pytest.fixture
def refresh(client: Client) -> Callable[..., dict]:
    def refreshed(token: str, /, **fields: str | None) -> dict:
        return client.form(grant_type="refresh_token", refresh_token=token, **{"scope": None} | fields).json()

    return refreshed


@pytest.fixture
def redeem(client: Client) -> Callable[..., dict]:
    def redeemed(code: str, /, **fields: str | None) -> dict:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "scope": None}
        return client.form(**form | fields).json()

    return redeemed


def test_msal_signs_a_user_in_with_pkce_and_refreshes(
    app: msal.ConfidentialClientApplication, client: Client, clock: MovableClock
) -> None:
    clock.now = datetime.now(UTC)
    flow = app.initiate_auth_code_flow([MAIL], redirect_uri=BACK, response_mode="form_post")

    page = client.request("GET", flow["auth_uri"]).text
    posted = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page))
    answer = app.acquire_token_by_auth_code_flow(flow, posted)
    refreshed = app.acquire_token_by_refresh_token(answer["refresh_token"], [MAIL])

    assert answer["id_token_claims"]["preferred_username"] == ANN
    assert answer["scope"].split()[0] == MAIL
    assert refreshed["refresh_token"] != answer["refresh_token"]


def test_a_user_token_opens_the_mailbox_of_the_user_and_shared_ones(
    simulators: Simulators, client: Client, redeem: Callable[..., dict]
) -> None:
    simulators.graph.mailboxes.add("team@example.com")
    simulators.graph.mailboxes.add("boss@example.com")
    simulators.users.add(ANN, shared=["Team@example.com"])
    token = redeem(ask(client, scope=f"{MAIL} {MAIL}.Shared")["code"])["access_token"]
    client.session.headers["Authorization"] = f"Bearer {token}"

    statuses = [
        client.request("GET", f"/v1.0/users/{address}/mailFolders").status_code
        for address in (ANN, "team@example.com", "boss@example.com")
    ]

    assert statuses == [200, 200, 403]


def test_a_used_refresh_token_stays_good_beside_its_successor(
    client: Client, redeem: Callable[..., dict], refresh: Callable[..., dict]
) -> None:
    first = redeem(ask(client)["code"])["refresh_token"]

    second = refresh(first)["refresh_token"]

    assert second != first
    assert "access_token" in refresh(first)
    assert "access_token" in refresh(second)


def test_without_offline_access_there_is_no_refresh_token(client: Client, redeem: Callable[..., dict]) -> None:
    assert "refresh_token" not in redeem(ask(client, scope=MAIL)["code"])


def test_a_refresh_token_serves_every_resource_that_was_consented_to(
    client: Client, redeem: Callable[..., dict], refresh: Callable[..., dict]
) -> None:
    token = redeem(ask(client, scope=f"offline_access {MAIL} {IMAP}")["code"], scope=MAIL)["refresh_token"]

    assert refresh(token, scope=IMAP)["scope"] == "https://outlook.office365.com/IMAP.AccessAsUser.All"
    assert refresh(token)["error_codes"] == [700022]
    assert refresh(token, scope="Mail.Send")["error_codes"] == [65001]


def test_a_refresh_token_expires_after_90_days_without_use(
    client: Client, redeem: Callable[..., dict], refresh: Callable[..., dict], clock: MovableClock
) -> None:
    first = redeem(ask(client)["code"])["refresh_token"]
    clock.advance(days=60)
    second = refresh(first)["refresh_token"]
    clock.advance(days=30)

    assert refresh(first)["error_codes"] == [700082]
    assert "access_token" in refresh(second)


def test_a_revoked_refresh_token_asks_for_a_new_sign_in(
    simulators: Simulators, client: Client, redeem: Callable[..., dict], refresh: Callable[..., dict]
) -> None:
    token = redeem(ask(client)["code"])["refresh_token"]

    simulators.users.revoke(ANN)

    assert refresh(token)["error_codes"] == [50173]
    assert "access_token" in refresh(redeem(ask(client)["code"])["refresh_token"])


def test_a_user_in_trouble_must_sign_in_again(
    simulators: Simulators, client: Client, redeem: Callable[..., dict], refresh: Callable[..., dict]
) -> None:
    token = redeem(ask(client)["code"])["refresh_token"]

    simulators.users.add(ANN, trouble=50076)

    refused = refresh(token)
    assert (refused["error"], refused["error_codes"]) == ("interaction_required", [50076])
    redeem(ask(client)["code"])
    assert "access_token" in refresh(token)


def test_a_refresh_token_belongs_to_one_app(
    simulators: Simulators, client: Client, redeem: Callable[..., dict], refresh: Callable[..., dict]
) -> None:
    other = "bbbbbbbb-0000-4000-8000-000000000001"
    simulators.entra.add_app(other, SECRET)
    token = redeem(ask(client)["code"])["refresh_token"]

    assert refresh(token, client_id=other)["error_codes"] == [70000]
    assert refresh(token, client_secret="wrong")["error_codes"] == [7000215]
    assert refresh("nonsense")["error_codes"] == [70000]


def test_a_public_app_needs_no_secret_for_users_but_for_itself(
    simulators: Simulators, client: Client, redeem: Callable[..., dict]
) -> None:
    simulators.entra.add_app(APP, public=True, redirect_uris=[BACK])

    assert "access_token" in redeem(ask(client)["code"], client_secret=None)
    assert client.form(client_secret=None).json()["error_codes"] == [7000218]


def test_users_may_sign_in_without_naming_their_tenant(client: Client, redeem: Callable[..., dict]) -> None:
    query = f"client_id={APP}&response_type=code&redirect_uri={BACK}&scope={MAIL}"

    code = visit(client, f"{client.url}/organizations/oauth2/v2.0/authorize?{query}")["code"]

    assert "access_token" in redeem(code, tenant="organizations")


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"code": "nonsense"}, 70000),
        ({"redirect_uri": "https://elsewhere.example/"}, 500112),
        ({"code_verifier": "another" * 8}, 501481),
        ({"code_verifier": None}, 501481),
        ({"client_id": "bbbbbbbb-0000-4000-8000-000000000001"}, 70000),
    ],
)
def test_a_code_is_for_the_client_that_asked_and_its_verifier(
    simulators: Simulators, client: Client, redeem: Callable[..., dict], fields: dict[str, str | None], refusal: int
) -> None:
    simulators.entra.add_app("bbbbbbbb-0000-4000-8000-000000000001", SECRET)
    challenge = {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 appendix B
    assert "access_token" in redeem(ask(client, **challenge)["code"], code_verifier=verifier)

    refused = redeem(ask(client, **challenge)["code"], **{"code_verifier": verifier} | fields)

    assert refused["error_codes"] == [refusal]


def test_a_code_works_once_and_for_ten_minutes(
    client: Client, redeem: Callable[..., dict], clock: MovableClock
) -> None:
    code = ask(client)["code"]
    redeem(code)
    late = ask(client)["code"]
    clock.advance(minutes=10)

    assert redeem(code)["error_codes"] == [54005]
    assert redeem(late)["error_codes"] == [70008]


def test_the_state_comes_back_with_a_code_and_with_an_error(simulators: Simulators, client: Client) -> None:
    assert ask(client, state="s1")["state"] == "s1"

    simulators.users.sign_in(None)

    cancelled = ask(client, state="s2")
    assert (cancelled["error"], cancelled["state"]) == ("access_denied", "s2")
    assert cancelled["error_description"].startswith("AADSTS65004")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": ""}, "invalid_scope"),
        ({"code_challenge": "abc", "code_challenge_method": "plain"}, "invalid_request"),
    ],
)
def test_a_wrong_sign_in_is_told_to_the_app(client: Client, fields: dict[str, str], error: str) -> None:
    assert ask(client, **fields)["error"] == error


@pytest.mark.parametrize("fields", [{"client_id": "nobody"}, {"redirect_uri": "https://elsewhere.example/"}])
def test_the_browser_is_sent_to_no_unknown_address(client: Client, fields: dict[str, str]) -> None:
    query = {"client_id": APP, "response_type": "code", "redirect_uri": BACK, "scope": MAIL} | fields

    answer = client.request("GET", AUTHORIZE, params=query, allow_redirects=False)

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "text/html"
