import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import msal
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from local.simulators import HOME_TENANT, Simulators
from local.simulators.entra_assertions import EXCHANGE_TOKENS, IDENTITY_HEADER
from tests.clock import MovableClock
from tests.simulators.conftest import APP, MAILBOX, Client

IDENTITY = "dddddddd-0000-4000-8000-000000000001"
PRINCIPAL = "eeeeeeee-0000-4000-8000-000000000001"
ISSUER = f"https://login.microsoftonline.com/{HOME_TENANT}/v2.0"
TRUST = {"issuer": ISSUER, "subject": PRINCIPAL, "audiences": [EXCHANGE_TOKENS]}
BY_ASSERTION = {
    "client_secret": None,
    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
}


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mailroom")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256())


@pytest.fixture
def pem(certificate: x509.Certificate, simulators: Simulators, clock: MovableClock) -> str:
    """Registered for the app; MSAL signs by the real clock."""
    clock.now = datetime.now(UTC)
    text = certificate.public_bytes(serialization.Encoding.PEM).decode()
    simulators.entra.add_app(APP, certificates=[text])
    return text


@pytest.fixture
def sign(
    key: rsa.RSAPrivateKey, certificate: x509.Certificate, pem: str, client: Client
) -> Callable[..., dict[str, Any]]:
    """Ask for a token with an assertion that is right but for the claims given; None leaves one out."""

    def answer(algorithm: str = "PS256", by: rsa.RSAPrivateKey = key, **claims: Any) -> dict[str, Any]:
        thumbprint = jwt.utils.base64url_encode(certificate.fingerprint(hashes.SHA256())).decode()
        now, endpoint = time.time(), f"{client.url}/{HOME_TENANT}/oauth2/v2.0/token"
        right = {"aud": endpoint, "iss": APP, "sub": APP, "jti": "1", "nbf": now - 60, "exp": now + 600}
        claimed = {name: value for name, value in (right | claims).items() if value is not None}
        assertion = jwt.encode(claimed, by, algorithm, headers={"x5t#S256": thumbprint})
        return client.form(client_assertion=assertion, **BY_ASSERTION).json()

    return answer


@pytest.fixture
def identity_token(simulators: Simulators, client: Client) -> Callable[..., Any]:
    simulators.identities.add(IDENTITY, PRINCIPAL, resource_id="/sub/identity", vault="user")

    def get(resource: str = EXCHANGE_TOKENS, header: str = IDENTITY_HEADER, **query: str) -> Any:
        query = {"api-version": "2019-08-01", "resource": resource} | query
        return client.request("GET", "/msi/token", params=query, headers={"X-IDENTITY-HEADER": header})

    return get


@pytest.mark.parametrize("by_sha1", [False, True])
def test_msal_gets_a_token_with_a_certificate(
    key: rsa.RSAPrivateKey, certificate: x509.Certificate, pem: str, client: Client, by_sha1: bool
) -> None:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    thumbprint = certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303 - what older clients send
    known = {"thumbprint": thumbprint} if by_sha1 else {"public_certificate": pem}
    app = msal.ConfidentialClientApplication(
        APP,
        client_credential={"private_key": private.decode(), **known},
        authority=f"{client.url}/{HOME_TENANT}",
        instance_discovery=False,
        http_client=client.session,
    )

    answers = [
        app.acquire_token_for_client([scope])
        for scope in (f"{client.url}/.default", "https://vault.azure.net/.default")
    ]

    assert [answer.get("token_type") for answer in answers] == ["Bearer", "Bearer"]


@pytest.mark.parametrize(
    ("claims", "refusal"),
    [
        ({"aud": "https://login.microsoftonline.com/"}, 700023),
        ({"iss": "somebody"}, 700021),
        ({"sub": "somebody"}, 700021),
        ({"exp": 1}, 700024),
        ({"exp": None}, 700024),
        ({"nbf": 4102444800}, 700024),
        ({"jti": None}, 700027),
        ({"algorithm": "RS384"}, 700027),
    ],
)
def test_an_assertion_must_be_right_in_every_claim(
    sign: Callable[..., dict[str, Any]], claims: dict[str, Any], refusal: int
) -> None:
    assert "access_token" in sign()

    assert sign(**claims)["error_codes"] == [refusal]


def test_a_signature_is_checked_with_the_registered_certificate(
    simulators: Simulators, sign: Callable[..., dict[str, Any]]
) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    assert sign(by=other)["error_codes"] == [700027]
    simulators.entra.add_app(APP)
    assert "The key was not found." in sign()["error_description"]


