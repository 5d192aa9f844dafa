from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from local.simulators import HOME_TENANT, Simulators
from local.simulators.entra_assertions import IDENTITY_HEADER
from local.simulators.google import ALL_MAIL, MODIFY, new_key_file
from tests.simulators.conftest import APP, MAILBOX, SECRET, Client

ANN = "ann@gmail.example"
BACK = "https://mailroom.example.com/oauth/callback"
IDENTITY = "dddddddd-0000-4000-8000-000000000001"
CHALLENGE = {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 appendix B
SERVICES = {  # what a sign-in asks for, where, and where its code is redeemed
    "entra": (
        APP,
        f"/{HOME_TENANT}/oauth2/v2.0/authorize",
        f"/{HOME_TENANT}/oauth2/v2.0/token",
        "offline_access Mail.Read",
    ),
    "google": ("client", "/o/oauth2/v2/auth", "/token", MODIFY),
    "oauth": ("client", "/oauth/authorize", "/oauth/token", "imap"),
}


def order(client: Client, what: str, **body: Any) -> None:
    answer = client.request("POST", f"/_control/{what}", json=body)
    assert answer.status_code == 204, answer.text


@pytest.fixture(scope="module")
def key_file() -> dict[str, str]:
    return new_key_file("robot@project.iam.gserviceaccount.com", "")


def arrange(client: Client, key_file: dict[str, str]) -> None:
    order(client, "apps", client_id=APP, secret=SECRET, redirect_uris=[BACK])
    order(client, "users", address=MAILBOX)
    order(client, "users/sign-in", address=MAILBOX)
    order(client, "identities", client_id=IDENTITY, principal_id="p", system=True)
    order(client, "gmail/mailboxes", address=ANN, units_per_minute=100)
    order(client, "google/clients", client_id="client", secret=SECRET, redirect_uris=[BACK])
    order(client, "google/service-accounts", key_file=key_file, scopes=[MODIFY])
    order(client, "google/sign-in", address=ANN)
    order(client, "oauth/clients", client_id="client", secret=SECRET, redirect_uris=[BACK])
    order(client, "oauth/sign-in", user=ANN)


def sign_in(client: Client, service: str) -> dict[str, Any]:
    client_id, authorize, token, scope = SERVICES[service]
    query = {"client_id": client_id, "response_type": "code", "redirect_uri": BACK, "scope": scope}
    page = client.request(
        "GET", authorize, params=query | CHALLENGE | {"access_type": "offline"}, allow_redirects=False
    )
    code = dict(parse_qsl(urlsplit(page.headers["Location"]).query))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
    return dict(client.request("POST", token, data=form | {"client_id": client_id, "client_secret": SECRET}).json())


def refresh(client: Client, service: str, token: str) -> requests.Response:
    client_id, _, endpoint, _ = SERVICES[service]
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client_id, "client_secret": SECRET}
    return client.request("POST", endpoint, data=form)


def gmail(client: Client, simulators: Simulators, method: str, path: str, **options: Any) -> requests.Response:
    token = simulators.google.tokens.issue(ANN, "client", ALL_MAIL, 60)["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    return client.request(method, f"/gmail/v1/users/me/{path}", headers=headers, **options)


@pytest.mark.parametrize(
    ("service", "what", "who"),
    [
        ("entra", "users/revoke", {"address": MAILBOX}),
        ("google", "google/revoke", {"address": ANN}),
        ("oauth", "oauth/revoke", {"user": ANN}),
    ],
)
def test_other_processes_can_sign_people_in_and_revoke_what_they_allowed(
    client: Client, key_file: dict[str, str], service: str, what: str, who: dict[str, str]
) -> None:
    arrange(client, key_file)
    token = sign_in(client, service)["refresh_token"]

    order(client, what, **who)

    assert refresh(client, service, token).json()["error"] == "invalid_grant"


def test_other_processes_can_deliver_to_gmail_and_look(client: Client, key_file: dict[str, str]) -> None:
    arrange(client, key_file)
    delivery = f"/_control/gmail/messages?mailbox={ANN}&labels=INBOX,STARRED&read=true&received_at=2026-11-01T00:00:00Z"

    assert client.request("POST", delivery, data=b"Subject: Hi\r\nMessage-ID: <1@x>\r\n\r\n").status_code == 204

    [message] = client.request("GET", "/_control/gmail/state").json()[ANN]
    assert message.pop("id")
    assert message == {"internetMessageId": "<1@x>", "subject": "Hi", "labels": ["INBOX", "STARRED"]}


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("users/sign-in", {"address": "nobody@example.com"}),
        ("google/sign-in", {"address": "nobody@example.com"}),
        ("google/service-accounts", {"key_file": {}}),
        ("gmail/messages?mailbox=nobody@example.com", {}),
    ],
)
def test_a_wrong_order_is_refused(client: Client, what: str, body: dict[str, Any]) -> None:
    assert client.request("POST", f"/_control/{what}", json=body).status_code == 400


def test_a_second_start_goes_on_where_the_first_ended(tmp_path: Path, key_file: dict[str, str]) -> None:
    with Simulators(tmp_path / "ca.pem", tmp_path / "state") as first:
        client = Client(first)
        with client.session:
            arrange(client, key_file)
            tokens = {service: sign_in(client, service)["refresh_token"] for service in SERVICES}
            label = gmail(client, first, "POST", "labels", json={"name": "Done"}).json()["id"]
            start = gmail(client, first, "GET", "profile").json()["historyId"]
            kept = first.gmail.deliver(ANN, b"Message-ID: <1@x>\r\n\r\nHi").id
            gone = first.gmail.deliver(ANN, b"\r\n").id
            gmail(client, first, "POST", f"messages/{kept}/modify", json={"addLabelIds": [label]})
            gmail(client, first, "DELETE", f"messages/{gone}")
            seen = gmail(client, first, "GET", f"history?startHistoryId={start}").json()

    with Simulators(tmp_path / "ca.pem", tmp_path / "state") as second:
        client = Client(second)
        with client.session:
            refreshed = [refresh(client, service, token).status_code for service, token in tokens.items()]
            listed = gmail(client, second, "GET", f"messages?labelIds={label}").json()["messages"]
            history = gmail(client, second, "GET", f"history?startHistoryId={start}").json()
            reply = second.gmail.deliver(ANN, b"In-Reply-To: <1@x>\r\n\r\n")
            query = {"api-version": "2019-08-01", "resource": "https://vault.azure.net"}
            identity = client.request("GET", "/msi/token", params=query, headers={"X-IDENTITY-HEADER": IDENTITY_HEADER})
            units = second.gmail.mailboxes.add(ANN).units_per_minute

    assert refreshed == [200, 200, 200]
    assert [message["id"] for message in listed] == [kept]
    assert history == seen
    assert reply.thread_id == listed[0]["threadId"]
    assert identity.json()["client_id"] == IDENTITY
    assert units == 100
