from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from local.simulators import HOME_TENANT, Simulators, token_error
from shared.adapters.refusals import meanings
from shared.adapters.tokens import Tokens
from shared.adapters.vault import KeyVaultSecrets
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CertificateRejected,
    CredentialsRejected,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
    Throttled,
)
from shared.domain.sign_in import ClientSecret, MicrosoftAppSignIn
from tests.adapters.conftest import Configured
from tests.clock import MovableClock

MAIL_APP = "bbbbbbbb-0000-4000-8000-000000000002"
VALUE = "the-secret-of-the-mail-app"
APP_SIGN_IN = MicrosoftAppSignIn(tenant=HOME_TENANT, client_id=MAIL_APP, credential=ClientSecret(secret="mail-app"))


@pytest.fixture(autouse=True)
def mail_app(simulators: Simulators, secrets: KeyVaultSecrets) -> None:
    """The vault is signed in to already, so that faults of Entra ID hit the mail app."""
    simulators.entra.add_app(MAIL_APP, VALUE)
    simulators.vault.put("mail-app", VALUE)
    simulators.vault.put("another", "x")
    secrets.get("another")


@pytest.fixture
def tokens(settings, secrets: KeyVaultSecrets, clock: MovableClock) -> Tokens:
    return Tokens(settings, secrets, clock)


def test_a_token_is_fetched_once_and_kept(simulators: Simulators, tokens: Tokens) -> None:
    first = tokens.token(APP_SIGN_IN, "graph")
    simulators.counts.clear()

    assert tokens.token(APP_SIGN_IN, "graph") == first
    assert not simulators.requests("entra")


def test_many_threads_wait_for_one_token(simulators: Simulators, tokens: Tokens) -> None:
    tokens.token(APP_SIGN_IN, "graph")
    tokens.forget(APP_SIGN_IN)
    simulators.counts.clear()

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: tokens.token(APP_SIGN_IN, "graph"), range(8)))

    assert len(set(got)) == 1
    assert simulators.counts["entra.token"] == 1


def test_a_forgotten_token_is_fetched_afresh_without_asking_for_the_configuration_again(
    simulators: Simulators, tokens: Tokens
) -> None:
    first = tokens.token(APP_SIGN_IN, "graph")
    simulators.counts.clear()

    tokens.forget(APP_SIGN_IN)

    assert tokens.token(APP_SIGN_IN, "graph") != first
    assert simulators.counts == {"entra.token": 1}


def test_a_token_is_kept_until_shortly_before_its_end_by_the_apps_clock(tokens: Tokens, clock: MovableClock) -> None:
    first = tokens.token(APP_SIGN_IN, "graph")
    clock.advance(minutes=54)
    assert tokens.token(APP_SIGN_IN, "graph") == first
    clock.advance(minutes=1)
    assert tokens.token(APP_SIGN_IN, "graph") != first


def test_a_secret_that_was_changed_is_picked_up_after_its_refusal(simulators: Simulators, tokens: Tokens) -> None:
    simulators.vault.put("mail-app", "outdated")
    with pytest.raises(CredentialsRejected):
        tokens.token(APP_SIGN_IN, "graph")

    simulators.vault.put("mail-app", VALUE)

    assert tokens.token(APP_SIGN_IN, "graph")


def test_a_secret_that_is_known_to_be_outdated_is_tried_with_its_new_value_at_once(
    simulators: Simulators, secrets: KeyVaultSecrets, tokens: Tokens
) -> None:
    simulators.vault.put("mail-app", "outdated")
    secrets.get("mail-app")
    simulators.vault.put("mail-app", VALUE)

    assert tokens.token(APP_SIGN_IN, "graph")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (65001, AccessDenied),
        (500011, SourceMisconfigured),
        (700016, SourceMisconfigured),
        (7000112, AccessDenied),
        (7000215, CredentialsRejected),
        (7000222, CredentialsRejected),
        (7000218, CredentialsRejected),
    ],
)
def test_a_refusal_is_told_by_its_code_with_advice(
    simulators: Simulators, tokens: Tokens, code: int, error: type[AppError]
) -> None:
    simulators.faults.add("entra.token", times=None, **token_error(code))

    with pytest.raises(error, match=f"AADSTS{code}") as caught:
        tokens.token(APP_SIGN_IN, "graph")

    assert caught.value.advice


def test_every_code_that_is_known_has_advice() -> None:
    assert all(text and advice for _, text, advice in meanings("entra").values())


def test_an_unknown_tenant_is_told_as_such(tokens: Tokens) -> None:
    with pytest.raises(SourceMisconfigured, match="AADSTS90002"):
        tokens.token(APP_SIGN_IN.model_copy(update={"tenant": "nowhere.example"}), "graph")


@pytest.mark.parametrize("kind", ["entra.token", "entra.configuration"])
def test_a_short_outage_is_no_fault_of_the_credentials(simulators: Simulators, tokens: Tokens, kind: str) -> None:
    simulators.faults.add(kind, headers={"Retry-After": "7"}, **token_error(90033))

    with pytest.raises(SourceUnavailable) as caught:
        tokens.token(APP_SIGN_IN, "graph")

    assert caught.value.retry_after == timedelta(seconds=7)
    assert tokens.token(APP_SIGN_IN, "graph")


def test_a_throttled_tenant_asks_to_wait(simulators: Simulators, tokens: Tokens) -> None:
    simulators.faults.add("entra.token", status=429, headers={"Retry-After": "90"})

    with pytest.raises(Throttled) as caught:
        tokens.token(APP_SIGN_IN, "graph")

    assert caught.value.retry_after == timedelta(seconds=90)


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 400, "body": b"<html>"},
        {"status": 400, "body": []},
        {"status": 400, "body": {"error_codes": "x"}},
        {"status": 200, "body": b"<html>"},
        {"status": 200, "body": {"token_type": "Bearer"}},
        {"status": 302, "headers": {"Location": "https://169.254.169.254/"}, "body": b""},
    ],
)
@pytest.mark.parametrize("kind", ["entra.token", "entra.configuration"])
def test_an_answer_that_makes_no_sense_is_the_services_fault(
    simulators: Simulators, tokens: Tokens, kind: str, answer: dict[str, object]
) -> None:
    simulators.faults.add(kind, **answer)

    with pytest.raises(SourceMisbehaved):
        tokens.token(APP_SIGN_IN, "graph")


def test_an_endpoint_that_cannot_be_reached_is_unavailable(simulators: Simulators, tokens: Tokens) -> None:
    simulators.faults.add("entra.token", drop="before")

    with pytest.raises(SourceUnavailable):
        tokens.token(APP_SIGN_IN, "graph")


def test_a_certificate_that_is_not_trusted_is_rejected(
    configured: Configured, secrets: KeyVaultSecrets, clock: MovableClock
) -> None:
    tokens = Tokens(configured(EXTRA_CA_FILE=""), secrets, clock)

    with pytest.raises(CertificateRejected) as caught:
        tokens.token(APP_SIGN_IN, "graph")

    assert caught.value.reason == "unknown_authority"


def test_no_error_holds_the_secret(simulators: Simulators, tokens: Tokens) -> None:
    simulators.vault.put("mail-app", "hunter2")

    with pytest.raises(CredentialsRejected) as caught:
        tokens.token(APP_SIGN_IN, "graph")

    assert "hunter2" not in f"{caught.value!r} {caught.value.advice} {caught.value.__cause__!r}"
