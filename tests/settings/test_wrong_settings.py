"""An app whose settings are wrong starts far enough to say so, and does nothing else."""

import json

from local.azurite import Azurite
from tests.host.sample import until
from tests.hosted import ROOT, hosted


def test_wrong_settings_are_told_by_health_and_log_all_at_once_and_nothing_is_polled(azurite: Azurite, tmp_path):
    settings = {
        "DATA_STORAGE": azurite.connection_string,
        "POLL_SCHEDULE": "* * * * * *",
        "RETENTION_SCHEDULE": "* * * * * *",
        "LOGIN_ENDPOINT": "http://login.example",
        "ALLOW_LOOPBACK_TARGETS": "perhaps",
    }

    with hosted(ROOT, tmp_path, settings) as host:
        health, mailboxes = host.get("/api/health"), host.get("/api/mailboxes")
        told = until(lambda: [line for line in host.log.read_text().splitlines() if "settings.invalid" in line])
        log = host.log.read_text()

    problems = [each["text"] for each in health.json()["findings"]]
    assert (health.status_code, health.json()["level"]) == (503, "error")
    assert [problem.split()[0] for problem in problems] == ["KEY_VAULT_URI", "LOGIN_ENDPOINT", "ALLOW_LOOPBACK_TARGETS"]
    assert json.loads(told[0][told[0].index("{") :])["problems"] == problems
    assert mailboxes.status_code == 503
    assert "polls.scheduled" not in log
