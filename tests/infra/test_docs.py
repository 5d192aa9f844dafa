import json
import re

from shared.domain.mailbox import MailboxSettings
from tests.infra import app
from tests.infra.deployment import ROOT
from tools import settings_table

PAGE = settings_table.PAGE.read_text()


def test_the_table_of_settings_is_current():
    assert settings_table.with_table(PAGE) == PAGE


def test_the_mailbox_of_the_example_is_accepted():
    (body,) = re.findall(r"<<'JSON'\n(.*?)\nJSON\n", PAGE, re.DOTALL)

    assert MailboxSettings.model_validate_json(body)


def test_core_tools_get_every_setting_that_bindings_and_app_require():
    example = json.loads((ROOT / "local.settings.example.json").read_text())["Values"]

    schedules = {"POLL_SCHEDULE", "RETENTION_SCHEDULE"}
    assert {*app.CONNECTIONS, "AzureWebJobsStorage", "KEY_VAULT_URI", *schedules} <= example.keys()
