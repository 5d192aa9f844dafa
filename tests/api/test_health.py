"""Health tells what works and what does not (req O7, T2)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shared.application.own_ids import OwnIds
from shared.application.ports.tickets import Commit
from shared.application.services import Services
from shared.domain.errors import CredentialsRejected, SettingsError
from shared.domain.health import Backlog, MailboxHealth
from shared.domain.intake import QuarantineEntry
from shared.domain.message import MessageRef
from shared.entrypoints.http.app import build
from tests.api.conftest import IMAP
from tests.clock import MovableClock
from tests.sources.contract import Secrets

SMTP = {"kind": "smtp", "host": "smtp.example.com"}


def codes(health: dict[str, Any]) -> list[str]:
    """But that of the deployment that the tests are."""
    return [each["code"] for each in health["findings"] if each["code"] != "loopback_allowed"]


def test_all_is_well_where_nothing_is_configured(api: TestClient):
    answer = api.get("/api/health")

    assert answer.status_code == 200
    assert codes(answer.json()) == []
    assert answer.json()["mailboxes"] == []


def test_a_mailbox_that_has_never_been_polled_is_well_and_says_so(api: TestClient, support):
    api.post("/api/mailboxes", json=support)

    health = api.get("/api/health").json()

    assert health["mailboxes"][0]["level"] == "ok"
    assert [(each["name"], each["enabled"], each["last_polled_at"]) for each in health["mailboxes"]] == [
        ("Support", True, None)
    ]


def test_a_failing_mailbox_tells_its_error_and_the_advice(
    api: TestClient, services: Services, clock: MovableClock, support
):
    mailbox_id = api.post("/api/mailboxes", json=support).json()["id"]
    services.schedule.put(
        MailboxHealth(
            mailbox_id,
            next_due_at=clock() + timedelta(minutes=5),
            last_polled_at=clock(),
            last_success_at=clock() - timedelta(days=1),
            consecutive_failures=3,
            error_code="credentials_rejected",
            error="the server refuses the password",
            advice="Set the secret anew.",
        )
    )

    health = api.get("/api/health").json()

    assert health["level"] == "error"
    assert health["mailboxes"] == [
        {
            "id": mailbox_id,
            "name": "Support",
            "enabled": True,
            "next_due_at": "2026-11-21T10:05:00Z",
            "last_polled_at": "2026-11-21T10:00:00Z",
            "last_success_at": "2026-11-20T10:00:00Z",
            "consecutive_failures": 3,
            "last_error": {
                "code": "credentials_rejected",
                "text": "the server refuses the password",
                "advice": "Set the secret anew.",
            },
            "last_outcomes": {},
            "secret_expires_at": None,
            "backlog": None,
            "level": "error",
            "findings": [
                {
                    "level": "error",
                    "code": "credentials_rejected",
                    "text": "the server refuses the password",
                    "advice": "Set the secret anew.",
                }
            ],
        }
    ]


def test_a_mailbox_that_is_switched_off_fails_no_more(
    api: TestClient, services: Services, clock: MovableClock, support
):
    created = api.post("/api/mailboxes", json={**support, "enabled": False}).json()
    services.schedule.put(
        MailboxHealth(created["id"], clock(), clock(), consecutive_failures=1, error_code="throttled")
    )

    health = api.get("/api/health").json()

    assert (health["mailboxes"][0]["level"], health["mailboxes"][0]["enabled"]) == ("ok", False)


@pytest.mark.parametrize(
    ("tls", "warning"),
    [
        ({"verify": False}, "certificate is not checked"),
        ({"mode": "none"}, "may be unencrypted"),
        ({"mode": "starttls_if_available"}, "may be unencrypted"),
    ],
)
def test_a_connection_that_is_not_secure_is_warned_of(api: TestClient, support, tls, warning: str):
    api.post("/api/mailboxes", json={**support, "source": {**IMAP, "tls": tls}})

    (mailbox,) = api.get("/api/health").json()["mailboxes"]

    assert [(warning in each["text"], each["level"]) for each in mailbox["findings"]] == [(True, "warning")]


def test_polls_that_are_long_overdue_are_warned_of(api: TestClient, services: Services, clock: MovableClock, support):
    mailbox_id = api.post("/api/mailboxes", json=support).json()["id"]
    services.schedule.postpone({mailbox_id: clock()})
    clock.advance(minutes=11)

    (mailbox,) = api.get("/api/health").json()["mailboxes"]

    assert [each["text"] for each in mailbox["findings"]] == ["polling is late: it was due at 2026-11-21 10:00 UTC"]


@pytest.mark.parametrize(
    ("days", "warning", "level"),
    [
        (-1, "has expired", "error"),
        (0.5, "within 1 days", "error"),
        (5, "within 7 days", "warning"),
        (29, "within 30 days", "warning"),
        (60, "within 60 days", "warning"),
    ],
)
def test_a_secret_that_expires_soon_is_warned_of(
    api: TestClient, services: Services, clock: MovableClock, support, days: float, warning: str, level: str
):
    mailbox_id = api.post("/api/mailboxes", json=support).json()["id"]
    expires_at = clock() + timedelta(days=days)
    services.schedule.put(MailboxHealth(mailbox_id, clock(), last_success_at=clock(), secret_expires_at=expires_at))

    (mailbox,) = api.get("/api/health").json()["mailboxes"]

    assert [each["level"] for each in mailbox["findings"] if warning in each["text"]] == [level]


def test_a_secret_that_expires_later_or_never_is_no_matter(
    api: TestClient, services: Services, clock: MovableClock, support
):
    mailbox_id = api.post("/api/mailboxes", json=support).json()["id"]
    for expires_at in (clock() + timedelta(days=61), None):
        services.schedule.put(MailboxHealth(mailbox_id, clock(), last_success_at=clock(), secret_expires_at=expires_at))

        (mailbox,) = api.get("/api/health").json()["mailboxes"]

        assert mailbox["findings"] == []


def test_a_secret_of_a_mailbox_that_is_not_enabled_may_expire(
    api: TestClient, services: Services, clock: MovableClock, support
):
    mailbox_id = api.post("/api/mailboxes", json={**support, "enabled": False}).json()["id"]
    services.schedule.put(MailboxHealth(mailbox_id, last_success_at=clock(), secret_expires_at=clock()))

    assert api.get("/api/health").json()["mailboxes"][0]["level"] == "ok"


def test_mail_servers_on_this_machine_are_warned_of(services: Services):
    settings = replace(services.settings, allow_loopback_targets=True)

    health = TestClient(build(replace(services, settings=settings))).get("/api/health").json()

    assert [each["code"] == "loopback_allowed" for each in health["findings"]] == [True]


def test_a_mailbox_whose_own_sender_is_not_enabled_says_so(api: TestClient, sender: str, support):
    api.post("/api/mailboxes", json={**support, "notices": {"sender_id": sender}})
    before = api.get("/api/health").json()["mailboxes"][0]["findings"]
    saved = api.get(f"/api/senders/{sender}")
    api.put(saved.url.path, json={**saved.json(), "enabled": False}, headers={"If-Match": saved.headers["ETag"]})

    (mailbox,) = api.get("/api/health").json()["mailboxes"]

    assert (before, [each["code"] for each in mailbox["findings"]]) == ([], ["no_own_sender"])


def switch_off(api: TestClient, sender: str) -> None:
    saved = api.get(f"/api/senders/{sender}")
    settings = {**saved.json(), "enabled": False}
    api.put(saved.url.path, json=settings, headers={"If-Match": saved.headers["ETag"]}).raise_for_status()


def test_where_no_sender_is_enabled_that_is_an_error(api: TestClient, sender: str):
    before = codes(api.get("/api/health").json())
    switch_off(api, sender)

    health = api.get("/api/health").json()

    assert (before, health["level"], codes(health)) == ([], "error", ["no_sender"])


def test_a_rule_whose_sender_is_not_enabled_says_so(api: TestClient, sender: str):
    api.post("/api/senders", json={"name": "Other", "from_address": "b@example.com", "transport": SMTP})
    for name, enabled in (("All", True), ("Unused", False)):
        api.post("/api/outgoing-rules", json={"name": name, "sender_id": sender, "enabled": enabled})
    switch_off(api, sender)

    health = api.get("/api/health").json()

    assert codes(health) == ["rule_without_sender"]
    assert "the outgoing rule All " in health["findings"][-1]["text"]


def test_what_is_broken_and_can_be_told_to_nobody_is_said_here(
    api: TestClient, services: Services, clock: MovableClock, support, sender: str
):
    api.post("/api/mailboxes", json=support)
    clock.advance(days=1)
    before = codes(api.get("/api/health").json())
    installation = api.get("/api/installation")
    changed = {**installation.json(), "alert_addresses": ["ops@example.org"]}
    api.put("/api/installation", json=changed, headers={"If-Match": installation.headers["ETag"]})
    services.installation.all()

    after = codes(api.get("/api/health").json())

    assert (before, after) == (["untold_alerts"], [])


def test_exchange_whose_certificate_is_not_checked_is_warned_of(api: TestClient, support):
    source = {"kind": "ews", "server": "mail.example.com", "sign_in": IMAP["sign_in"], "tls": {"verify": False}}
    api.post("/api/mailboxes", json={**support, "source": source}).raise_for_status()

    (mailbox,) = api.get("/api/health").json()["mailboxes"]

    assert [each["code"] for each in mailbox["findings"]] == ["insecure"]


def test_a_key_that_the_app_may_make_is_made_and_not_missed(api: TestClient, services: Services, vault):
    del vault.vault._secrets["message-id-key"]
    services.secrets.forget("message-id-key")
    services.watches.delete("secret|message-id-key")
    api.post("/api/senders", json={"name": "Relay", "from_address": "a@example.com", "transport": SMTP})

    assert codes(api.get("/api/health").json()) == []
    assert services.secrets.get("message-id-key")


def test_a_key_that_nobody_has_created_is_missed_where_there_is_a_sender(services: Services, sender: str):
    without = replace(services, own_ids=OwnIds(Secrets({})))

    health = TestClient(build(without)).get("/api/health").json()

    advice = {each["code"]: each["advice"] for each in health["findings"]}
    assert "az keyvault secret set" in advice["no_message_id_key"]
    assert "--name message-id-key" in advice["no_message_id_key"]


def test_wrong_app_settings_are_all_told_while_nothing_else_is_served():
    api = TestClient(build(SettingsError(["KEY_VAULT_URI is missing", "LOGIN_ENDPOINT must be an https:// address"])))

    health = api.get("/api/health")
    others = [
        api.get("/api/mailboxes"),
        api.post("/api/mailboxes"),
        api.get("/api/tickets/SUP-1"),
        api.get("/api/tickets"),
    ]

    assert health.status_code == 503
    assert health.json()["level"] == "error"
    assert [(each["code"], each["text"]) for each in health.json()["findings"]] == [
        ("settings_invalid", "KEY_VAULT_URI is missing"),
        ("settings_invalid", "LOGIN_ENDPOINT must be an https:// address"),
    ]
    assert [answer.status_code for answer in others] == [503] * len(others)
    assert {answer.headers["Content-Type"] for answer in others} == {"application/problem+json"}
    assert api.get("/api/openapi.json").status_code == 200


def test_a_way_in_that_its_provider_has_closed_is_told(api: TestClient, support):
    source = {**IMAP, "kind": "pop3", "host": "outlook.office365.com"}
    api.post("/api/mailboxes", json={**support, "source": source})

    [mailbox] = api.get("/api/health").json()["mailboxes"]

    assert "sign in with Microsoft" in mailbox["findings"][0]["text"]


def test_the_risks_of_a_connection_are_told_for_pop3_too(api: TestClient, support):
    source = {**IMAP, "kind": "pop3", "tls": {"mode": "none", "verify": False}}
    api.post("/api/mailboxes", json={**support, "source": source})

    [mailbox] = api.get("/api/health").json()["mailboxes"]

    assert len(mailbox["findings"]) == 2


def test_a_mailbox_without_success_at_three_of_its_times_is_an_error_whatever_the_reason(
    api: TestClient, services: Services, clock: MovableClock, support
):
    """Also where no poll fails, because none comes to an end."""
    mailbox_id = api.post("/api/mailboxes", json=support).json()["id"]
    services.schedule.put(MailboxHealth(mailbox_id, clock(), clock(), last_success_at=clock()))
    levels = []
    for _ in range(3):
        clock.advance(minutes=9)
        services.schedule.postpone({mailbox_id: clock()})
        (mailbox,) = api.get("/api/health").json()["mailboxes"]
        levels.append((mailbox["level"], [each["code"] for each in mailbox["findings"]]))

    assert levels == [("ok", []), ("ok", []), ("error", ["silent"])]


def test_a_mailbox_that_was_changed_or_switched_on_has_its_time_before_it_is_silent(
    api: TestClient, services: Services, clock: MovableClock, support
):
    created = api.post("/api/mailboxes", json=support)
    mailbox_id = created.json()["id"]
    services.schedule.put(MailboxHealth(mailbox_id, clock(), clock(), last_success_at=clock()))
    clock.advance(days=30)
    before = api.get("/api/health").json()["level"]

    api.put(f"/api/mailboxes/{mailbox_id}", json=support, headers={"If-Match": "*"})

    assert (before, api.get("/api/health").json()["level"]) == ("error", "warning")
    assert api.get("/api/health").json()["mailboxes"][0]["findings"] == []


def test_a_mailbox_that_is_not_enabled_is_neither_late_nor_silent(
    api: TestClient, services: Services, clock: MovableClock, support
):
    mailbox_id = api.post("/api/mailboxes", json={**support, "enabled": False}).json()["id"]
    services.schedule.put(MailboxHealth(mailbox_id, clock(), clock(), clock(), error_code="throttled", error="x"))
    clock.advance(days=30)

    assert api.get("/api/health").json()["mailboxes"][0]["findings"] == []


@pytest.mark.parametrize(
    ("minutes", "first_wait", "wait", "codes"),
    [
        (31, 10, 10, ["backlog"]),
        (31, 10, 90, ["backlog"]),
        (31, 90, 10, []),
        (29, 10, 90, []),
        (31, None, None, ["backlog"]),
    ],
)
def test_mail_that_comes_faster_than_it_is_taken_in_is_told(
    api: TestClient, services: Services, clock: MovableClock, support, minutes, first_wait, wait, codes
):
    mailbox_id = api.post("/api/mailboxes", json=support).json()["id"]
    waits = [None if each is None else timedelta(minutes=each) for each in (first_wait, wait)]
    backlog = Backlog(clock() - timedelta(minutes=minutes), *waits)
    services.schedule.put(MailboxHealth(mailbox_id, clock(), clock(), last_success_at=clock(), backlog=backlog))

    (mailbox,) = api.get("/api/health").json()["mailboxes"]

    assert [each["code"] for each in mailbox["findings"]] == codes
    assert mailbox["backlog"]["wait"] == (wait and f"PT{wait}M".replace("PT90M", "PT1H30M"))


def test_a_quarantine_that_is_not_empty_is_told_until_it_is(api: TestClient, services: Services, support):
    mailbox_id = api.post("/api/mailboxes", json=support).json()["id"]
    entry = QuarantineEntry(MessageRef("INBOX", "1"), services.clock(), 3, "parse_failed", "x")
    services.tickets.commit(mailbox_id, Commit(quarantined=[entry]))
    services.schedule.mark_quarantined(mailbox_id, services.clock())

    (mailbox,) = api.get("/api/health").json()["mailboxes"]

    assert [(each["code"], each["text"]) for each in mailbox["findings"]] == [
        ("quarantine", "a message is in quarantine")
    ]


def test_a_sender_that_cannot_send_is_an_error_and_says_until_when(
    api: TestClient, services: Services, clock: MovableClock
):
    sender = {"name": "Relay", "from_address": "a@example.com", "transport": SMTP}
    sender_id = api.post("/api/senders", json=sender).json()["id"]
    down = CredentialsRejected("the server refuses the password")
    services.sender_states.change(sender_id, lambda state: (state.failed(down, clock()), None))

    health = api.get("/api/health").json()

    assert (health["level"], health["senders"][0]["level"]) == ("error", "error")
    assert health["senders"][0]["findings"] == [
        {
            "level": "error",
            "code": "credentials_rejected",
            "text": "nothing is sent through it until 2026-11-21 10:01 UTC: the server refuses the password",
            "advice": "Test it; until it works the primary sender stands in.",
        }
    ]


def test_the_secrets_of_senders_are_looked_after(api: TestClient, services: Services, clock: MovableClock, vault):
    expires_at = clock() + timedelta(days=20)
    vault.vault.put("relay-password", "x", exp=int(expires_at.timestamp()))
    sign_in = {"kind": "password", "account": "a", "password_secret": "relay-password"}
    transport = {**SMTP, "sign_in": sign_in}
    api.post("/api/senders", json={"name": "Relay", "from_address": "a@example.com", "transport": transport})

    (sender,) = api.get("/api/health").json()["senders"]

    assert [(each["code"], "within 30 days" in each["text"]) for each in sender["findings"]] == [
        ("secret_expires", True)
    ]


def test_a_probe_is_told_that_the_app_runs_and_nothing_else(api: TestClient, support):
    api.post("/api/mailboxes", json=support)
    broken = TestClient(build(SettingsError(["KEY_VAULT_URI is missing"])))

    assert api.get("/api/health/live").json() == {"status": "ok"}
    assert broken.get("/api/health/live").status_code == 503
    assert "KEY_VAULT" not in broken.get("/api/health/live").text
