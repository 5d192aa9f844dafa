"""Templates: all messages in all languages; bad ones are refused when saved, and stop no message when they fail."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

import shared.application.templates as templates_module
from shared.application.templates import BUILT_IN_LANGUAGES, check_template, preview, render, sample
from shared.domain.languages import detected
from shared.domain.templates import (
    PARTS,
    CommentValues,
    PersonValues,
    TemplateKind,
    TemplateSettings,
    TextValues,
    own_template,
)

TEXTS = Path(templates_module.__file__).parent / "texts"
EVERY = [(language, kind) for language in BUILT_IN_LANGUAGES for kind in TemplateKind]


def own(
    text: str = "x", *, subject: str = "x", html: str | None = None, kind: str = "reply", **more
) -> TemplateSettings:
    return TemplateSettings(name="Ours", kind=kind, language="en", subject=subject, text=text, html=html, **more)


def problems_of(text: str, **more) -> list[tuple[str, str]]:
    return [(problem.path, problem.message) for problem in check_template(own(text, **more))]


@pytest.mark.parametrize(("language", "kind"), EVERY)
def test_every_message_has_a_text_in_every_language_that_passes_our_own_check(language, kind):
    texts = tomllib.loads((TEXTS / f"{language}.toml").read_text(encoding="utf-8"))

    assert problems_of(texts[kind]["text"], kind=kind, subject=texts[kind]["subject"]) == []
    rendered = preview(kind, language)
    assert rendered.failed == ""
    assert rendered.subject
    assert f'<html lang="{language}">' in rendered.html
    assert "\n\n\n" not in rendered.text


def test_there_is_a_file_for_each_language_and_no_text_that_nothing_uses():
    assert {path.stem for path in TEXTS.iterdir()} == set(BUILT_IN_LANGUAGES)
    for path in TEXTS.iterdir():
        assert set(tomllib.loads(path.read_text(encoding="utf-8"))) == set(TemplateKind)


@pytest.mark.parametrize("language", BUILT_IN_LANGUAGES)
def test_the_texts_are_in_the_language_of_their_file(language):
    text = "\n".join(preview(kind, language).text for kind in (TemplateKind.ACKNOWLEDGEMENT, TemplateKind.CLOSED))

    assert detected(text) == language


@pytest.mark.parametrize(("language", "kind"), EVERY)
def test_the_texts_read_well_without_anything_that_may_be_missing(language, kind):
    nobody = PersonValues("", "ann@example.org")
    bare = replace(sample(kind), recipient=nobody, requester=nobody if "requester" in PARTS[kind] else None)

    rendered = render(kind, language, bare)

    assert rendered.failed == ""
    assert not re.search(r" [,!:]|  |None", rendered.text.replace(" :", ":") if language == "fr" else rendered.text)


def test_an_acknowledgement_names_the_ticket_and_greets_by_name():
    rendered = preview(TemplateKind.ACKNOWLEDGEMENT, "de")

    assert rendered.subject == "Re: The printer prints only stripes"
    assert rendered.text.startswith("Guten Tag Ann Smith,\n\nvielen Dank")
    assert "SUP-17" in rendered.text
    assert "<p>Guten Tag Ann Smith,</p>" in rendered.html


@pytest.mark.parametrize("name", ["Win at https://evil.example", "www.evil.example/x", "eve@evil.example"])
def test_nobody_can_have_a_link_sent_on_as_their_name(name):
    values = replace(sample(TemplateKind.ACKNOWLEDGEMENT), recipient=PersonValues(name, "ann@example.org"))

    assert "evil" not in render(TemplateKind.ACKNOWLEDGEMENT, "en", values).text


def test_a_language_without_texts_is_answered_in_english():
    assert "thank you" in preview(TemplateKind.ACKNOWLEDGEMENT, "tlh").text


def test_the_words_of_a_technician_keep_their_own_html_in_a_text_that_has_none():
    assert "<p>Please change the <b>cartridge</b>.</p>" in preview(TemplateKind.NOTIFICATION, "en").html
    assert "down <b>from 8 to 9</b>" in preview(TemplateKind.ANNOUNCEMENT, "en").html


def test_values_are_escaped_in_html_and_only_there():
    hostile = "<script>alert(1)</script>"
    values = replace(
        sample(TemplateKind.REPLY),
        ticket=replace(sample(TemplateKind.REPLY).ticket, subject=hostile, fields={"site": hostile}, tags=(hostile,)),
        comment=CommentValues(hostile, "<p>fine</p>"),
    )
    said = "{{ ticket.subject }}{{ ticket.fields.site }}{{ ticket.tags|join(', ') }}{{ comment.text }}"

    written = render(TemplateKind.REPLY, "en", values, own(said, html=said + "{{ comment.html }}", subject=said))
    derived = render(TemplateKind.REPLY, "en", values, own(said))

    assert (written.failed, derived.failed) == ("", "")
    assert written.text == hostile * 4 + "\n"
    assert "<script" not in written.html + derived.html
    assert "<p>fine</p>" in written.html


@pytest.mark.parametrize("hostile", ["\r\nBcc: eve@evil.example", "\n", "a\u2028b", "a\x85b"])
def test_a_subject_is_one_line_whatever_is_put_into_it(hostile):
    values = replace(
        sample(TemplateKind.REPLY), ticket=replace(sample(TemplateKind.REPLY).ticket, fields={"site": hostile})
    )

    subject = render(TemplateKind.REPLY, "en", values, own(subject="a{{ ticket.fields.site }}b")).subject

    assert len(subject.splitlines()) == 1


def test_a_custom_field_that_a_ticket_does_not_have_is_empty():
    assert preview(TemplateKind.REPLY, "en", own("[{{ ticket.fields['cost centre'] }}]")).text == "[]\n"


@pytest.mark.parametrize(
    "text",
    [
        "{% for tag in ticket.tags %}{{ loop.index }}. {{ tag|upper }}{% if not loop.last %}, {% endif %}{% endfor %}",
        "{{ ticket.tags|join(' / ') }} {{ ticket.priority|default('none') }}",
        "{{ 'high' if ticket.priority == 'high' else ticket.priority|capitalize }}",
        "{# a remark #}{% if ticket.group and not ticket.assignee %}{{ ticket.group }}{% endif %}",
        "{{ comment.text|truncate(20) }} {{ comment.attachments|length }}",
    ],
)
def test_what_people_need_can_be_said(text):
    assert problems_of(text) == []
    assert preview(TemplateKind.REPLY, "en", own(text)).failed == ""


REFUSED = [
    ("{{ ticket.tga }}", "line 1: there is no field `ticket.tga`; there are ticket.assignee, "),
    ("a\n\n{{ nothing }}", "line 3: there is no field `nothing`"),
    ("{% if false %}\n{{ ticket.tga }}\n{% endif %}", "line 2: there is no field"),
    ("{{ ticket }}", "line 1: there is no field `ticket`"),
    ("{{ comment.html }}", "line 1: there is no field `comment.html`"),
    ("{{ ''.__class__.__mro__ }}", "there is no field"),
    ("{{ ticket['__class__'] }}", "there is no field"),
    ("{{ ticket.tags.__class__ }}", "there is no field"),
    ("{{ loop.index }}", "there is no field"),
    ("{{ ticket.tag.format() }}", "line 1: templates call no functions"),
    ("x\n{% for i in range(10**9) %}x{% endfor %}", "line 2: a loop goes through `ticket.tags`"),
    ("{{ range(10**9)|join }}", "call no functions"),
    ("{{ 'a' * 10**9 }}", "line 1: templates do no sums"),
    ("{{ 9**9**9**9 }}", "do no sums"),
    ("{{ 'a' ~ 'b' }}", "`~` is not needed"),
    ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "templates have no `macro`"),
    ("{% for t in ticket.tags recursive %}{{ loop(ticket.tags) }}{% endfor %}", "a loop goes through"),
    (
        "{% for a in ticket.tags %}\n{% for b in ticket.tags %}{% endfor %}{% endfor %}",
        "line 2: a loop cannot stand in",
    ),
    ("{% for a in ticket.tags %}{{ comment.text }}{% endfor %}", "`comment.text` may be long"),
    ("{% for c in comment.text %}{% endfor %}", "a loop goes through"),
    ("{% for a, b in ticket.tags %}{% endfor %}", "one name for its items"),
    ("{% set x = 'a' %}", "templates have no `assign`"),
    ("{% include 'other' %}", "templates have no `include`"),
    ("{% extends 'other' %}", "templates have no `extends`"),
    ("{% autoescape false %}{{ ticket.tag }}{% endautoescape %}", "templates have no `scope`"),
    ("{% filter upper %}x{% endfilter %}", "templates have no `filterblock`"),
    ("{{ ticket.tag|replace('S', ticket.tag) }}", "No filter named 'replace'"),
    ("{{ ticket.tag|safe }}", "No filter named 'safe'"),
    ("{% if ticket.tag is callable %}{% endif %}", "No test named 'callable'"),
    ("{{ ticket.tag < 3 }}", "line 1: '<' not supported"),
    ("a\n{{ ticket.tag|truncate('x') }}", "line 2: "),
    ("a\n{% if %}", "line 2: Expected an expression"),
    ("a\nb {{ x", "line 2: unexpected end of template"),
    ("{% endfor %}", "line 1: Encountered unknown tag 'endfor'"),
    ("{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}", "is nested more than"),
    ("{% if 1 %}" * 900 + "{% endif %}" * 900, "is nested more than"),
    ("{% if 1 %}" * 25 + "{% endif %}" * 25, "is nested more than"),
    ("{{ " + "(" * 250 + "1" + " == 1)" * 250 + " }}", "is nested more than"),
    ("{{ " + "not " * 4_000 + "1 }}", "is nested more than"),
    ("{{ " + "ticket." * 2_500 + "x }}", "is nested more than"),
    ("{{ 1" + "|upper" * 3_000 + " }}", "is nested more than"),
    ("{{ " + "-" * 10_000 + "1 }}", "is nested more than"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED, ids=[text[:30] for text, _ in REFUSED])
def test_a_template_that_cannot_work_is_refused_with_line_and_reason(text, reason):
    problems = problems_of(text)

    assert [path for path, _ in problems][:1] == ["$.text"]
    assert any(reason in message for _, message in problems)
    assert all(re.match(r"line \d+: .", message) for _, message in problems)


def test_a_template_that_fails_where_a_value_is_missing_is_refused():
    found = problems_of("a\n{{ ticket.tags|first }}")

    assert found == [("$.text", "line 2: No first item, sequence was empty.")]


def test_every_problem_of_a_template_is_told_at_once_with_its_place():
    found = problems_of("{{ ticket.a }}\n{{ ticket.b }}", subject="{{ c }}", html="{{ comment.html }}<p>\n{% if %}")

    assert [(path, message.partition(":")[0]) for path, message in found] == [
        ("$.subject", "line 1"),
        ("$.text", "line 1"),
        ("$.text", "line 2"),
        ("$.html", "line 2"),
    ]


def test_a_field_of_another_kind_of_message_is_unknown():
    assert "there is no field `comment.text`" in problems_of("{{ comment.text }}", kind="acknowledgement")[0][1]


@pytest.mark.parametrize(("text", "reason"), REFUSED, ids=[text[:30] for text, _ in REFUSED])
def test_one_that_was_stored_all_the_same_is_not_run_and_the_built_in_text_is_sent(text, reason):
    rendered = preview(TemplateKind.REPLY, "en", own(text))

    assert reason.partition(": ")[2] in rendered.failed
    assert replace(rendered, failed="") == preview(TemplateKind.REPLY, "en")


def test_the_failure_of_a_template_is_named():
    assert "tga" in preview(TemplateKind.REPLY, "en", own("{{ ticket.tga }}")).failed


def test_a_template_that_becomes_too_large_is_stopped():
    values = replace(sample(TemplateKind.REPLY), comment=CommentValues("x" * 1_200_000, "<p>x</p>"))

    rendered = render(TemplateKind.REPLY, "en", values, own("{{ comment.text }}" * 2))

    assert "becomes more than" in rendered.failed
    assert rendered.text == "x" * 1_200_000 + "\n"


def test_a_loop_sees_so_few_and_short_values_that_it_costs_little():
    values = replace(
        sample(TemplateKind.REPLY), ticket=replace(sample(TemplateKind.REPLY).ticket, tags=("z" * 10**6,) * 10_000)
    )

    text = "{% for t in ticket.tags %}{{ t }}{% endfor %}"

    assert len(render(TemplateKind.REPLY, "en", values, own(text)).text) == 50 * 2_000 + 1


def test_the_template_of_the_mailbox_comes_before_the_one_for_all():
    for_all, for_one = own(), own(mailbox_id="support-1")
    chosen = [own_template([for_all, for_one], mailbox, TemplateKind.REPLY, "en") for mailbox in ("support-1", "other")]

    assert chosen == [for_one, for_all]
    assert own_template([for_all], "other", TemplateKind.REPLY, "de") is None
    assert own_template([for_one], "other", TemplateKind.REPLY, "en") is None


def test_html_that_is_a_whole_document_stays_as_it_is():
    html = "<!DOCTYPE html><html><body>{{ comment.html }}</body></html>"

    rendered = preview(TemplateKind.REPLY, "en", own("x", html=html)).html

    assert rendered.count("<html") == 1


def test_an_announcement_without_a_way_to_unsubscribe_does_not_speak_of_it():
    values = replace(sample(TemplateKind.ANNOUNCEMENT), message=TextValues("Work", "Text", "<p>Text</p>"))

    assert render(TemplateKind.ANNOUNCEMENT, "en", values).text == "Text\n\nSupport\n"
