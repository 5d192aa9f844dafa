"""Access tokens are asked for through the proxy of who needs them, and only through it (req C11)."""

import json
from collections.abc import Callable

import pytest

from local.simulators import HOME_TENANT, Simulators
from local.simulators.google import ALL_MAIL, new_key_file
from local.simulators.oauth import Grant
from shared.adapters.proxy import ProxyAccess
from shared.adapters.tokens import Tokens
from shared.domain.errors import SourceUnavailable
from shared.domain.fields import Proxy
from shared.domain.sign_in import (
    ClientSecret,
    GoogleServiceSignIn,
    GoogleUserSignIn,
    MicrosoftAppSignIn,
    MicrosoftUserSignIn,
    OAuth2SignIn,
    TokenSignIn,
)
from tests.adapters.conftest import APP, APP_SECRET, Configured
from tests.clock import MovableClock
from tests.proxy import ProxyServer
from tests.sources.contract import Secrets
from tests.sources.dovecot_mailbox import unused_port

USER, REFRESH = "ann@example.com", "refresh"


@pytest.fixture
def store() -> Secrets:
    return Secrets({"client": APP_SECRET})


@pytest.fixture
def tokens(configured: Configured, simulators: Simulators, store: Secrets, clock: MovableClock) -> Tokens:
    settings = configured(GOOGLE_TOKEN_ENDPOINT=f"{simulators.url}/token", ALLOW_LOOPBACK_TARGETS="true")
    return Tokens(settings, store, clock, patience=0)


@pytest.fixture
def through(tokens: Tokens, store: Secrets) -> Callable[[int], Tokens]:
    def through(port: int) -> Tokens:
        return tokens.through(ProxyAccess(Proxy(kind="http", host="localhost", port=port), store))

    return through


@pytest.fixture(params=["microsoft_app", "microsoft_user", "google_user", "google_service", "oauth2"])
def sign_in(request: pytest.FixtureRequest, simulators: Simulators, store: Secrets, clock: MovableClock) -> TokenSignIn:
    grant = Grant(APP, USER, ALL_MAIL, clock().timestamp())
    common = {"client_id": APP, "client_secret": "client", "refresh_token_secret": REFRESH}
    simulators.google.add_account(USER)
    match request.param:
        case "microsoft_app":
            return MicrosoftAppSignIn(tenant=HOME_TENANT, client_id=APP, credential=ClientSecret(secret="client"))
        case "microsoft_user":
            simulators.users.add(USER)
            grant.scope = "https://outlook.office.com/IMAP.AccessAsUser.All offline_access"
            store.values[REFRESH] = simulators.users._grants.issue(grant)
            return MicrosoftUserSignIn(tenant=HOME_TENANT, **common)
        case "google_user":
            simulators.google.clients.add(APP, APP_SECRET)
            store.values[REFRESH] = simulators.google._grants.issue(grant)
            return GoogleUserSignIn(**common)
        case "google_service":
            key = new_key_file("mailroom@project.iam.gserviceaccount.com", f"{simulators.url}/token")
            simulators.google.add_service_account(key, [ALL_MAIL])
            store.values["key"] = json.dumps(key)
            return GoogleServiceSignIn(key_secret="key", account=USER)
    simulators.oauth.clients.add(APP, APP_SECRET)
    store.values[REFRESH] = simulators.oauth._grants.issue(grant)
    url = simulators.url
    return OAuth2SignIn(
        authorization_url=f"{url}/oauth/authorize", token_url=f"{url}/oauth/token", scopes="mail", **common
    )


def test_a_token_comes_through_the_proxy(through: Callable[[int], Tokens], sign_in: TokenSignIn) -> None:
    with ProxyServer().running() as proxy:
        assert through(proxy.port).token(sign_in, "imap")

    assert proxy.targets


def test_no_token_comes_around_a_proxy_that_is_down(through: Callable[[int], Tokens], sign_in: TokenSignIn) -> None:
    with pytest.raises(SourceUnavailable, match="proxy"):
        through(unused_port()).token(sign_in, "imap")


def test_a_token_that_is_held_serves_whatever_the_proxy(
    tokens: Tokens, through: Callable[[int], Tokens], sign_in: TokenSignIn
) -> None:
    token = tokens.token(sign_in, "imap")

    assert through(unused_port()).token(sign_in, "imap") == token
