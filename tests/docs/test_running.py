"""The page on running it says what is so."""

import json
import re
from pathlib import Path

from shared.application.poll import PAGE_BUDGET, TIME_BUDGET
from shared.application.schedule import MADE_UP_AFTER
from shared.domain.schedule import Schedule

PAGE = Path("docs/running.md").read_text()


def test_the_schedule_of_the_example_is_accepted():
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)

    assert Schedule.model_validate(json.loads(block)["schedule"]).cron


def test_every_setting_of_a_schedule_is_told_with_its_default():
    told = dict(re.findall(r"^\| `(\w+)` \|.*\| `?([\w]+)`? \|$", PAGE, re.MULTILINE))
    defaults = {name: field.default or "none" for name, field in Schedule.model_fields.items()}

    assert {name: told.get(name) for name in defaults} == {name: str(value) for name, value in defaults.items()}


def test_the_times_are_those_of_the_code():
    words = {4: "four", 7: "seven"}

    assert f"A poll works for {words[TIME_BUDGET.seconds // 60]} minutes" in PAGE
    assert f"more than {words[PAGE_BUDGET.seconds // 60]} minutes" in PAGE
    assert f"after {MADE_UP_AFTER.seconds // 60} minutes" in PAGE
