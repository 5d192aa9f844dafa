"""All that a mailbox says about its tickets, in the order it applies, and checked when it is saved (req K)."""

from itertools import count

import pytest

from shared.domain.draft import Draft
from shared.domain.incidents import Incident
from shared.domain.patterns import Effort
from shared.domain.processing import Processing, header_names, process, processing_problems, stated_priority
from shared.domain.ticket_types import BUILT_IN, TicketTypeSettings
from tests.domain.mail import ANN, BOB, facts, refused, saved


def drafted(settings, **message):
    seen = facts(**message)
    return process(saved(**settings), BUILT_IN, seen, Draft(ANN, subject=seen.message.subject, text=seen.message.text))


def set_(field, value, **more):
    return {"name": field, "actions": [{"action": "set", "field": field, "value": value}], **more}


def problems_of(**settings):
    found = processing_problems(saved(**settings), ["billing-1a2b3c"], BUILT_IN)
    return {problem.path: problem.message for problem in found}


def test_a_mailbox_that_says_nothing_makes_requests_of_the_messages_as_they_are():
    done = drafted({})

    assert done.draft == Draft(ANN, subject="Order 4711: printer", text=facts().message.text, type="request")
    assert (done.ignore, done.route, done.incident) == (None, None, None)


def test_a_ticket_has_the_mailboxs_defaults():
    settings = {
        "ticket_types": ["purchase-order", "incident"],
        "defaults": {
            "priority": "low",
            "group": "Buying",
            "assignee": "bob@example.org",
            "category": "Orders",
            "service": "Goods",
            "company": "Unknown",
            "tags": ["mail", "order"],
            "custom": {"currency": "EUR"},
        },
    }

    draft = drafted(settings).draft

    assert draft.type == "purchase-order"
    assert (draft.priority, draft.group, draft.assignee) == ("low", "Buying", "bob@example.org")
    assert (draft.category, draft.service, draft.company) == ("Orders", "Goods", "Unknown")
    assert (draft.tags, draft.custom) == (("mail", "order"), {"currency": "EUR"})


def test_what_one_message_may_take_is_bounded_over_everything_and_the_message_is_a_ticket_all_the_same():
    rule = {"conditions": [{"field": "body", "operator": "matches", "value": "o"}], **set_("group", "{{ body|lower }}")}
    settings = {
        "preprocessing": [{"kind": "own", "name": "strip", "pattern": "o"}] * 3,
        "mapping": [{"target": "category", "pattern": "(o)"}],
        "rules": [{**rule, "name": f"rule {number}"} for number in range(200)],
    }

    done = drafted(settings, effort=Effort(count(step=0.02).__next__))

    failed = [
        step for step in done.steps if step.detail.startswith("failed: the patterns and templates before it took")
    ]
    assert 100 < len(failed) < 200
    assert failed[-1].name == "rule 199"
    assert done.draft.type == "request"


def test_the_company_is_the_requesters_own_where_it_is_known():
    assert drafted({"defaults": {"company": "Unknown"}}, requester=BOB).draft.company == "Example Ltd"


@pytest.mark.parametrize(
    ("headers", "priority"),
    [
        ((("importance", "High"),), "high"),
        ((("importance", "low"),), "low"),
        ((("x-priority", "1 (Highest)"),), "high"),
        ((("x-priority", "2"),), "high"),
        ((("x-priority", "5 (Lowest)"),), "low"),
        ((("x-msmail-priority", "High"),), "high"),
        ((("priority", "urgent"),), "high"),
        ((("priority", "non-urgent"),), "low"),
        ((("importance", "normal"), ("x-priority", "3 (Normal)")), None),
        ((("x-priority", "high (1)"),), "high"),
        ((("x-priority", "nonsense"),), None),
        ((("subject", "high"),), None),
        ((), None),
    ],
)
def test_a_message_says_how_important_it_is(headers, priority):
    assert stated_priority(facts(headers=headers).message) == priority


