"""People's refresh tokens give access tokens, and are renewed with each use (req A5, A6)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.simulators import HOME_TENANT, Simulators, token_error
from local.simulators.entra_users import PERSONAL_TENANT
from local.simulators.oauth import Grant
from shared.adapters.identity import AppIdentity
from shared.adapters.tokens import Tokens
from shared.adapters.vault import KeyVaultSecrets
from shared.domain.errors import (
    AppError,
    CredentialsRejected,
    SecretsReadOnly,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
    StoreUnavailable,
    Throttled,
)
from shared.domain.sign_in import MicrosoftUserSignIn, OAuth2SignIn
from shared.settings import Settings
from tests.adapters.conftest import APP, APP_SECRET, Configured
from tests.clock import MovableClock

CLIENT, USER = "bbbbbbbb-0000-4000-8000-000000000007", "ann@example.com"
MICROSOFT = MicrosoftUserSignIn(tenant=HOME_TENANT, client_id=CLIENT, refresh_token_secret="refresh")


@pytest.fixture
def settings(configured: Configured) -> Settings:
    return configured(ALLOW_SECRET_WRITES="true", ALLOW_LOOPBACK_TARGETS="true")


@pytest.fixture
def tokens(simulators: Simulators, settings: Settings, secrets: KeyVaultSecrets, clock: MovableClock) -> Tokens:
    simulators.entra.add_app(APP, APP_SECRET, vault="officer")
    simulators.vault.put("another", "x")
    secrets.get("another")
    return Tokens(settings, secrets, clock, patience=0)


@pytest.fixture
def microsoft(simulators: Simulators, clock: MovableClock) -> MicrosoftUserSignIn:
    simulators.entra.add_app(CLIENT, public=True)
    simulators.users.add(USER)
    scope = "https://graph.microsoft.com/Mail.ReadWrite https://outlook.office.com/IMAP.AccessAsUser.All offline_access"
    grant = Grant(CLIENT, USER, scope, clock().timestamp())
    simulators.vault.put("refresh", simulators.users._grants.issue(grant))
    return MICROSOFT


@pytest.fixture
def generic(simulators: Simulators, clock: MovableClock) -> OAuth2SignIn:
    """It takes each refresh token once."""
    simulators.oauth.clients.add(CLIENT, "client-secret")
    simulators.vault.put("client", "client-secret")
    grant = Grant(CLIENT, USER, "mail", clock().timestamp())
    simulators.vault.put("refresh", simulators.oauth._grants.issue(grant))
    return OAuth2SignIn(
        client_id=CLIENT,
        client_secret="client",
        authorization_url=f"{simulators.url}/oauth/authorize",
        token_url=f"{simulators.url}/oauth/token",
        scopes="mail",
        refresh_token_secret="refresh",
    )


def stored(simulators: Simulators) -> list[str]:
    return [version.value for each in simulators.vault.all() if each.name == "refresh" for version in each.versions]


@pytest.mark.parametrize("purpose", ["graph", "imap"])
def test_a_refresh_token_of_microsoft_gives_tokens_for_each_purpose(
    tokens: Tokens, microsoft: MicrosoftUserSignIn, purpose: str
) -> None:
    assert tokens.token(microsoft, purpose)


@pytest.mark.parametrize("kind", ["microsoft", "generic"])
def test_a_renewed_refresh_token_is_written_back_and_works(
    simulators: Simulators, tokens: Tokens, request: pytest.FixtureRequest, kind: str
) -> None:
    sign_in = request.getfixturevalue(kind)
    tokens.token(sign_in, "imap")
    tokens.forget(sign_in)

    tokens.token(sign_in, "imap")

    assert len(set(stored(simulators))) == 3


def test_an_access_token_is_kept_until_shortly_before_its_end(
    simulators: Simulators, tokens: Tokens, generic: OAuth2SignIn, clock: MovableClock
) -> None:
    first = tokens.token(generic, "imap")

    clock.advance(minutes=54)
    assert tokens.token(generic, "imap") == first
    clock.advance(minutes=1)
    assert tokens.token(generic, "imap") != first
    assert simulators.counts["oauth.token"] == 2


def test_many_threads_use_a_refresh_token_once(simulators: Simulators, tokens: Tokens, generic: OAuth2SignIn) -> None:
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: tokens.token(generic, "imap"), range(8)))

    assert len(set(got)) == 1
    assert simulators.counts["oauth.token"] == 1


def test_two_instances_use_each_others_renewed_refresh_token(
    tokens: Tokens, settings: Settings, generic: OAuth2SignIn, clock: MovableClock
) -> None:
    """The one that was read before would end all that was allowed."""
    other = Tokens(settings, KeyVaultSecrets(settings, AppIdentity(settings), clock), clock)
    for each in (tokens, other, tokens, other):
        each.forget(generic)
        assert each.token(generic, "imap")


class Overtaken(KeyVaultSecrets):
    """While the first read is on its way another instance renews; it is stored after so many reads."""

    def __init__(self, *args: Any, other: Callable[[], object], late: int) -> None:
        super().__init__(*args)
        self._other, self._late, self._stale = other, late, ""

    def get(self, name: str) -> str:
        found = super().get(name)
        if name != "refresh" or self._late == 0:
            return found
        if not self._stale:
            self._stale = found
            self._other()
        self._late -= 1
        return self._stale


@pytest.mark.parametrize("late", [1, 2])
def test_two_instances_may_use_a_refresh_token_at_the_same_moment(
    simulators: Simulators, tokens: Tokens, settings: Settings, generic: OAuth2SignIn, clock: MovableClock, late: int
) -> None:
    simulators.oauth.reuse_ends_all = False
    secrets = Overtaken(settings, AppIdentity(settings), clock, other=lambda: tokens.token(generic, "imap"), late=late)

    assert Tokens(settings, secrets, clock, patience=0).token(generic, "imap")

    assert len(stored(simulators)) == 3


def test_a_personal_account_reads_by_imap(
    simulators: Simulators, tokens: Tokens, microsoft: MicrosoftUserSignIn
) -> None:
    simulators.users.add(USER, tenant=PERSONAL_TENANT)

    assert tokens.token(microsoft.model_copy(update={"tenant": "consumers"}), "imap")


def test_no_token_is_handed_out_whose_renewed_refresh_token_is_not_stored(
    simulators: Simulators, tokens: Tokens, generic: OAuth2SignIn
) -> None:
    simulators.faults.add("vault.set", status=403, times=None)

    with pytest.raises(StoreUnavailable):
        tokens.token(generic, "imap")


def test_a_deployment_that_writes_no_secrets_says_so_where_one_must_be_renewed(
    configured: Configured, secrets: KeyVaultSecrets, tokens: Tokens, generic: OAuth2SignIn
) -> None:
    secrets._settings = configured(ALLOW_SECRET_WRITES="false")

    with pytest.raises(SecretsReadOnly) as caught:
        tokens.token(generic, "imap")

    assert "allowSecretWrites" in caught.value.advice


def test_what_was_revoked_asks_for_another_sign_in(
    simulators: Simulators, tokens: Tokens, microsoft: MicrosoftUserSignIn
) -> None:
    simulators.users.revoke(USER)

    with pytest.raises(CredentialsRejected, match="AADSTS50173") as caught:
        tokens.token(microsoft, "graph")

    assert "Sign in again" in caught.value.advice


def test_what_was_not_used_for_ninety_days_asks_for_another_sign_in(
    simulators: Simulators, tokens: Tokens, microsoft: MicrosoftUserSignIn, clock: MovableClock
) -> None:
    grant = Grant(CLIENT, USER, "Mail.ReadWrite offline_access", clock().timestamp() - 90 * 24 * 3600)
    simulators.vault.put("refresh", simulators.users._grants.issue(grant))

    with pytest.raises(CredentialsRejected, match="AADSTS700082") as caught:
        tokens.token(microsoft, "graph")

    assert "Sign in again" in caught.value.advice


def test_a_new_sign_in_helps_at_once(simulators: Simulators, tokens: Tokens, generic: OAuth2SignIn, clock) -> None:
    simulators.oauth.revoke(USER)
    with pytest.raises(CredentialsRejected, match="invalid_grant"):
        tokens.token(generic, "imap")

    grant = Grant(CLIENT, USER, "mail", clock().timestamp())
    simulators.vault.put("refresh", simulators.oauth._grants.issue(grant))

    assert tokens.token(generic, "imap")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status": 200, "body": b"<html>Welcome</html>"}, SourceMisbehaved),
        ({"status": 404, "body": b"<html>"}, SourceMisbehaved),
        ({"status": 200, "body": b"[]"}, SourceMisbehaved),
        ({"status": 302, "headers": {"Location": "https://169.254.169.254/"}, "body": b""}, SourceMisbehaved),
        ({"status": 200, "body": {"token_type": "Bearer"}}, SourceMisbehaved),
        ({"status": 200, "body": {"access_token": "a\r\nb"}}, SourceMisbehaved),
        ({"status": 200, "body": {"access_token": "x", "refresh_token": ["x"]}}, SourceMisbehaved),
        ({"status": 200, "body": {"error": "invalid_grant"}}, CredentialsRejected),
        ({"status": 400, "body": {"error": {"hunter2": 1}}}, CredentialsRejected),
        ({"status": 401, "body": {"error": "invalid_client"}}, CredentialsRejected),
        ({"status": 429, "body": {}, "headers": {"Retry-After": "9"}}, Throttled),
        ({"status": 503, "body": b"<html>"}, SourceUnavailable),
        ({"drop": "before"}, SourceUnavailable),
    ],
)
def test_an_answer_that_is_no_token_is_named(
    simulators: Simulators, tokens: Tokens, generic: OAuth2SignIn, answer: dict[str, object], error: type[AppError]
) -> None:
    simulators.faults.add("oauth.token", **answer)

    with pytest.raises(error) as caught:
        tokens.token(generic, "imap")

    assert "hunter2" not in str(caught.value)
    assert type(caught.value) is error
    assert len(stored(simulators)) == 1


@pytest.mark.parametrize("host", ["169.254.169.254", "168.63.129.16", "127.0.0.1", "[::ffff:169.254.169.254]"])
def test_a_token_url_within_the_platform_is_refused(
    configured: Configured, secrets: KeyVaultSecrets, generic: OAuth2SignIn, clock: MovableClock, host: str
) -> None:
    tokens = Tokens(configured(), secrets, clock)
    inside = generic.model_copy(update={"token_url": f"https://{host}/metadata/identity"})

    with pytest.raises(SourceMisconfigured, match="must not be used"):
        tokens.token(inside, "imap")


def test_a_sign_in_page_that_is_out_of_order_is_no_fault_of_the_credentials(
    simulators: Simulators, tokens: Tokens, microsoft: MicrosoftUserSignIn
) -> None:
    simulators.faults.add("entra.token", **token_error(90033))

    with pytest.raises(SourceUnavailable):
        tokens.token(microsoft, "graph")

    assert tokens.token(microsoft, "graph")
