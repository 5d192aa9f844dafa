import imaplib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from local import dovecot
from local.simulators import Simulators
from local.simulators.google import ALL_MAIL, MODIFY
from tests.clock import MovableClock
from tests.servers import require
from tests.simulators.conftest import APP, SECRET, Client

ANN = "ann@example.com"
BACK = "https://mailroom.example.com/oauth/callback"
CHALLENGE = {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 appendix B
IMAP = "https://outlook.office.com/IMAP.AccessAsUser.All"


@pytest.fixture(autouse=True)
def ann(simulators: Simulators) -> None:
    simulators.oauth.clients.add("client", "client-secret", [BACK])
    simulators.oauth.sign_in(ANN)


def ask(client: Client, **fields: str | None) -> dict[str, str]:
    query = {"client_id": "client", "response_type": "code", "redirect_uri": BACK, "scope": "imap smtp"}
    answer = client.request("GET", "/oauth/authorize", params=query | CHALLENGE | fields, allow_redirects=False)
    assert answer.status_code == 302
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


def token(client: Client, **fields: str) -> requests.Response:
    form = {"client_id": "client", "client_secret": "client-secret", "grant_type": "authorization_code"}
    return client.request(
        "POST", "/oauth/token", data=form | {"redirect_uri": BACK, "code_verifier": VERIFIER} | fields
    )


@pytest.fixture
def consent(client: Client) -> dict[str, Any]:
    """The tokens of a sign-in."""
    return dict(token(client, code=ask(client)["code"]).json())


@pytest.fixture
def refresh(client: Client) -> Callable[..., dict[str, Any]]:
    def refreshed(refresh_token: str, **fields: str) -> dict[str, Any]:
        return dict(token(client, grant_type="refresh_token", refresh_token=refresh_token, **fields).json())

    return refreshed


@pytest.fixture
def introspect(client: Client) -> Callable[[str], dict[str, Any]]:
    def introspected(access_token: str) -> dict[str, Any]:
        asked = client.request(
            "POST", "/oauth/introspect", data={"token": access_token}, auth=("client", "client-secret")
        )
        return dict(asked.json())

    return introspected


@pytest.fixture
def imap(simulators: Simulators) -> Iterator[Callable[..., imaplib.IMAP4]]:
    """Sign in to a Dovecot that asks the provider about tokens, by the mechanism and with its first message."""
    require(dovecot.COMMAND is not None, "Dovecot (tools/install-servers)")
    url = f"{simulators.url.replace('https://', 'https://client:client-secret@')}/oauth/introspect"
    with dovecot.run_dovecot(introspection=dovecot.Introspection(url, simulators.ca_file)) as server:

        def connect(mechanism: str, said: str) -> imaplib.IMAP4:
            messages = iter([said.encode()])
            connection = imaplib.IMAP4("127.0.0.1", server.imap_port)
            try:
                connection.authenticate(mechanism, lambda _: next(messages, b""))
            finally:
                connection.shutdown()
            return connection

        yield connect


def test_a_refresh_token_works_once_and_a_second_use_ends_its_family(
    consent: dict[str, Any], refresh: Callable[..., dict[str, Any]]
) -> None:
    second = refresh(consent["refresh_token"])
    third = refresh(second["refresh_token"])

    assert refresh(second["refresh_token"])["error"] == "invalid_grant"
    assert refresh(third["refresh_token"])["error"] == "invalid_grant"


def test_a_revoked_user_refreshes_no_more_and_opens_nothing(
    simulators: Simulators,
    consent: dict[str, Any],
    refresh: Callable[..., dict[str, Any]],
    introspect: Callable[[str], dict[str, Any]],
) -> None:
    simulators.oauth.revoke(ANN)

    assert refresh(consent["refresh_token"])["error"] == "invalid_grant"
    assert introspect(consent["access_token"]) == {"active": False}


def test_a_scope_can_be_narrowed_but_not_widened(
    consent: dict[str, Any], refresh: Callable[..., dict[str, Any]]
) -> None:
    assert refresh(consent["refresh_token"], scope="imap admin")["error"] == "invalid_scope"
    assert refresh(consent["refresh_token"], scope="imap")["scope"] == "imap"


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"client_secret": "wrong"}, (401, "invalid_client")),
        ({"client_id": "nobody"}, (401, "invalid_client")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
        ({"code": "nonsense"}, (400, "invalid_grant")),
        ({"code_verifier": "another"}, (400, "invalid_grant")),
        ({"redirect_uri": "https://elsewhere.example/"}, (400, "invalid_grant")),
    ],
)
def test_a_wrong_request_is_refused(client: Client, fields: dict[str, str], refusal: tuple[int, str]) -> None:
    answer = token(client, **{"code": ask(client)["code"]} | fields)

    assert (answer.status_code, answer.json()["error"]) == refusal