def test_an_assertion_must_be_named_as_what_it_is(client: Client) -> None:
    assert client.form(client_assertion="x", **BY_ASSERTION).json()["error_codes"] == [700027]
    unnamed = BY_ASSERTION | {"client_assertion_type": None}
    assert client.form(client_assertion="x", **unnamed).json()["error_codes"] == [900144]


def test_msal_gets_the_token_of_a_managed_identity(
    identity_token: Callable[..., Any], client: Client, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.now = datetime.now(UTC)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{client.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
    identity = msal.UserAssignedManagedIdentity(client_id=IDENTITY)

    answer = msal.ManagedIdentityClient(identity, http_client=client.session).acquire_token_for_client(
        resource="https://vault.azure.net"
    )

    client.session.headers["Authorization"] = f"Bearer {answer['access_token']}"
    assert client.request("GET", "/secrets?api-version=7.6").status_code == 200


def test_a_managed_identity_is_asked_for_by_any_of_its_ids(
    simulators: Simulators, identity_token: Callable[..., Any]
) -> None:
    ids = ({"client_id": IDENTITY}, {"object_id": PRINCIPAL}, {"mi_res_id": "/sub/identity"})

    assert [identity_token(**one).json()["client_id"] for one in ids] == [IDENTITY] * 3
    assert identity_token().status_code == 400
    simulators.identities.add("ffffffff-0000-4000-8000-000000000001", "p", system=True)
    assert identity_token().json()["client_id"].startswith("ffffffff")


def test_the_identity_endpoint_refuses_strangers_and_unknown_resources(identity_token: Callable[..., Any]) -> None:
    assert identity_token(client_id=IDENTITY, header="wrong").status_code == 403
    assert identity_token(client_id=IDENTITY, **{"api-version": "2018-02-01"}).status_code == 400
    failure = identity_token("https://nowhere.example", client_id=IDENTITY)
    assert (failure.status_code, failure.json()["statusCode"]) == (500, 500)


def test_a_managed_identity_stands_for_an_app_that_trusts_it(
    simulators: Simulators, identity_token: Callable[..., Any], client: Client
) -> None:
    simulators.entra.add_app(APP, federated=[TRUST])
    answer = identity_token(client_id=IDENTITY).json()
    assert isinstance(answer["expires_on"], str)

    token = client.form(client_assertion=answer["access_token"], **BY_ASSERTION).json()["access_token"]

    client.session.headers["Authorization"] = f"Bearer {token}"
    assert client.request("GET", f"/v1.0/users/{MAILBOX}/mailFolders").status_code == 200


@pytest.mark.parametrize(
    ("trust", "refusal"),
    [
        ({"issuer": f"{ISSUER}/"}, 700211),
        ({"subject": PRINCIPAL.upper()}, 700213),
        ({"audiences": ["api://elsewhere"]}, 700212),
    ],
)
def test_a_federated_credential_must_match_letter_by_letter(
    simulators: Simulators, identity_token: Callable[..., Any], client: Client, trust: dict[str, Any], refusal: int
) -> None:
    simulators.entra.add_app(APP, federated=[TRUST | trust])

    answer = client.form(client_assertion=identity_token(client_id=IDENTITY).json()["access_token"], **BY_ASSERTION)

    assert (answer.status_code, answer.json()["error_codes"]) == (401, [refusal])


def test_a_federated_token_must_be_genuine_and_in_time(
    simulators: Simulators, identity_token: Callable[..., Any], client: Client, clock: MovableClock
) -> None:
    simulators.entra.add_app(APP, federated=[TRUST])
    token = identity_token(client_id=IDENTITY).json()["access_token"]

    forged = client.form(client_assertion=f"{token[:-2]}xx", **BY_ASSERTION)
    clock.advance(hours=2)
    late = client.form(client_assertion=token, **BY_ASSERTION)

    assert (forged.json()["error_codes"], late.json()["error_codes"]) == ([700027], [700024])


def test_a_users_token_stands_for_no_app(simulators: Simulators, client: Client) -> None:
    app = simulators.entra.add_app(APP, federated=[TRUST])
    of_a_user = simulators.entra.access_token(app, EXCHANGE_TOKENS, iss=ISSUER, sub=PRINCIPAL, scp="Mail.Read")

    answer = client.form(client_assertion=of_a_user["access_token"], **BY_ASSERTION)

    assert answer.json()["error_codes"] == [700229]
