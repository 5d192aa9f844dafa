"""Rules apply in their order; each does all of its actions or none (req K4)."""

import pytest

from shared.domain.draft import Draft
from shared.domain.rules import Rule, apply_rules
from tests.domain.mail import ANN, facts, refused, saved

PRINTER = {"field": "subject", "operator": "contains", "value": "printer"}
ABSENT = {"field": "subject", "operator": "contains", "value": "absent"}


def rule(*actions, name="Rule", **more):
    return {"name": name, "actions": list(actions), **more}


def tag(name):
    return {"action": "tag", "tags": [name]}


def applied(*rules, **message):
    return apply_rules(saved(rules=list(rules)).rules, facts(**message), Draft(ANN, subject="Order"))


@pytest.mark.parametrize(
    ("match", "conditions", "applies"),
    [
        ("all", [PRINTER, PRINTER], True),
        ("all", [PRINTER, ABSENT], False),
        ("any", [ABSENT, PRINTER], True),
        ("any", [ABSENT, ABSENT], False),
        ("any", [ABSENT, {**ABSENT, "not": True}], True),
        ("all", [], True),
        ("any", [], True),
    ],
)
def test_a_rule_applies_when_all_or_any_of_its_conditions_hold(match, conditions, applies):
    result = applied(rule(tag("t"), match=match, conditions=conditions))

    assert result.draft.tags == (("t",) if applies else ())
    assert [step.matched for step in result.steps] == [applies]


@pytest.mark.parametrize(
    ("action", "changed"),
    [
        ({"action": "set", "field": "category", "value": "From {{ sender.domain }}"}, {"category": "From example.com"}),
        ({"action": "set", "field": "custom.order", "value": "{{ header:x-order }}"}, {"custom": {"order": "O-99"}}),
        ({"action": "set", "field": "subject", "value": "{{ header:x-none }}"}, {"subject": "Order"}),
        ({"action": "set", "field": "subject", "value": ""}, {"subject": ""}),
        ({"action": "assign", "assignee": "bob@example.org"}, {"assignee": "bob@example.org", "group": ""}),
        ({"action": "assign", "group": "Printing"}, {"assignee": "", "group": "Printing"}),
        ({"action": "tag", "tags": ["a", "b", "a"]}, {"tags": ("a", "b")}),
        ({"action": "no_acknowledgement"}, {"acknowledge": False}),
    ],
)
def test_an_action_changes_the_draft(action, changed):
    result = applied(rule(action))

    assert {name: getattr(result.draft, name) for name in changed} == changed
    assert (result.ignore, result.route) == (None, None)


def test_a_message_can_be_ignored_with_a_reason_and_later_rules_are_left_out():
    result = applied(rule({"action": "ignore", "reason": "newsletter"}, name="1"), rule(tag("late"), name="2"))

    assert (result.ignore, result.draft.tags) == ("newsletter", ())


def test_a_message_can_go_to_the_tickets_of_another_mailbox():
    assert applied(rule({"action": "route", "mailbox": "billing-1a2b3c"})).route == "billing-1a2b3c"


def test_rules_apply_in_their_order_until_one_stops():
    result = applied(
        rule(tag("first"), name="1"),
        rule(tag("second"), {"action": "stop"}, name="2"),
        rule(tag("third"), name="3"),
    )

    assert result.draft.tags == ("first", "second")
    assert [step.matched for step in result.steps] == [True, True, False]


def test_a_rule_that_is_not_enabled_is_left_out():
    assert applied(rule(tag("t"), enabled=False)).steps == ()


def test_a_rule_that_fails_changes_nothing_and_the_next_one_applies():
    result = applied(
        rule(tag("lost"), {"action": "set", "field": "priority", "value": "{{ subject }}"}, name="1"),
        rule(tag("kept"), name="2"),
    )

    assert result.draft == Draft(ANN, subject="Order", tags=("kept",))
    assert [(step.matched, step.detail) for step in result.steps] == [
        (False, "failed: must be one of low, normal, high, urgent"),
        (True, "tag kept"),
    ]


def test_a_stored_rule_with_a_pattern_that_is_none_is_left_out():
    condition = {"field": "subject", "operator": "matches", "value": "("}
    stored = Rule.model_validate(rule(tag("lost"), conditions=[condition]))

    result = apply_rules([stored], facts(), Draft(ANN))

    assert result.draft == Draft(ANN)
    assert result.steps[0].detail.startswith("failed: is no pattern")


def test_a_failure_that_nobody_thought_of_is_noted_without_what_it_says():
    broken = facts(headers=None)
    condition = {"field": "header:x-order", "operator": "contains", "value": "o"}

    result = apply_rules(saved(rules=[rule(tag("t"), conditions=[condition])]).rules, broken, Draft(ANN))

    assert (result.draft.tags, result.steps[0].detail) == ((), "failed: TypeError")


def test_the_steps_tell_what_each_rule_did():
    result = applied(
        rule(
            {"action": "set", "field": "priority", "value": "high"},
            {"action": "assign", "assignee": "bob@example.org", "group": "Printing"},
            {"action": "no_acknowledgement"},
            name="Printers",
            conditions=[PRINTER],
        )
    )

    assert [(step.stage, step.name, step.detail) for step in result.steps] == [
        ("rules", "Printers", "set priority to high; assign to bob@example.org, Printing; no acknowledgement")
    ]


@pytest.mark.parametrize(
    ("wrong", "place", "reason"),
    [
        (rule(), ".actions", "must have at least one item"),
        (rule({"action": "explode"}), ".actions[0].action", "must be one of 'set', 'assign'"),
        (rule({"action": "set", "field": "colour", "value": "x"}), ".actions[0].field", "must be one of requester"),
        (rule({"action": "set", "field": "group", "value": "{{ x }}"}), ".actions[0].value", "knows no `{{ x }}`"),
        (rule({"action": "set", "field": "group", "value": "{{ match }}"}), ".actions[0].value", "knows no `{{ match"),
        (rule({"action": "assign"}), ".actions[0]", "must have an `assignee` or a `group`"),
        (rule({"action": "assign", "assignee": "bob"}), ".actions[0].assignee", "must be one e-mail address"),
        (rule({"action": "tag", "tags": ["a,b"]}), ".actions[0].tags[0]", "must be a tag of at most"),
        (rule({"action": "ignore"}), ".actions[0].reason", "is missing"),
        (rule({"action": "route", "mailbox": "No Such"}), ".actions[0].mailbox", "must match pattern"),
        (rule({"action": "stop"}, match="some"), ".match", "must be 'all' or 'any'"),
        (rule({"action": "stop"}, conditions=[PRINTER] * 21), ".conditions", "must have at most 20 items"),
        (rule({"action": "stop"}, name=" "), ".name", "must have at least 1 character"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_with_its_place_and_reason(wrong, place, reason):
    problems = refused(rules=[rule({"action": "stop"}, name="fine"), wrong])

    assert problems.keys() == {f"$.rules[1]{place}"}
    assert reason in problems[f"$.rules[1]{place}"]


def test_two_rules_of_one_name_are_refused():
    assert "differ" in refused(rules=[rule(tag("a"), name="One"), rule(tag("b"), name="one")])["$.rules"]
