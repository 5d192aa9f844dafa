"""The page about senders says what the product takes and does."""

import re
from pathlib import Path

from shared.domain.senders import SenderSettings

PAGE = Path("docs/senders.md").read_text()


def test_the_example_is_a_sender():
    [example] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)

    assert SenderSettings.model_validate_json(example)


def test_every_setting_with_a_default_is_explained():
    with_defaults = {name for name, field in SenderSettings.model_fields.items() if not field.is_required()}

    assert with_defaults - {"schema_version", "from_name"} == set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
