"""Secrets are written, and never given back (req S4)."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from local.simulators import Simulators
from shared.application.services import Services
from shared.entrypoints.http.app import build


def test_a_secret_goes_straight_into_the_vault(api: TestClient, services: Services):
    answer = api.put("/api/secrets/new-password", json={"value": "hunter2"})

    assert (answer.status_code, answer.content) == (204, b"")
    assert services.secrets.get("new-password") == "hunter2"


def test_its_expiry_is_kept_with_it(api: TestClient, vault: Simulators):
    api.put("/api/secrets/expiring", json={"value": "x", "expires_at": "2027-01-31T00:00:00Z"})

    [version] = next(each for each in vault.vault.all() if each.name == "expiring").versions
    assert version.attributes["exp"] == datetime(2027, 1, 31, tzinfo=UTC).timestamp()


def test_no_operation_reads_a_secret(api: TestClient):
    assert api.get("/api/secrets/imap-password").status_code == 405


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"value": ""},
        {"value": 7},
        {"value": "hunter2" * 4000},
        {"value": "hunter2", "extra": "hunter2"},
        {"value": "hunter2", "expires_at": "hunter2"},
        ["hunter2"],
    ],
)
def test_what_the_vault_would_not_take_is_refused_without_repeating_it(api: TestClient, body: object):
    answer = api.put("/api/secrets/refused", json=body)

    assert answer.status_code == 422
    assert answer.json()["problems"]
    assert "hunter2" not in answer.text


def test_a_value_of_25_kilobytes_is_taken(api: TestClient):
    assert api.put("/api/secrets/large", json={"value": "x" * 25_600}).status_code == 204


def test_a_name_that_the_vault_does_not_know_names_nothing(api: TestClient):
    assert api.put("/api/secrets/not_a_name", json={"value": "x"}).status_code == 404


def test_a_deleted_secret_keeps_its_name(api: TestClient, vault: Simulators):
    vault.vault.put("deleted", "x")
    next(each for each in vault.vault.all() if each.name == "deleted").deleted = True

    answer = api.put("/api/secrets/deleted", json={"value": "hunter2"})

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:mailroom:conflict")
    assert answer.json()["advice"]


def test_a_deployment_that_does_not_allow_it_writes_nothing(services: Services, vault: Simulators):
    services.secrets._settings = replace(services.settings, allow_secret_writes=False)
    try:
        answer = TestClient(build(services)).put("/api/secrets/not-allowed", json={"value": "hunter2"})
    finally:
        services.secrets._settings = services.settings

    assert (answer.status_code, answer.json()["type"]) == (403, "urn:mailroom:secrets_read_only")
    assert "allowSecretWrites" in answer.json()["advice"]
    assert "not-allowed" not in [each.name for each in vault.vault.all()]