def test_importance_counts_where_the_mailbox_says_so_and_above_its_default():
    settings = {"defaults": {"priority": "normal"}}

    assert drafted(settings).draft.priority == "normal"
    assert drafted({**settings, "priority_from_importance": True}).draft.priority == "high"
    assert drafted({**settings, "priority_from_importance": True}, headers=()).draft.priority == "normal"


def test_mapping_stands_above_defaults_and_rules_above_both():
    settings = {
        "defaults": {"category": "default", "service": "default", "group": "default"},
        "mapping": [{"target": "category", "template": "mapped"}, {"target": "service", "template": "mapped"}],
        "rules": [set_("category", "ruled")],
    }

    draft = drafted(settings).draft

    assert (draft.category, draft.service, draft.group) == ("ruled", "mapped", "default")


def test_the_text_of_the_ticket_is_stripped_while_rules_see_all_of_the_message():
    settings = {
        "preprocessing": [{"kind": "ready_made", "id": "sent-from-device"}],
        "rules": [
            set_("tags", "phone", conditions=[{"field": "body", "operator": "contains", "value": "sent from my"}])
        ],
    }

    draft = drafted(settings, text="Hello\n\nSent from my iPhone").draft

    assert (draft.text, draft.tags) == ("Hello", ("phone",))


def test_an_incident_gives_the_ticket_its_external_id():
    done = drafted({"incidents": [{"kind": "ready_made", "id": "icinga2"}]}, subject="[PROBLEM] disk on db is WARNING!")

    assert done.incident == Incident("disk on db", "problem", closes=False)
    assert done.draft.external_id == "disk on db"


def test_a_rule_can_give_the_ticket_a_type_with_fields_of_its_own():
    settings = {
        "ticket_types": ["request", "contract"],
        "rules": [set_("type", "contract"), set_("custom.party", "{{ sender.name }}"), set_("custom.renews", "yes")],
    }

    draft = drafted(settings).draft

    assert (draft.type, draft.custom) == ("contract", {"party": "Ann Smith", "renews": "true"})


def test_a_type_that_the_mailbox_may_not_create_becomes_its_first():
    assert drafted({"rules": [set_("type", "{{ header:x-order }}")]}).draft.type == "request"


def test_values_that_the_type_does_not_have_are_left_out_and_noted():
    done = drafted({"rules": [set_("custom.needed_by", "{{ subject }}"), set_("custom.party", "Ann")]})

    assert done.draft.custom == {}
    assert done.steps[-1].stage == "ticket type"
    assert (
        done.steps[-1].detail
        == "custom.party is no field of this type; custom.needed_by must be a date such as 2026-01-31"
    )


def test_a_message_that_no_rule_can_read_is_a_ticket_all_the_same():
    settings = {
        "mapping": [{"target": "priority", "template": "{{ subject }}"}],
        "rules": [set_("assignee", "{{ subject }}"), set_("category", "kept")],
    }

    done = drafted(settings)

    assert (done.draft.priority, done.draft.assignee, done.draft.category) == ("", "", "kept")
    assert [step.detail for step in done.steps if step.detail.startswith("failed")] == [
        "failed: must be one of low, normal, high, urgent",
        "failed: must be an e-mail address",
    ]


def test_the_steps_stand_in_the_order_in_which_things_apply():
    settings = {
        "preprocessing": [{"kind": "ready_made", "id": "signature"}],
        "defaults": {"group": "Support"},
        "mapping": [{"target": "category", "template": "Mail"}],
        "incidents": [{"kind": "ready_made", "id": "zabbix"}],
        "rules": [set_("service", "Printing")],
    }

    stages = [step.stage for step in drafted(settings).steps]

    assert stages == ["preprocessing", "defaults", "mapping", "incidents", "rules", "ticket type"]


