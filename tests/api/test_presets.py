"""Presets are what an editor begins with (req C7, K5-K7)."""

from fastapi.testclient import TestClient

from shared.application.validation import validated
from shared.domain.processing import Processing


def test_presets_tell_what_to_fill_in_and_what_to_know(api: TestClient):
    presets = {each["id"]: each for each in api.get("/api/presets").json()["presets"]}

    assert {"microsoft365", "outlook", "gmail", "google_workspace", "yahoo", "imap", "pop3"} == set(presets)
    assert presets["microsoft365"]["source"]["kind"] == "graph"
    assert "$.sign_in.tenant" in presets["microsoft365"]["to_fill_in"]
    assert any("passwords" in warning for warning in presets["outlook"]["warnings"])


def test_ready_made_rules_can_be_viewed_as_one_would_write_them(api: TestClient):
    presets = api.get("/api/presets/processing").json()

    [phone] = [each for each in presets["preprocessing"] if each["id"] == "sent-from-device"]
    assert phone["description"].startswith("The line that phones")
    copied = {"kind": "own", **{name: phone[name] for name in ("name", "pattern", "replacement")}}
    assert validated(Processing, {"preprocessing": [copied]}, {})[1] == []
    assert {each["id"] for each in presets["incidents"]} >= {"zabbix", "nagios", "prtg", "azure-monitor"}
    assert presets["ticket_types"]["contract"]["name"] == "Contract"
