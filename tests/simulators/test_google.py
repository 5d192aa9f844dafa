import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
import requests
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.oauth2 import credentials, service_account

from local.simulators import Simulators
from local.simulators.google import MODIFY, READONLY, new_key_file
from tests.clock import MovableClock
from tests.simulators.conftest import Client

ANN = "ann@gmail.example"
BACK = "https://mailroom.example.com/oauth/callback"
ROBOT = "mailroom@project.iam.gserviceaccount.com"
BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@pytest.fixture(autouse=True)
def ann(simulators: Simulators) -> None:
    simulators.gmail.mailboxes.add(ANN)
    simulators.google.sign_in(ANN)
    simulators.google.clients.add("client", "client-secret", [BACK])


def ask(client: Client, **fields: str) -> dict[str, str]:
    query = {"client_id": "client", "response_type": "code", "redirect_uri": BACK, "scope": MODIFY} | fields
    answer = client.request("GET", "/o/oauth2/v2/auth", params=query, allow_redirects=False)
    assert answer.status_code == 302
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


def token(client: Client, **fields: str) -> requests.Response:
    form = {"client_id": "client", "client_secret": "client-secret", "grant_type": "authorization_code"}
    return client.request("POST", "/token", data=form | {"redirect_uri": BACK} | fields)


@pytest.fixture
def consent(client: Client) -> str:
    """A refresh token."""
    code = ask(client, access_type="offline", prompt="consent")["code"]
    return str(token(client, code=code).json()["refresh_token"])


@pytest.fixture(scope="module")
def key_file() -> dict[str, str]:
    return new_key_file(ROBOT, "")


@pytest.fixture
def robot(key_file: dict[str, str], simulators: Simulators, clock: MovableClock) -> dict[str, str]:
    """The key file of a service account that may do MODIFY for everybody; google-auth signs by the real clock."""
    clock.now = datetime.now(UTC)
    simulators.google.add_service_account(key_file, [MODIFY])
    return key_file | {"token_uri": f"{simulators.url}/token"}


@pytest.fixture
def sign(robot: dict[str, str], client: Client, clock: MovableClock) -> Callable[..., requests.Response]:
    """Ask for a token with a JWT that is right but for the claims given."""

    def answer(key: str = robot["private_key"], key_id: str = robot["private_key_id"], **claims: Any) -> Any:
        now = int(clock().timestamp())
        right = {"iss": ROBOT, "scope": MODIFY, "aud": robot["token_uri"], "iat": now, "exp": now + 3600, "sub": ANN}
        assertion = jwt.encode(right | claims, key, "RS256", headers={"kid": key_id})
        return client.request("POST", "/token", data={"grant_type": BEARER, "assertion": assertion})

    return answer


def test_google_auth_refreshes_and_reads_mail(consent: str, client: Client) -> None:
    signed_in = credentials.Credentials(
        None,
        refresh_token=consent,
        token_uri=f"{client.url}/token",
        client_id="client",
        client_secret="client-secret",
    )

    signed_in.refresh(Request(session=client.session))

    assert signed_in.token.startswith("ya29.")
    assert signed_in.refresh_token == consent
    headers = {"Authorization": f"Bearer {signed_in.token}"}
    assert client.request("GET", "/gmail/v1/users/me/profile", headers=headers).json()["emailAddress"] == ANN


def test_google_auth_reads_mail_by_domain_wide_delegation(robot: dict[str, str], client: Client) -> None:
    account = service_account.Credentials.from_service_account_info(robot, scopes=[MODIFY], subject=ANN)

    account.refresh(Request(session=client.session))

    headers = {"Authorization": f"Bearer {account.token}"}
    assert client.request("GET", "/gmail/v1/users/me/profile", headers=headers).json()["emailAddress"] == ANN


def test_google_auth_is_refused_what_was_not_delegated(robot: dict[str, str], client: Client) -> None:
    account = service_account.Credentials.from_service_account_info(robot, scopes=[READONLY], subject=ANN)

    with pytest.raises(RefreshError, match="unauthorized_client"):
        account.refresh(Request(session=client.session))


