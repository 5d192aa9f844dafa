import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from local.simulators import Simulators
from local.simulators.google import ALL_MAIL, MODIFY, new_key_file
from shared.adapters.credentials import credentials
from shared.adapters.refusals import meanings
from shared.adapters.services import SourceServices
from shared.adapters.tokens import Tokens
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CertificateRejected,
    CredentialsRejected,
    SourceMisbehaved,
    SourceUnavailable,
    Throttled,
)
from shared.domain.sign_in import GoogleServiceSignIn
from shared.settings import Settings
from tests.adapters.conftest import Configured
from tests.clock import MovableClock
from tests.sources.contract import Secrets
from tests.sources.dovecot_mailbox import imap_mailbox

SERVICE_ACCOUNT = "mailroom@project.iam.gserviceaccount.com"
SIGN_IN = GoogleServiceSignIn(key_secret="key", account="help@desk.example")


@pytest.fixture
def key(simulators: Simulators) -> dict[str, str]:
    key = new_key_file(SERVICE_ACCOUNT, "https://elsewhere.example/token")
    simulators.google.add_account("help@desk.example")
    simulators.google.add_account("other@desk.example")
    simulators.google.add_service_account(key, [MODIFY, ALL_MAIL])
    return key


@pytest.fixture
def store(key: dict[str, str]) -> Secrets:
    return Secrets({"key": json.dumps(key)})


@pytest.fixture
def tokens(configured: Configured, simulators: Simulators, store: Secrets, clock: MovableClock) -> Tokens:
    return Tokens(configured(GOOGLE_TOKEN_ENDPOINT=f"{simulators.url}/token"), store, clock)


@pytest.mark.parametrize(("purpose", "scope"), [("gmail", MODIFY), ("imap", ALL_MAIL), ("pop", ALL_MAIL)])
def test_a_token_is_for_the_account_and_opens_no_more_than_its_purpose_needs(
    simulators: Simulators, tokens: Tokens, purpose, scope: str
) -> None:
    access = simulators.google.tokens.get(tokens.token(SIGN_IN, purpose))

    assert access is not None
    assert (access.user, access.scope) == ("help@desk.example", scope)


def test_many_threads_wait_for_one_token_which_is_kept(simulators: Simulators, tokens: Tokens) -> None:
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: tokens.token(SIGN_IN, "gmail"), range(8)))

    assert got == [tokens.token(SIGN_IN, "gmail")] * 8
    assert simulators.counts["google.token"] == 1


def test_each_account_has_a_token_of_its_own(tokens: Tokens) -> None:
    other = SIGN_IN.model_copy(update={"account": "other@desk.example"})

    assert tokens.token(SIGN_IN, "gmail") != tokens.token(other, "gmail")


def test_a_forgotten_token_is_fetched_afresh(simulators: Simulators, tokens: Tokens) -> None:
    tokens.token(SIGN_IN, "gmail")

    tokens.forget(SIGN_IN)
    tokens.token(SIGN_IN, "gmail")

    assert simulators.counts["google.token"] == 2


def test_a_token_that_ends_soon_is_not_kept_for_long(
    simulators: Simulators, tokens: Tokens, clock: MovableClock
) -> None:
    body = {"access_token": "ya29.short", "expires_in": 60}
    simulators.faults.add("google.token", status=200, body=body)
    tokens.token(SIGN_IN, "gmail")

    clock.advance(seconds=30)

    assert tokens.token(SIGN_IN, "gmail") != "ya29.short"


def test_a_key_that_is_known_to_be_outdated_is_tried_with_its_new_value_at_once(
    tokens: Tokens, store: Secrets, key: dict[str, str]
) -> None:
    class Changed(Secrets):
        def forget(self, name: str) -> None:
            self.values[name] = json.dumps(key)

    outdated = Changed({"key": json.dumps(new_key_file(SERVICE_ACCOUNT, "https://elsewhere.example"))})

    assert replace(tokens, secrets=outdated).token(SIGN_IN, "gmail")


