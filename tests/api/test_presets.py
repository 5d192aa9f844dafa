"""Presets are what an editor begins with (req C7)."""

from fastapi.testclient import TestClient


def test_presets_tell_what_to_fill_in_and_what_to_know(api: TestClient):
    presets = {each["id"]: each for each in api.get("/api/presets").json()["presets"]}

    assert {"microsoft365", "outlook", "gmail", "google_workspace", "yahoo", "imap", "pop3"} == set(presets)
    assert presets["microsoft365"]["source"]["kind"] == "graph"
    assert "$.sign_in.tenant" in presets["microsoft365"]["to_fill_in"]
    assert any("passwords" in warning for warning in presets["outlook"]["warnings"])
