"""The examples of the page about announcements are what the product takes."""

import json
import re
from pathlib import Path

from shared.application.validation import validated
from shared.domain.announcements import NewAnnouncement

PAGE = Path("docs/announcements.md").read_text()
ANNOUNCEMENT, AUDIENCES = map(json.loads, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))


def test_the_announcement_is_accepted_for_every_audience():
    problems = [validated(NewAnnouncement, {**ANNOUNCEMENT, "audience": each})[1] for each in AUDIENCES]

    assert problems == [[]] * 4


def test_every_field_is_described():
    assert [name for name in NewAnnouncement.model_fields if f"`{name}`" not in PAGE] == []