def test_a_sign_in_without_a_code_challenge_is_refused(client: Client) -> None:
    refused = ask(client, code_challenge=None, code_challenge_method=None)

    assert (refused["error"], refused["error_description"]) == ("invalid_request", "The code challenge is missing.")


@pytest.mark.parametrize("fields", [{"client_id": "nobody"}, {"redirect_uri": "https://elsewhere.example/"}])
def test_the_browser_is_sent_to_no_unknown_address(client: Client, fields: dict[str, str]) -> None:
    query = {"client_id": "client", "response_type": "code", "redirect_uri": BACK, "scope": "imap"} | fields

    assert client.request("GET", "/oauth/authorize", params=query, allow_redirects=False).status_code == 400


def test_the_token_endpoint_may_answer_a_web_page(simulators: Simulators, client: Client) -> None:
    page = {"status": 200, "body": "<!DOCTYPE html><p>Welcome", "headers": {"Content-Type": "text/html"}}
    client.request("POST", "/_control/faults", json={"match": "oauth.token", **page})

    answer = token(client)

    assert (answer.text, answer.headers["Content-Type"]) == (page["body"], "text/html")
    assert simulators.counts["oauth.token"] == 1


def test_only_clients_may_ask_about_tokens(client: Client, consent: dict[str, Any]) -> None:
    answer = client.request("POST", "/oauth/introspect", data={"token": consent["access_token"]})

    assert answer.status_code == 401


def test_a_token_is_active_until_it_expires(
    consent: dict[str, Any], introspect: Callable[[str], dict[str, Any]], clock: MovableClock
) -> None:
    about = introspect(consent["access_token"])
    assert (about["active"], about["email"], about["scope"]) == (True, ANN, "imap smtp")

    clock.advance(hours=1)

    assert introspect(consent["access_token"]) == {"active": False}


def test_tokens_of_entra_id_and_google_are_known_where_they_open_mail(
    simulators: Simulators, client: Client, introspect: Callable[[str], dict[str, Any]]
) -> None:
    simulators.entra.add_app(APP, SECRET, redirect_uris=[BACK])
    simulators.users.add(ANN)
    simulators.users.sign_in(ANN)
    scope = f"offline_access {IMAP} Mail.Read"
    query = {"client_id": APP, "response_type": "code", "redirect_uri": BACK, "scope": scope}
    page = client.request("GET", "/organizations/oauth2/v2.0/authorize", params=query, allow_redirects=False)
    code = dict(parse_qsl(urlsplit(page.headers["Location"]).query))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}
    for_mail = client.form(**form, scope=IMAP).json()
    renewal = {"grant_type": "refresh_token", "refresh_token": for_mail["refresh_token"], "scope": "Mail.Read"}
    others = [client.form(**renewal), client.form(scope="https://outlook.office365.com/.default")]
    issue = simulators.google.tokens.issue

    assert introspect(for_mail["access_token"])["email"] == ANN
    assert [introspect(other.json()["access_token"])["active"] for other in others] == [False, False]
    assert introspect(issue("bob@gmail.example", "c", ALL_MAIL, 60)["access_token"])["email"] == "bob@gmail.example"
    assert not introspect(issue("bob@gmail.example", "c", MODIFY, 60)["access_token"])["active"]


def test_dovecot_takes_a_token_for_its_own_user_only(
    consent: dict[str, Any], imap: Callable[..., imaplib.IMAP4]
) -> None:
    bearer = f"auth=Bearer {consent['access_token']}\x01\x01"

    assert imap("XOAUTH2", f"user={ANN}\x01{bearer}").state == "AUTH"
    assert imap("OAUTHBEARER", f"n,a={ANN},\x01host=localhost\x01port=143\x01{bearer}").state == "AUTH"
    for said in (f"user=bob@example.com\x01{bearer}", f"user={ANN}\x01auth=Bearer nonsense\x01\x01"):
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imap("XOAUTH2", said)
