"""The page on rules tells of all there is, and its JSON is what the API takes."""

import json
import re
from pathlib import Path

import pytest

from shared.application.validation import validated
from shared.domain import draft, facts, incidents, placeholders
from shared.domain.kinds import Kind
from shared.domain.processing import Defaults, Processing, processing_problems
from shared.domain.ticket_types import BUILT_IN, TicketTypeSettings

PAGE = Path("docs/rules.md").read_text()


def choices(schema):
    """All words that a schema offers."""
    if isinstance(schema, dict):
        return {schema.get("const"), *schema.get("enum", [])}.union(*map(choices, schema.values()))
    return set().union(*map(choices, schema)) if isinstance(schema, list) else set()


@pytest.mark.parametrize("block", re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
def test_an_example_is_accepted(block):
    example = json.loads(block)
    model = TicketTypeSettings if "fields" in example else Processing

    read, problems = validated(model, example, {})

    assert problems == []
    assert not isinstance(read, Processing) or not [*processing_problems(read, [], BUILT_IN)]


def test_every_field_operator_action_and_placeholder_is_told():
    words = choices(Processing.model_json_schema()) | choices(TicketTypeSettings.model_json_schema())
    ready_made = {each.id for each in incidents.MONITORING_PRESETS}
    names = {*words, *ready_made, *BUILT_IN, *facts._TEXTS, *draft._READ, *placeholders._VALUES, *Kind}
    names |= {*Processing.model_fields, *Defaults.model_fields} | placeholders._FILTERS.keys()

    assert {name for name in names if name and not re.search(rf"\b{name}\b", PAGE)} == set()