@pytest.mark.parametrize("value", ["", "{", "[]", "{}", '{"private_key": "x", "client_email": "y"}'])
def test_a_secret_that_is_no_key_is_rejected_with_advice(tokens: Tokens, store: Secrets, value: str) -> None:
    store.values["key"] = value

    with pytest.raises(CredentialsRejected) as rejected:
        tokens.token(SIGN_IN, "gmail")

    assert rejected.value.advice
    assert store.forgotten == ["key"]


def test_an_account_that_is_not_there_is_rejected(tokens: Tokens) -> None:
    with pytest.raises(CredentialsRejected, match="invalid_grant") as rejected:
        tokens.token(SIGN_IN.model_copy(update={"account": "nobody@desk.example"}), "gmail")

    assert "nobody" not in f"{rejected.value} {rejected.value.advice}"


def test_a_scope_that_is_not_delegated_is_denied_and_named(
    simulators: Simulators, tokens: Tokens, key: dict[str, str]
) -> None:
    simulators.google.add_service_account(key, [ALL_MAIL])

    with pytest.raises(AccessDenied, match="unauthorized_client") as denied:
        tokens.token(SIGN_IN, "gmail")

    assert MODIFY in denied.value.advice


@pytest.mark.parametrize(
    ("account", "target", "acts_for"),
    [
        (None, None, "help@desk.example"),
        ("other@desk.example", None, "other@desk.example"),
        (None, "other@desk.example", "other@desk.example"),
    ],
)
def test_a_service_account_acts_for_the_mailbox_that_a_mail_server_opens(
    simulators: Simulators, tokens: Tokens, settings: Settings, *, account, target, acts_for
) -> None:
    sign_in = GoogleServiceSignIn(key_secret="key", account=account)
    mailbox = imap_mailbox({"sign_in": sign_in.model_dump()})
    services = SourceServices(settings, Secrets({}), tokens, clock=MovableClock())

    access = simulators.google.tokens.get(credentials(mailbox.address, sign_in, target, "imap", services).secret())

    assert access is not None
    assert access.user == acts_for


@pytest.mark.parametrize("code", meanings("google_service"))
def test_every_code_that_is_known_has_advice(simulators: Simulators, tokens: Tokens, code: str) -> None:
    simulators.faults.add("google.token", status=400, body={"error": code}, times=None)

    with pytest.raises(meanings("google_service")[code].kind, match=code) as caught:
        tokens.token(SIGN_IN, "gmail")

    assert caught.value.advice


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 429, "headers": {"Retry-After": "90"}}, Throttled),
        ({"status": 503, "headers": {"Retry-After": "90"}}, SourceUnavailable),
    ],
)
def test_a_short_outage_is_no_fault_of_the_key(
    simulators: Simulators, tokens: Tokens, fault: dict[str, object], error: type[SourceUnavailable]
) -> None:
    simulators.faults.add("google.token", **fault)

    with pytest.raises(error) as caught:
        tokens.token(SIGN_IN, "gmail")

    assert caught.value.retry_after == timedelta(seconds=90)
    assert tokens.token(SIGN_IN, "gmail")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"drop": "before"}, SourceUnavailable),
        ({"status": 200, "body": b"<html>"}, SourceMisbehaved),
        ({"status": 200, "body": {"access_token": 7, "expires_in": 7}}, SourceMisbehaved),
    ],
)
def test_an_answer_that_is_none_is_the_services_fault(
    simulators: Simulators, tokens: Tokens, fault: dict[str, object], error: type[AppError]
) -> None:
    simulators.faults.add("google.token", **fault)

    with pytest.raises(error):
        tokens.token(SIGN_IN, "gmail")


def test_a_certificate_that_is_not_trusted_is_rejected(
    configured: Configured, simulators: Simulators, store: Secrets, clock: MovableClock
) -> None:
    settings = configured(GOOGLE_TOKEN_ENDPOINT=f"{simulators.url}/token", EXTRA_CA_FILE="")

    with pytest.raises(CertificateRejected):
        Tokens(settings, store, clock).token(SIGN_IN, "gmail")
