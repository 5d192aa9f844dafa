"""Conditions on any part of a message, and their negations (req K4)."""

import pytest
from pydantic import TypeAdapter

from shared.domain.conditions import Condition, holds
from shared.domain.kinds import Kind
from shared.domain.message import Address
from tests.domain.mail import BOB, facts, refused

CONDITION = TypeAdapter(Condition)


def condition(field, operator, value=None, **more):
    return {"field": field, "operator": operator, **({} if value is None else {"value": value}), **more}


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("subject", "equals", "order 4711: PRINTER", True),
        ("subject", "equals", "printer", False),
        ("subject", "contains", "PRINTER", True),
        ("subject", "starts", "order", True),
        ("subject", "starts", "printer", False),
        ("subject", "ends", "Printer", True),
        ("subject", "matches", r"order \d{4}\b", True),
        ("subject", "matches", r"^\d", False),
        ("body", "contains", "serial: xk", True),
        ("body", "matches", r"(?m)^serial: (\S+)$", True),
        ("from", "equals", "ann@example.com", True),
        ("from", "equals", "ann smith", True),
        ("from", "ends", "@example.com", True),
        ("from", "ends", "@example.net", False),
        ("to", "equals", "support@example.org", True),
        ("cc", "contains", "carl@", True),
        ("address", "equals", "carl@example.net", True),
        ("address", "equals", "ann@example.com", True),
        ("address", "equals", "reply@example.com", True),
        ("address", "equals", "nobody@example.net", False),
        ("attachment_name", "ends", ".jpg", True),
        ("attachment_name", "ends", ".exe", False),
        ("attachment_type", "equals", "text/plain", True),
        ("kind", "equals", "out_of_office", True),
        ("kind", "equals", "person", False),
        ("sender_role", "equals", "technician", True),
        ("sender_group", "equals", "night", True),
        ("sender_group", "equals", "day", False),
        ("sender_company", "contains", "example", True),
        ("header:X-Order", "equals", "o-100", True),
        ("header:x-order", "equals", "o-1", False),
        ("header:x-other", "contains", "o", False),
        ("size", "greater", 999, True),
        ("size", "greater", 1000, False),
        ("size", "less", 1001, True),
        ("attachment_count", "greater", 1, True),
        ("attachment_count", "less", 2, False),
        ("header:x-order", "exists", None, True),
        ("header:x-other", "exists", None, False),
        ("attachment_name", "exists", None, True),
    ],
)
def test_a_condition_holds_or_not_and_not_turns_it_round(field, operator, value, expected):
    seen = facts(contact=BOB, kind=Kind.OUT_OF_OFFICE, reply_to=(Address("reply@example.com"),))

    assert holds(CONDITION.validate_python(condition(field, operator, value)), seen) is expected
    assert holds(CONDITION.validate_python(condition(field, operator, value, **{"not": True})), seen) is not expected


def test_a_sender_who_is_not_known_is_a_guest_without_group_and_company():
    assert holds(CONDITION.validate_python(condition("sender_role", "equals", "guest")), facts())
    assert not holds(CONDITION.validate_python(condition("sender_company", "exists")), facts())


def test_nothing_but_a_negation_holds_for_an_empty_message():
    empty = facts(subject="", sender=None, to=(), cc=(), text="", attachments=(), headers=())

    assert not holds(CONDITION.validate_python(condition("from", "contains", "a")), empty)
    assert holds(CONDITION.validate_python(condition("from", "contains", "a", **{"not": True})), empty)


@pytest.mark.parametrize(
    ("wrong", "place", "reason"),
    [
        (condition("subjekt", "equals", "x"), ".field", "must be one of subject, body,"),
        (condition("header:", "equals", "x"), ".field", "must be one of subject, body,"),
        (condition("header:a b", "exists"), ".field", "must be one of subject, body,"),
        (condition("size", "contains", "x"), ".field", "must be one of subject, body,"),
        (condition("subject", "greater", 1), ".field", "must be 'size' or 'attachment_count'"),
        (condition("size", "greater", "big"), ".value", "must be a whole number"),
        (condition("subject", "like", "x"), ".operator", "must be one of 'equals', 'contains'"),
        (condition("subject", "matches", "("), ".value", "is no pattern that RE2 takes"),
        (condition("subject", "contains", ""), ".value", "must have at least 1 character"),
        (condition("subject", "contains"), ".value", "is missing"),
        (condition("kind", "equals", "spam"), ".value", "must be one of person, automatic_reply"),
        (condition("sender_role", "equals", "boss"), ".value", "must be one of requester, technician, guest"),
        (condition("subject", "exists", "x"), ".value", "is not known here"),
        (condition("subject", "contains", "x", negate=True), ".negate", "is not known here"),
    ],
)
def test_a_condition_that_cannot_work_is_refused_with_its_place_and_reason(wrong, place, reason):
    rule = {"name": "Rule", "conditions": [condition("subject", "exists"), wrong], "actions": [{"action": "stop"}]}

    problems = refused(rules=[rule])

    assert problems.keys() == {f"$.rules[0].conditions[1]{place}"}
    assert reason in problems[f"$.rules[0].conditions[1]{place}"]


def test_a_negation_is_stored_under_its_name():
    stored = CONDITION.validate_python(condition("subject", "exists", **{"not": True}))

    assert CONDITION.validate_json(stored.model_dump_json()) == stored
