"""Health tells what works and what does not (req O7, T2)."""

from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from shared.application.services import Services
from shared.domain.errors import SettingsError
from shared.domain.intake import MailboxHealth
from shared.entrypoints.http.app import build
from tests.api.conftest import IMAP
from tests.clock import MovableClock


def test_all_is_well_where_nothing_is_configured(api: TestClient):
    answer = api.get("/api/health")

    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["mailboxes"] == []


def test_a_mailbox_that_has_never_been_polled_is_waiting(api: TestClient, support):
    api.post("/api/mailboxes", json=support)

    health = api.get("/api/health").json()

    assert health["status"] == "ok"
    assert [(each["name"], each["enabled"], each["status"]) for each in health["mailboxes"]] == [
        ("Support", True, "waiting")
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

    assert health["status"] == "failing"
    assert health["mailboxes"] == [
        {
            "id": mailbox_id,
            "name": "Support",
            "enabled": True,
            "status": "failing",
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
            "warnings": [],
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

    assert (health["status"], health["mailboxes"][0]["status"]) == ("ok", "disabled")


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

    assert [warning in each for each in mailbox["warnings"]] == [True]


def test_polls_that_are_long_overdue_are_warned_of(api: TestClient, services: Services, clock: MovableClock, support):
    mailbox_id = api.post("/api/mailboxes", json=support).json()["id"]
    services.schedule.postpone({mailbox_id: clock()})
    clock.advance(minutes=11)

    (mailbox,) = api.get("/api/health").json()["mailboxes"]

    assert mailbox["warnings"] == ["polling is late: it was due at 2026-11-21 10:00 UTC"]


@pytest.mark.parametrize(
    ("days", "warning"), [(0.5, "within 1 days"), (5, "within 7 days"), (29, "within 30 days"), (60, "within 60 days")]
)
def test_a_secret_that_expires_soon_is_warned_of(
    api: TestClient, services: Services, clock: MovableClock, support, days: float, warning: str
):
    mailbox_id = api.post("/api/mailboxes", json=support).json()["id"]
    expires_at = clock() + timedelta(days=days)
    services.schedule.put(MailboxHealth(mailbox_id, clock(), last_success_at=clock(), secret_expires_at=expires_at))

    (mailbox,) = api.get("/api/health").json()["mailboxes"]

    assert [each for each in mailbox["warnings"] if warning in each]


def test_a_secret_that_expires_later_or_never_is_no_matter(
    api: TestClient, services: Services, clock: MovableClock, support
):
    mailbox_id = api.post("/api/mailboxes", json=support).json()["id"]
    for expires_at in (clock() + timedelta(days=61), None):
        services.schedule.put(MailboxHealth(mailbox_id, clock(), last_success_at=clock(), secret_expires_at=expires_at))

        (mailbox,) = api.get("/api/health").json()["mailboxes"]

        assert mailbox["warnings"] == []


def test_mail_servers_on_this_machine_are_warned_of(services: Services):
    settings = replace(services.settings, allow_loopback_targets=True)

    health = TestClient(build(replace(services, settings=settings))).get("/api/health").json()

    assert ["ALLOW_LOOPBACK_TARGETS" in each for each in health["warnings"]] == [True]


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
    assert health.json()["status"] == "broken"
    assert health.json()["problems"] == ["KEY_VAULT_URI is missing", "LOGIN_ENDPOINT must be an https:// address"]
    assert [answer.status_code for answer in others] == [503] * len(others)
    assert {answer.headers["Content-Type"] for answer in others} == {"application/problem+json"}
    assert api.get("/api/openapi.json").status_code == 200


def test_a_way_in_that_its_provider_has_closed_is_told(api: TestClient, support):
    source = {**IMAP, "kind": "pop3", "host": "outlook.office365.com"}
    api.post("/api/mailboxes", json={**support, "source": source})

    [mailbox] = api.get("/api/health").json()["mailboxes"]

    assert "sign in with Microsoft" in mailbox["warnings"][0]


def test_the_risks_of_a_connection_are_told_for_pop3_too(api: TestClient, support):
    source = {**IMAP, "kind": "pop3", "tls": {"mode": "none", "verify": False}}
    api.post("/api/mailboxes", json={**support, "source": source})

    [mailbox] = api.get("/api/health").json()["mailboxes"]

    assert len(mailbox["warnings"]) == 2