def test_a_mailbox_tells_which_headers_reading_must_keep():
    settings = saved(
        mapping=[{"target": "category", "template": "{{ header:X-One | lower }}{{header:x-two}}"}],
        rules=[set_("group", "a", conditions=[{"field": "header:X-Three", "operator": "exists"}])],
        incidents=[{"kind": "own", "name": "a", "field": "header:x-four", "external_id": "."}],
    )

    assert header_names(settings) == {"x-one", "x-two", "x-three", "x-four"}
    assert header_names(saved()) == frozenset()


def test_settings_are_read_back_as_they_were_saved():
    conditions = [{"field": "subject", "operator": "exists", "not": True}]
    settings = saved(rules=[set_("group", "a", conditions=conditions)], defaults={"custom": {"a": "b"}})

    assert Processing.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize(
    ("settings", "path", "reason"),
    [
        ({"ticket_types": ["request", "visit"]}, "$.ticket_types[1]", "is no ticket type"),
        (
            {"rules": [{"name": "r", "actions": [{"action": "stop"}, {"action": "route", "mailbox": "none"}]}]},
            "$.rules[0].actions[1].mailbox",
            "is no mailbox",
        ),
        (
            {"defaults": {"custom": {"colour": "red"}}},
            "$.defaults.custom.colour",
            "is no field of the mailbox's ticket",
        ),
        ({"defaults": {"custom": {"needed_by": "soon"}}}, "$.defaults.custom.needed_by", "must be a date"),
        ({"mapping": [{"target": "custom.colour", "template": "x"}]}, "$.mapping[0].target", "is no field of the"),
        ({"mapping": [{"target": "priority", "template": "asap"}]}, "$.mapping[0].template", "must be one of low"),
        ({"mapping": [{"target": "requester", "template": "Ann"}]}, "$.mapping[0].template", "must be an e-mail"),
        ({"rules": [set_("custom.colour", "{{ subject }}")]}, "$.rules[0].actions[0].field", "is no field of the"),
        ({"rules": [set_("custom.impact", "huge")]}, "$.rules[0].actions[0].value", "must be one of One person"),
        ({"rules": [set_("type", "contract")]}, "$.rules[0].actions[0].value", "is not among the mailbox's"),
        ({"rules": [set_("priority", "")]}, "$.rules[0].actions[0].value", "must be one of low"),
    ],
)
def test_what_does_not_go_with_other_configuration_is_told_with_its_place_and_reason(settings, path, reason):
    problems = problems_of(**settings)

    assert problems.keys() == {path}
    assert reason in problems[path]


def test_what_goes_with_other_configuration_has_no_problems():
    assert not problems_of(
        ticket_types=["request", "incident", "contract"],
        defaults={"custom": {"impact": "everybody"}},
        mapping=[{"target": "custom.party", "template": "{{ sender.name }}"}, {"target": "type", "pattern": "(a)"}],
        rules=[
            set_("custom.needed_by", "2026-12-24"),
            {"name": "billing", "actions": [{"action": "route", "mailbox": "billing-1a2b3c"}]},
        ],
    )


def test_a_constant_need_fit_one_only_of_the_types_that_have_the_field():
    visit = TicketTypeSettings.model_validate({"name": "Visit", "fields": [{"name": "needed_by", "label": "When"}]})
    settings = {"rules": [set_("custom.needed_by", "soon")]}

    found = processing_problems(saved(ticket_types=["request", "visit"], **settings), [], {**BUILT_IN, "visit": visit})

    assert [*found] == []
    assert [*problems_of(ticket_types=["request"], **settings)] == ["$.rules[0].actions[0].value"]


def test_all_problems_of_the_settings_are_told_at_once():
    problems = refused(
        ticket_types=[],
        defaults={"priority": "asap"},
        mapping=[{"target": "category", "pattern": "("}],
        rules=[set_("colour", "x")],
        incidents=[{"kind": "ready_made", "id": "other"}],
    )

    assert problems.keys() == {
        "$.ticket_types",
        "$.defaults.priority",
        "$.mapping[0].pattern",
        "$.rules[0].actions[0].field",
        "$.incidents[0].id",
    }
