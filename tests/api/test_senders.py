"""Configured senders through the API: settings, the primary one, connection tests (req M1, M2, O3, O4)."""

from email import message_from_bytes, policy
from typing import Any

import pytest

from local.smtp_server import SmtpServer, run_smtp_server
from shared.application.ports.tickets import Commit
from shared.domain.outbox import OutboxEntry

SMTP = {
    "kind": "smtp",
    "host": "mail.example.com",
    "sign_in": {"kind": "password", "account": "support", "password_secret": "imap-password"},
}
OUT: dict[str, Any] = {"name": "Out", "from_address": "support@example.com", "transport": SMTP}


def created(api, **changes) -> dict[str, Any]:
    answer = api.post("/api/senders", json={**OUT, **changes})
    assert answer.status_code == 201, answer.text
    return {**answer.json(), "etag": answer.headers["ETag"]}


def primaries(api) -> list[str]:
    return [each["name"] for each in api.get("/api/senders").json()["senders"] if each["primary"]]


def test_a_created_sender_is_found_where_the_answer_says(api):
    answer = api.post("/api/senders", json=OUT)

    found = api.get(answer.headers["Location"])
    assert found.json() == answer.json()
    assert found.headers["ETag"] == answer.headers["ETag"]
    assert found.json()["transport"]["sign_in"]["password_secret"] == "imap-password"


def test_an_answer_can_be_sent_back_with_changes(api):
    sender = created(api)
    etag = sender.pop("etag")

    answer = api.put(f"/api/senders/{sender['id']}", json={**sender, "from_name": "Help"}, headers={"If-Match": etag})

    assert answer.status_code == 200, answer.text
    assert answer.json()["from_name"] == "Help"


def test_all_that_is_wrong_is_told_at_once(api):
    created(api)
    transport = {**SMTP, "host": "smtp://mail", "port": 0, "sign_in": {**SMTP["sign_in"], "password_secret": "no-such"}}

    answer = api.post(
        "/api/senders", json={"name": "out", "from_address": "x", "from_name": "A\r\nBcc: b@c", "transport": transport}
    )

    assert answer.status_code == 422
    assert {each["path"] for each in answer.json()["problems"]} == {
        "$.name",
        "$.from_address",
        "$.from_name",
        "$.transport.host",
        "$.transport.port",
        "$.transport.sign_in.password_secret",
    }


def test_a_sender_is_deleted_by_who_has_read_it(api):
    sender = created(api)

    answer = api.delete(f"/api/senders/{sender['id']}", headers={"If-Match": sender["etag"]})

    assert answer.status_code == 204
    assert api.get("/api/senders").json() == {"senders": []}


@pytest.mark.parametrize(
    ("transport", "warning"),
    [
        ({"tls": {"mode": "none"}}, "unencrypted"),
        ({"tls": {"verify": False}}, "certificate"),
        ({"host": "smtp.office365.com"}, "December 2026"),
        ({}, None),
    ],
)
def test_what_is_risky_is_warned_of(api, transport, warning):
    sender = created(api, transport={**SMTP, **transport})

    assert [warning in each for each in sender["warnings"]] == [True] * (warning is not None)


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"server": "outlook.office365.com"}, "1 October 2026"),
        ({"tls": {"verify": False}}, "certificate"),
        ({}, None),
    ],
)
def test_what_is_risky_about_exchange_is_warned_of(api, changes, warning):
    sender = created(
        api, transport={"kind": "ews", "server": "mail.corp.example", "sign_in": SMTP["sign_in"], **changes}
    )

    assert [warning in each for each in sender["warnings"]] == [True] * (warning is not None)


@pytest.mark.parametrize("kind", ["graph", "gmail"])
def test_all_that_is_wrong_with_another_transport_is_told_at_once(api, kind):
    sign_in = {"kind": "google_service" if kind == "gmail" else "microsoft_user", "client_id": "x"}

    answer = api.post("/api/senders", json={**OUT, "transport": {"kind": kind, "sign_in": sign_in, "mailbox": "x"}})

    paths = {each["path"] for each in answer.json()["problems"]}
    assert {path for path in paths if "sign_in" not in path} == {"$.transport.mailbox"}
    assert paths >= {"$.transport.mailbox", "$.transport.sign_in.client_id"}


# The primary one


def test_there_is_always_exactly_one_primary(api, clock):
    created(api, name="Disabled", enabled=False)
    assert primaries(api) == []
    first = created(api, name="First")
    clock.advance(minutes=1)
    second = created(api, name="Second")
    assert primaries(api) == ["First"]

    chosen = api.post(f"/api/senders/{second['id']}/make-primary")

    assert chosen.json()["primary"] is True
    assert primaries(api) == ["Second"]
    api.delete(f"/api/senders/{second['id']}", headers={"If-Match": chosen.headers["ETag"]})
    assert primaries(api) == ["First"]
    api.put(f"/api/senders/{first['id']}", json={**OUT, "enabled": False}, headers={"If-Match": first["etag"]})
    assert primaries(api) == []


def test_a_primary_that_is_saved_again_stays_the_primary(api, clock):
    created(api, name="First")
    second = created(api, name="Second")
    clock.advance(minutes=1)
    etag = api.post(f"/api/senders/{second['id']}/make-primary").headers["ETag"]

    api.put(f"/api/senders/{second['id']}", json={**OUT, "name": "Second"}, headers={"If-Match": etag})

    assert primaries(api) == ["Second"]


