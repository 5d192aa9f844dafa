"""Ticket types have fields of their own, each with its kind of value (req K7)."""

import pytest

from shared.application.validation import validated
from shared.domain.errors import Problem
from shared.domain.ticket_types import BUILT_IN, TicketType, TicketTypeSettings, all_types, fitting

ORDER = TicketTypeSettings.model_validate(
    {
        "name": "Order",
        "fields": [
            {"name": "number", "label": "Number", "required": True},
            {"name": "amount", "label": "Amount", "kind": "number"},
            {"name": "due", "label": "Due", "kind": "date"},
            {"name": "size", "label": "Size", "kind": "choice", "choices": ["Small", "Large"], "default": "small"},
            {"name": "express", "label": "Express", "kind": "checkbox"},
        ],
    }
)


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("number", " O-17 ", "O-17"),
        ("amount", "1234.50", "1234.50"),
        ("amount", "-3", "-3"),
        ("due", "2026-11-21", "2026-11-21"),
        ("size", "LARGE", "Large"),
        ("express", "Yes", "true"),
        ("express", "0", "false"),
    ],
)
def test_a_value_is_stored_as_its_field_has_it(name, value, stored):
    values, problems = fitting(ORDER, {"number": "1", name: value})

    assert (values[name], problems) == (stored, [])


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("amount", "12 apples", "must be a number such as 1234.5"),
        ("amount", "NaN", "must be a number such as 1234.5"),
        ("amount", "9" * 41, "must be a number such as 1234.5"),
        ("due", "31.12.2026", "must be a date such as 2026-01-31"),
        ("due", "2026-02-30", "must be a date such as 2026-01-31"),
        ("size", "Medium", "must be one of Small, Large"),
        ("express", "perhaps", "must be true or false"),
        ("colour", "red", "is no field of this type"),
    ],
)
def test_a_value_that_does_not_fit_is_left_out_and_told(name, value, reason):
    values, problems = fitting(ORDER, {"number": "1", name: value})

    assert (values.get(name), problems) == (None, [Problem(f"$.custom.{name}", reason)])


def test_defaults_are_filled_in_and_a_required_field_is_asked_for():
    assert fitting(ORDER, {}) == ({"size": "Small"}, [Problem("$.custom.number", "is missing")])


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        ([{"name": "Big", "label": "x"}], "[0].name", "must be small letters, digits and underscores"),
        ([{"name": "a", "label": " "}], "[0].label", "must have at least 1 character"),
        ([{"name": "a", "label": "x", "kind": "colour"}], "[0].kind", "must be 'text', 'number'"),
        ([{"name": "a", "label": "x", "kind": "choice"}], "[0].choices", "belong to a field of the kind `choice`"),
        ([{"name": "a", "label": "x", "choices": ["b"]}], "[0].choices", "belong to a field of the kind `choice`"),
        (
            [{"name": "a", "label": "x", "kind": "choice", "choices": ["b", "B"]}],
            "[0].choices",
            "must differ from each other",
        ),
        (
            [{"name": "a", "label": "x", "kind": "choice", "choices": ["b"], "default": "c"}],
            "[0].default",
            "must be one of b",
        ),
        ([{"name": "a", "label": "x", "kind": "date", "default": "now"}], "[0].default", "must be a date"),
        ([{"name": "a", "label": "x"}, {"name": "a", "label": "y"}], "", "must have names that differ"),
    ],
)
def test_a_type_that_cannot_work_is_refused_with_its_place_and_reason(fields, path, reason):
    _, problems = validated(TicketTypeSettings, {"name": "Type", "fields": fields})

    assert [problem.path for problem in problems] == [f"$.fields{path}"]
    assert reason in problems[0].message


def test_there_are_types_to_begin_with_and_those_that_people_make_are_added():
    own = TicketType.model_validate({"name": "Visit", "id": "visit-1a2b3c", "created_at": "2026-11-21T00:00:00Z"})

    types = all_types([own])

    assert [*BUILT_IN] == ["request", "incident", "purchase-order", "contract", "knowledge-article"]
    assert types == {**BUILT_IN, "visit-1a2b3c": own}


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_type_can_be_copied_as_ones_own(name):
    settings = BUILT_IN[name]

    assert TicketTypeSettings.model_validate_json(settings.model_dump_json(), strict=True) == settings
    assert fitting(settings, {}) == ({}, [])
