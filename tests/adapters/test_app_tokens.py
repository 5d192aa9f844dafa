"""Apps prove themselves without a client secret, in every cloud (req A4, C12)."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from local.simulators import HOME_TENANT, Simulators
from local.simulators.entra_assertions import IDENTITY_HEADER
from shared.adapters.tokens import Tokens
from shared.adapters.vault import KeyVaultSecrets
from shared.domain import clouds
from shared.domain.errors import CredentialsRejected, SourceMisconfigured
from shared.domain.sign_in import Certificate, ClientSecret, ManagedIdentity, MicrosoftAppSignIn
from shared.settings import Settings
from tests.clock import MovableClock

APP = "dddddddd-0000-4000-8000-000000000004"
IDENTITY, PRINCIPAL = "eeeeeeee-0000-4000-8000-000000000005", "eeeeeeee-0000-4000-8000-000000000006"
BY_CERTIFICATE = MicrosoftAppSignIn(
    tenant=HOME_TENANT, client_id=APP, credential=Certificate(certificate_secret="certificate")
)
BY_IDENTITY = MicrosoftAppSignIn(
    tenant=HOME_TENANT, client_id=APP, credential=ManagedIdentity(identity_client_id=IDENTITY)
)


@pytest.fixture
def clock() -> MovableClock:
    """That of this machine: MSAL signs with its time."""
    clock = MovableClock()
    clock.advance(seconds=(datetime.now(UTC) - clock()).total_seconds())
    return clock


@pytest.fixture
def tokens(settings: Settings, secrets: KeyVaultSecrets, clock: MovableClock) -> Tokens:
    return Tokens(settings, secrets, clock)


def pair(password: bytes | None = None) -> tuple[str, str]:
    """A private key and its certificate as PEM."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mailroom")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
    ).sign(key, SHA256())
    return pem(key, password), certificate.public_bytes(Encoding.PEM).decode()


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> str:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


@pytest.mark.parametrize("order", [1, -1], ids=["key first", "certificate first"])
def test_a_certificate_takes_the_place_of_a_secret(simulators: Simulators, tokens: Tokens, order: int) -> None:
    key, certificate = pair()
    simulators.entra.add_app(APP, certificates=[certificate])
    simulators.vault.put("certificate", "".join([key, certificate][::order]))

    assert tokens.token(BY_CERTIFICATE, "graph")


def test_a_certificate_that_the_app_does_not_know_is_told_as_such(simulators: Simulators, tokens: Tokens) -> None:
    simulators.entra.add_app(APP, certificates=[pair()[1]])
    simulators.vault.put("certificate", "".join(pair()))

    with pytest.raises(CredentialsRejected, match="AADSTS700027") as caught:
        tokens.token(BY_CERTIFICATE, "graph")

    assert "app registration" in caught.value.advice


def test_a_renewed_certificate_is_picked_up_after_the_old_one_was_refused(
    simulators: Simulators, secrets: KeyVaultSecrets, tokens: Tokens
) -> None:
    key, certificate = pair()
    simulators.entra.add_app(APP, certificates=[certificate])
    simulators.vault.put("certificate", "".join(pair()))
    secrets.get("certificate")
    simulators.vault.put("certificate", key + certificate)

    assert tokens.token(BY_CERTIFICATE, "graph")


@pytest.mark.parametrize("missing", ["both", "certificate", "key", "password", "rsa"])
def test_a_secret_without_both_halves_of_a_certificate_is_told_without_showing_it(
    simulators: Simulators, tokens: Tokens, missing: str
) -> None:
    key, certificate = pair(b"hunter2" if missing == "password" else None)
    if missing == "rsa":
        key = pem(ec.generate_private_key(ec.SECP256R1()))
    held = {"both": "hunter2", "certificate": key, "key": certificate}.get(missing, key + certificate)
    simulators.vault.put("certificate", held)

    with pytest.raises(CredentialsRejected, match="private key") as caught:
        tokens.token(BY_CERTIFICATE, "graph")

    assert "PEM" in caught.value.advice
    assert held[:20] not in f"{caught.value!r} {caught.value.advice} {caught.value.__cause__!r}"


@pytest.fixture
def _in_azure(simulators: Simulators, monkeypatch: pytest.MonkeyPatch) -> None:
    simulators.identities.add(IDENTITY, PRINCIPAL)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{simulators.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)


def trust(simulators: Simulators, subject: str) -> None:
    issuer = f"https://login.microsoftonline.com/{HOME_TENANT}/v2.0"
    credential = {"issuer": issuer, "subject": subject, "audiences": ["api://AzureADTokenExchange"]}
    simulators.entra.add_app(APP, federated=[credential])


@pytest.mark.usefixtures("_in_azure")
def test_the_managed_identity_takes_the_place_of_a_secret(simulators: Simulators, tokens: Tokens) -> None:
    trust(simulators, PRINCIPAL)

    assert tokens.token(BY_IDENTITY, "graph")
    assert not simulators.requests("vault")


@pytest.mark.usefixtures("_in_azure")
def test_without_a_name_it_is_the_apps_own_identity(
    simulators: Simulators, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(simulators, PRINCIPAL)
    monkeypatch.setenv("AZURE_CLIENT_ID", IDENTITY)

    assert tokens.token(BY_IDENTITY.model_copy(update={"credential": ManagedIdentity()}), "graph")


@pytest.mark.usefixtures("_in_azure")
def test_an_app_that_does_not_trust_the_identity_is_told_as_such(simulators: Simulators, tokens: Tokens) -> None:
    trust(simulators, "somebody-else")

    with pytest.raises(CredentialsRejected, match="AADSTS700213") as caught:
        tokens.token(BY_IDENTITY, "graph")

    assert "federated credential" in caught.value.advice


@pytest.mark.usefixtures("_in_azure")
def test_an_identity_that_the_app_does_not_have_is_told_with_advice(simulators: Simulators, tokens: Tokens) -> None:
    other = BY_IDENTITY.model_copy(update={"credential": ManagedIdentity(identity_client_id=APP)})

    with pytest.raises(SourceMisconfigured) as caught:
        tokens.token(other, "graph")

    assert "assign the identity" in caught.value.advice


@pytest.mark.parametrize("cloud", [name for name in clouds.CLOUDS if name != "global"])
def test_a_sign_in_of_another_cloud_goes_there(
    simulators: Simulators, tokens: Tokens, monkeypatch: pytest.MonkeyPatch, cloud: clouds.CloudName
) -> None:
    """The table holds the real hosts; one of them is exchanged for the simulated ones."""
    there = clouds.Cloud(simulators.url, simulators.url, "https://outlook.office365.com", "", "api://other")
    monkeypatch.setitem(clouds.CLOUDS, cloud, there)  # type: ignore[arg-type]  # it is a dict
    simulators.entra.add_app(APP, "the-secret")
    simulators.vault.put("secret", "the-secret")
    sign_in = MicrosoftAppSignIn(
        cloud=cloud, tenant=HOME_TENANT, client_id=APP, credential=ClientSecret(secret="secret")
    )

    assert tokens.token(sign_in, "imap")


def test_the_settings_stand_in_for_the_global_cloud_only(settings: Settings) -> None:
    assert settings.cloud("global").login == settings.login_endpoint
    assert settings.cloud("global").graph == settings.graph_endpoint
    assert settings.cloud("china").login == "https://login.chinacloudapi.cn"


def test_no_cloud_shares_its_mail_with_another() -> None:
    for part in ("graph", "exchange"):
        assert len({getattr(cloud, part) for cloud in clouds.CLOUDS.values()}) == len(clouds.CLOUDS)