def test_what_an_old_answer_says_of_the_primary_changes_nothing(api, clock):
    first = created(api, name="First")
    clock.advance(minutes=1)
    second = created(api, name="Second")
    api.post(f"/api/senders/{second['id']}/make-primary")
    etag = first.pop("etag")

    api.put(f"/api/senders/{first['id']}", json=first, headers={"If-Match": etag})

    assert first["primary"] is True
    assert primaries(api) == ["Second"]


def test_a_disabled_sender_cannot_be_made_the_primary(api):
    sender = created(api, enabled=False)

    answer = api.post(f"/api/senders/{sender['id']}/make-primary")

    assert answer.status_code == 422
    assert answer.json()["problems"][0]["path"] == "$.enabled"


# Connection tests


@pytest.fixture
def smtp_server():
    with run_smtp_server("tls", SmtpServer(users={"support": "open-sesame"})) as server:
        yield server


@pytest.fixture
def reachable(smtp_server) -> dict[str, Any]:
    tls = {"ca_certificate": smtp_server.ca_certificate.decode()}
    return {**OUT, "transport": {**SMTP, "host": "localhost", "port": smtp_server.port, "tls": tls}}


def test_a_saved_sender_is_tested_and_nothing_is_sent(api, reachable, smtp_server):
    sender = created(api, **reachable)

    answer = api.post(f"/api/senders/{sender['id']}/test-connection", json={})

    assert answer.json()["ok"] is True, answer.text
    assert [each["name"] for each in answer.json()["stages"]][-2:] == ["permission", "size"]
    assert smtp_server.received == []


def test_a_confirmation_goes_to_whom_it_is_asked_for(api, reachable, smtp_server):
    sender = created(api, **reachable)

    answer = api.post(f"/api/senders/{sender['id']}/test-connection", json={"confirm_to": "me@example.com"})

    assert answer.json()["stages"][-1]["name"] == "confirmation"
    (received,) = smtp_server.received
    message = message_from_bytes(received.content, policy=policy.default)
    assert received.recipients == ("me@example.com",)
    assert (message["Subject"], message["Auto-Submitted"]) == ("Mailroom can send through Out", "auto-generated")


def test_a_confirmation_is_in_the_language_of_the_mailbox_that_the_sender_serves(
    api, reachable, smtp_server, support, billing
):
    sender = created(api, **reachable)
    api.post("/api/mailboxes", json=support).raise_for_status()
    notices = {"sender_id": sender["id"], "language": "de"}
    api.post("/api/mailboxes", json={**billing, "notices": notices}).raise_for_status()

    api.post(f"/api/senders/{sender['id']}/test-connection", json={"confirm_to": "me@example.com"})

    message = message_from_bytes(smtp_server.received[0].content, policy=policy.default)
    assert message["Subject"] == "Mailroom kann über Out senden"
    assert "Es ist nichts weiter zu tun." in message.get_body(("plain",)).get_content()


def test_a_sender_is_tested_before_it_is_saved_with_secrets_that_are_stored_nowhere(api, reachable, smtp_server):
    smtp_server.users["support"] = "not-in-the-vault"
    given = {"imap-password": "not-in-the-vault"}

    answer = api.post("/api/senders/test-connection", json={"sender": reachable, "secrets": given})

    assert answer.json()["ok"] is True
    assert "not-in-the-vault" not in answer.text
    assert api.get("/api/senders").json() == {"senders": []}


def test_a_failing_test_ends_with_the_stage_that_failed_and_its_advice(api, reachable, smtp_server):
    smtp_server.users["support"] = "another"

    answer = api.post("/api/senders/test-connection", json={"sender": reachable})

    last = answer.json()["stages"][-1]
    assert (answer.json()["ok"], last["name"], last["code"]) == (False, "sign_in", "credentials_rejected")
    assert last["advice"]


def test_a_test_of_nothing_is_refused_with_its_problems(api):
    answer = api.post("/api/senders/test-connection", json={"confirm_to": "nobody"})

    assert answer.status_code == 422
    assert {each["path"] for each in answer.json()["problems"]} == {"$.sender", "$.confirm_to"}


def test_a_sender_that_is_needed_cannot_be_deleted_and_says_by_whom(api, support):
    sender = created(api)
    mailbox = api.post("/api/mailboxes", json={**support, "notices": {"sender_id": sender["id"]}}).json()
    rule = api.post("/api/outgoing-rules", json={"name": "All", "sender_id": sender["id"]}).json()

    answer = api.delete(f"/api/senders/{sender['id']}", headers={"If-Match": "*"})

    assert answer.status_code == 409
    assert f"is needed by mailbox {mailbox['id']}, outgoing rule {rule['id']}" in answer.json()["detail"]
    assert len(api.get("/api/senders").json()["senders"]) == 1


def test_the_last_sender_stays_while_something_waits_for_it(api, services, support):
    sender = created(api)
    mailbox = api.post("/api/mailboxes", json=support).json()["id"]
    services.tickets.commit(mailbox, Commit(outbox=[OutboxEntry("to-ann", "email", services.clock(), {})]))

    refused = api.delete(f"/api/senders/{sender['id']}", headers={"If-Match": "*"})
    api.delete(f"/api/outbox/{mailbox}/to-ann").raise_for_status()
    deleted = api.delete(f"/api/senders/{sender['id']}", headers={"If-Match": "*"})

    assert (refused.status_code, deleted.status_code) == (409, 204)
    assert f"what waits to be sent in mailbox {mailbox}" in refused.json()["detail"]
