"""Connections are tested stage by stage, saved or not, and secrets that come along go nowhere else (req O3, S1)."""

import logging
from typing import Any

import pytest
from fastapi.testclient import TestClient

from local.dovecot import PASSWORD, Dovecot
from local.simulators import Simulators
from shared.application.services import Services
from tests.api.conftest import SIGN_IN


@pytest.fixture
def reachable(support: dict[str, Any], dovecot: Dovecot) -> dict[str, Any]:
    """A mailbox on a server that is there."""
    source = {
        "kind": "imap",
        "host": "localhost",
        "port": dovecot.imaps_port,
        "sign_in": {**SIGN_IN, "account": "api-connections"},
        "tls": {"ca_certificate": dovecot.ca_file.read_text()},
    }
    return {**support, "source": source}


def test_a_saved_mailbox_is_tested_to_its_last_stage(api: TestClient, reachable):
    mailbox_id = api.post("/api/mailboxes", json=reachable).json()["id"]

    answer = api.post(f"/api/mailboxes/{mailbox_id}/test-connection")

    assert answer.status_code == 200
    assert answer.json()["ok"] is True
    assert answer.json()["stages"][-1]["name"] == "waiting"


def test_a_mailbox_is_tested_before_it_is_saved(api: TestClient, reachable):
    answer = api.post("/api/mailboxes/test-connection", json={"mailbox": reachable})

    assert answer.json()["ok"] is True
    assert api.get("/api/mailboxes").json() == {"mailboxes": []}


def test_a_failing_test_ends_with_the_stage_that_failed_and_its_advice(api: TestClient, reachable):
    reachable["source"]["port"] = 1

    answer = api.post("/api/mailboxes/test-connection", json={"mailbox": reachable})

    assert answer.status_code == 200
    assert answer.json()["ok"] is False
    assert (answer.json()["stages"][-1]["name"], answer.json()["stages"][-1]["ok"]) == ("port", False)
    assert answer.json()["stages"][-1]["code"] == "source_unavailable"


def test_a_secret_can_be_tested_before_it_is_in_the_vault(api: TestClient, reachable):
    reachable["source"]["sign_in"]["password_secret"] = "not-there-yet"

    without = api.post("/api/mailboxes/test-connection", json={"mailbox": reachable})
    along = api.post(
        "/api/mailboxes/test-connection", json={"mailbox": reachable, "secrets": {"not-there-yet": PASSWORD}}
    )

    assert (without.json()["ok"], along.json()["ok"]) == (False, True)
    assert without.json()["stages"][-1]["code"] == "secret_missing"


def test_a_secret_is_tested_as_it_is_in_the_vault_by_now(api: TestClient, vault: Simulators, reachable):
    reachable["source"]["sign_in"]["password_secret"] = "changed"
    vault.vault.put("changed", PASSWORD)
    mailbox_id = api.post("/api/mailboxes", json=reachable).json()["id"]
    right = api.post(f"/api/mailboxes/{mailbox_id}/test-connection")
    vault.vault.put("changed", "mistyped")

    wrong = api.post(f"/api/mailboxes/{mailbox_id}/test-connection")

    assert (right.json()["ok"], wrong.json()["ok"]) == (True, False)
    assert wrong.json()["stages"][-1]["code"] == "credentials_rejected"


def test_a_secret_that_came_along_is_neither_kept_nor_told(api: TestClient, services: Services, reachable, caplog):
    wrong = {"mailbox": reachable, "secrets": {"imap-password": "wr0ng-s3cret"}}

    with caplog.at_level(logging.DEBUG):
        refused = api.post("/api/mailboxes/test-connection", json=wrong)
    right = api.post("/api/mailboxes/test-connection", json={"mailbox": reachable})

    assert refused.json()["stages"][-1]["code"] == "credentials_rejected"
    assert right.json()["ok"] is True
    assert "wr0ng-s3cret" not in refused.text + caplog.text
    assert services.secrets.get("imap-password") == PASSWORD


@pytest.mark.parametrize("secrets", [["s3cret-value"], {"a": 5, "s3cret-value": {}}, "s3cret-value"])
def test_secrets_of_the_wrong_shape_are_refused_without_being_repeated(api: TestClient, reachable, secrets):
    answer = api.post("/api/mailboxes/test-connection", json={"mailbox": reachable, "secrets": secrets})

    assert answer.status_code == 422
    assert [each["path"] for each in answer.json()["problems"]] == ["$.secrets"]
    assert "s3cret-value" not in answer.text


def test_a_configuration_that_cannot_be_tested_is_refused_with_its_places_in_the_request(api: TestClient, support):
    support["source"]["port"] = 0

    answer = api.post("/api/mailboxes/test-connection", json={"mailbox": support})

    assert answer.status_code == 422
    assert [each["path"] for each in answer.json()["problems"]] == ["$.mailbox.source.port"]


def test_the_folders_of_a_mailbox_are_listed(api: TestClient, reachable):
    mailbox_id = api.post("/api/mailboxes", json=reachable).json()["id"]

    folders = api.get(f"/api/mailboxes/{mailbox_id}/folders").json()["folders"]

    assert {"path": "Sent", "role": "sent"} in folders
    assert "INBOX" in [folder["path"] for folder in folders]


def test_folders_that_cannot_be_listed_tell_why(api: TestClient, reachable, vault):
    vault.vault.put("other-password", "not the password")
    reachable["source"]["sign_in"]["password_secret"] = "other-password"
    rejected = api.post("/api/mailboxes", json=reachable).json()["id"]

    answer = api.get(f"/api/mailboxes/{rejected}/folders")

    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:mailroom:credentials_rejected"
    assert answer.json()["advice"]


def test_a_vault_that_does_not_answer_keeps_a_mailbox_from_being_saved(api: TestClient, services, reachable, vault):
    reachable["source"]["sign_in"]["password_secret"] = "never-read-before"
    vault.faults.add("vault.get", times=None, status=503)
    try:
        answer = api.post("/api/mailboxes", json=reachable)
    finally:
        vault.faults.clear()

    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:mailroom:store_unavailable"
    assert services.mailboxes.all() == []