@pytest.mark.parametrize(
    ("claims", "refusal"),
    [
        ({"aud": "https://elsewhere.example/token"}, (400, "invalid_grant", "audience")),
        ({"iat": 1, "exp": 3601}, (400, "invalid_grant", "short-lived")),
        ({"exp": 4102444800}, (400, "invalid_grant", "short-lived")),
        ({"scope": ""}, (400, "invalid_scope", "scope")),
        ({"scope": "https://www.googleapis.com/auth/colour"}, (400, "invalid_scope", "scope")),
        ({"scope": READONLY}, (401, "unauthorized_client", "not authorized")),
        ({"sub": "nobody@gmail.example"}, (400, "invalid_grant", "Invalid email or User ID")),
        ({"iss": "another@project.iam.gserviceaccount.com"}, (400, "invalid_grant", "Signature")),
        ({"key_id": "unknown"}, (400, "invalid_grant", "Signature")),
    ],
)
def test_an_assertion_must_be_right_in_every_claim(
    sign: Callable[..., requests.Response], claims: dict[str, Any], refusal: tuple[int, str, str]
) -> None:
    assert sign().status_code == 200

    answer = sign(**claims)

    assert (answer.status_code, answer.json()["error"]) == refusal[:2]
    assert refusal[2] in answer.json()["error_description"]


def test_a_signature_is_checked_with_the_registered_key(sign: Callable[..., requests.Response]) -> None:
    assert "Signature" in sign(key=new_key_file(ROBOT, "")["private_key"]).json()["error_description"]


def test_a_service_account_for_itself_has_no_mail(sign: Callable[..., requests.Response], client: Client) -> None:
    headers = {"Authorization": f"Bearer {sign(sub=ROBOT).json()['access_token']}"}

    assert client.request("GET", "/gmail/v1/users/me/profile", headers=headers).status_code == 400


def test_a_code_with_pkce_is_redeemed_once_by_its_verifier(client: Client) -> None:
    challenge = {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 appendix B
    code = ask(client, **challenge, state="s1")

    assert token(client, code=code["code"], code_verifier=verifier).json()["scope"] == MODIFY
    assert token(client, code=code["code"], code_verifier=verifier).json()["error"] == "invalid_grant"
    wrong = token(client, code=ask(client, **challenge)["code"], code_verifier="another").json()
    assert wrong["error_description"] == "Invalid code verifier."
    elsewhere = token(client, code=ask(client)["code"], redirect_uri="https://elsewhere.example/").json()
    assert elsewhere["error"] == "redirect_uri_mismatch"
    assert code["state"] == "s1"


def test_a_refresh_token_comes_with_the_first_consent_or_a_new_one(client: Client) -> None:
    def has_one(**fields: str) -> bool:
        return "refresh_token" in token(client, code=ask(client, **fields)["code"]).json()

    assert not has_one()
    assert has_one(access_type="offline")
    assert not has_one(access_type="offline")
    assert has_one(access_type="offline", prompt="consent")


def test_who_signed_in_stands_in_the_id_token(client: Client) -> None:
    answer = token(client, code=ask(client, scope=f"openid email {MODIFY}")["code"]).json()

    claims = jwt.decode(answer["id_token"], options={"verify_signature": False})
    assert (claims["email"], claims["aud"]) == (ANN, "client")


def test_a_revoked_account_refreshes_no_more(simulators: Simulators, consent: str, client: Client) -> None:
    fields = {"grant_type": "refresh_token", "refresh_token": consent}
    access = token(client, **fields).json()["access_token"]

    simulators.google.revoke(ANN)

    refused = token(client, **fields)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert refused.json()["error_description"] == "Token has been expired or revoked."
    headers = {"Authorization": f"Bearer {access}"}
    assert client.request("GET", "/gmail/v1/users/me/profile", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"client_id": "nobody"}, (401, "invalid_client", "The OAuth client was not found.")),
        ({"client_secret": "wrong"}, (401, "invalid_client", "Unauthorized")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type", "Invalid grant_type: password")),
        ({"code": "nonsense"}, (400, "invalid_grant", "Malformed auth code.")),
    ],
)
def test_a_wrong_request_is_refused_as_google_does(
    client: Client, fields: dict[str, str], refusal: tuple[int, str, str]
) -> None:
    answer = token(client, **{"code": ask(client)["code"]} | fields)

    assert (answer.status_code, *answer.json().values()) == refusal


def test_who_cancels_sends_an_error_back(simulators: Simulators, client: Client) -> None:
    simulators.google.sign_in(None)

    assert ask(client)["error"] == "access_denied"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"client_id": "nobody"}, "invalid_client"),
        ({"redirect_uri": "https://elsewhere.example/"}, "redirect_uri_mismatch"),
        ({"scope": "https://www.googleapis.com/auth/colour"}, "invalid_scope"),
    ],
)
def test_a_wrong_sign_in_is_told_to_the_person_alone(client: Client, fields: dict[str, str], text: str) -> None:
    query = {"client_id": "client", "response_type": "code", "redirect_uri": BACK, "scope": MODIFY} | fields

    answer = client.request("GET", "/o/oauth2/v2/auth", params=query, allow_redirects=False)

    assert answer.status_code == 400
    assert re.search(text, answer.text)
