"""Messages as the world sends them, each beside a file that says how a person would read it.

A `.json` file names only what matters in its message. A key that ends in `_has` lists what must be contained.
"""

import json
from pathlib import Path

import pytest

from bench.parsing import differences

CORPUS = Path(__file__).parents[1] / "corpus"
NAMES = sorted(path.stem for path in CORPUS.glob("*.eml"))


def test_every_message_has_its_expectations():
    assert sorted(path.stem for path in CORPUS.glob("*.json")) == NAMES
    assert len(NAMES) >= 150


@pytest.mark.parametrize("name", NAMES)
def test_the_message_is_read_as_a_person_would_read_it(name):
    content = (CORPUS / f"{name}.eml").read_bytes()
    expected = json.loads((CORPUS / f"{name}.json").read_text("utf-8"))

    assert differences(content, expected) == {}
