"""Any field of a ticket can be filled from any part of a message, by template or by pattern (req K2)."""

import pytest

from shared.domain.draft import MAX_LISTED, Draft
from shared.domain.mapping import apply_mapping
from shared.domain.message import Address
from shared.domain.placeholders import MAX_RENDERED
from tests.domain.mail import ANN, BOB, facts, refused, saved


def mapped(*mapping, draft=None, **message):
    return apply_mapping(saved(mapping=list(mapping)).mapping, facts(**message), draft or Draft(ANN))[0]


def steps(*mapping, **message):
    return apply_mapping(saved(mapping=list(mapping)).mapping, facts(**message), Draft(ANN))[1]


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("fixed", "fixed"),
        ("{{ subject }}", "Order 4711: printer"),
        ("{{sender.name|upper}} of {{ sender.domain }}", "ANN SMITH of example.com"),
        ("{{ sender.address | lower }}", "ann@example.com"),
        ("{{ sender.company }}", "Example Ltd"),
        ("{{ recipient.address }}", "support@example.org"),
        ("{{ header:X-Order }}", "O-99"),
        ("{{ message_id }}", "<1@example.com>"),
        ("{{ body }}", "Hello, the printer is broken. Serial: XK-12"),
        ("a { b } c", "a { b } c"),
    ],
)
def test_a_template_says_what_the_field_is_set_to(template, value):
    assert mapped({"target": "category", "template": template}, contact=BOB).category == value


def test_what_a_message_holds_is_never_read_as_a_template():
    draft = mapped({"target": "category", "template": "{{ subject }}"}, subject="{{ sender.address }}")

    assert draft.category == "{{ sender.address }}"


@pytest.mark.parametrize(("target", "one"), [("tags", "t{}"), ("cc", "a{}@b.example")])
def test_a_message_fills_no_list_without_end(target, one):
    many = ",".join(one.format(number) for number in range(500))

    assert len(getattr(mapped({"target": target, "template": "{{ body }}"}, text=many), target)) == MAX_LISTED


def test_a_value_has_a_limit_however_often_a_template_repeats_a_text():
    draft = mapped({"target": "text", "template": "{{ body }}" * 9}, text="x" * MAX_RENDERED)

    assert len(draft.text) == MAX_RENDERED


@pytest.mark.parametrize(
    ("mapping", "value"),
    [
        ({"pattern": r"serial: (\S+)"}, "XK-12"),
        ({"pattern": "X[a-z]-[0-9]+"}, "XK-12"),
        ({"field": "subject", "pattern": r"order (?P<number>\d+)", "template": "PO-{{ match.number }}"}, "PO-4711"),
        (
            {"field": "subject", "pattern": r"(\w+) (\d+)", "template": "{{ match.2 }}/{{ match.1|lower }}"},
            "4711/order",
        ),
        ({"field": "header:x-order", "pattern": r"^O-(\d{3})$"}, "100"),
        ({"field": "from", "pattern": r"^(\w+)@"}, "Ann"),
    ],
)
def test_a_pattern_is_looked_for_in_a_field(mapping, value):
    assert mapped({"target": "custom.number", **mapping}).custom == {"number": value}


def test_nothing_is_set_where_the_pattern_is_not_found_or_the_value_is_empty():
    draft = Draft(ANN, category="before")

    assert mapped({"target": "category", "pattern": "absent", "template": "x"}, draft=draft) == draft
    assert mapped({"target": "category", "template": "{{ header:x-none }}"}, draft=draft) == draft


def test_a_value_is_kept_unless_it_may_be_overwritten():
    mapping = {"target": "category", "template": "after"}

    assert mapped({**mapping, "overwrite": False}, draft=Draft(ANN, category="before")).category == "before"
    assert mapped({**mapping, "overwrite": False}).category == "after"
    assert mapped(mapping, draft=Draft(ANN, category="before")).category == "after"


@pytest.mark.parametrize(
    ("target", "value", "expected"),
    [
        ("requester", "Carl Jones <carl@example.net>", Address("carl@example.net", "Carl Jones")),
        ("requester", "carl@example.net", Address("carl@example.net")),
        ("subject", "two\r\nlines ", "two lines"),
        ("text", "two\nlines", "two\nlines"),
        ("priority", "URGENT", "urgent"),
        ("assignee", "Bob <bob@example.org>", "bob@example.org"),
        ("tags", "a, b;a", ("before", "a", "b")),
        ("cc", "a@example.org, B <b@example.org>", (Address("a@example.org"), Address("b@example.org", "B"))),
        ("external_id", "x" * 300, "x" * 200),
    ],
)
def test_each_field_takes_its_own_kind_of_value(target, value, expected):
    draft = mapped({"target": target, "template": value}, draft=Draft(ANN, tags=("before",)))

    assert getattr(draft, target) == expected


@pytest.mark.parametrize("target", ["priority", "requester", "assignee", "cc"])
def test_a_value_that_the_field_cannot_have_is_noted_and_the_field_stays(target):
    mapping = {"target": target, "template": "{{ subject }}"}

    assert mapped(mapping) == Draft(ANN)
    assert [(step.name, step.matched, step.detail.split(":")[0]) for step in steps(mapping)] == [
        (target, False, "failed")
    ]


def test_the_steps_tell_what_was_set_and_what_not():
    told = steps({"target": "category", "template": "Printing"}, {"target": "service", "pattern": "absent"})

    assert [(each.stage, each.name, each.matched, each.detail) for each in told] == [
        ("mapping", "category", True, "set category to Printing"),
        ("mapping", "service", False, ""),
    ]


@pytest.mark.parametrize(
    ("mapping", "place", "reason"),
    [
        ({"target": "colour", "template": "x"}, "target", "must be one of requester, subject"),
        ({"target": "custom.Big", "template": "x"}, "target", "must be one of requester, subject"),
        ({"template": "x"}, "target", "is missing"),
        ({"target": "category"}, "template", "knows no `{{ match }}`"),
        ({"target": "category", "template": "{{ sender }}"}, "template", "knows no `{{ sender }}`"),
        ({"target": "category", "template": "{{ sender.__class__ }}"}, "template", "knows no `{{ sender.__class__ }}`"),
        ({"target": "category", "template": "{{ header: }}"}, "template", "knows no `{{ header: }}`"),
        ({"target": "category", "template": "{{ subject | reversed }}"}, "template", "knows no filter `reversed`"),
        ({"target": "category", "template": "{{ subject"}, "template", "has a `{{` or a `}}` without its other half"),
        ({"target": "category", "template": "{% for a in b %}{{ a }}{% endfor %}"}, "template", "knows no `{{ a }}`"),
        ({"target": "category", "pattern": "(a)", "template": "{{ match.2 }}"}, "template", "knows no `{{ match.2 }}`"),
        (
            {"target": "category", "pattern": "(?P<b>a)", "template": "{{ match.c }}"},
            "template",
            "knows no `{{ match.c }}`",
        ),
        ({"target": "category", "pattern": "(", "template": "{{ match.1 }}"}, "pattern", "is no pattern"),
        ({"target": "category", "field": "nose", "pattern": "a"}, "field", "must be one of subject, body"),
        ({"target": "category", "template": "x" * 2001}, "template", "must have at most 2000 characters"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_with_its_place_and_reason(mapping, place, reason):
    problems = refused(mapping=[mapping])

    assert problems.keys() == {f"$.mapping[0].{place}"}
    assert reason in problems[f"$.mapping[0].{place}"]
