"""The JSON in the guides is what the API takes, and links lead somewhere."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from shared.application.templates import check_template
from shared.domain.mailbox import MailboxSettings
from shared.domain.replies import Replies
from shared.domain.senders import SenderSettings
from shared.domain.sign_in import NewSignIn
from shared.domain.templates import PART_TYPES, PARTS, TemplateSettings

GUIDES = Path("docs/providers")
EXAMPLES = [
    pytest.param(block, id=f"{guide.name}-{number}")
    for guide in sorted(GUIDES.glob("*.md"))
    for number, block in enumerate(re.findall(r"```json\n(.*?)```", guide.read_text(), re.DOTALL))
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_accepted(example):
    models = {'"source"': MailboxSettings, '"transport"': SenderSettings, '"sign_in"': NewSignIn}
    model = next(model for part, model in models.items() if part in example)

    assert model.model_validate_json(example)


@pytest.mark.parametrize(
    "guide", sorted(set(GUIDES.glob("*.md")) - {GUIDES / "README.md"}), ids=lambda guide: guide.name
)
def test_every_guide_has_a_mailbox_and_is_listed(guide):
    assert '"source"' in guide.read_text()
    assert f"({guide.name})" in (GUIDES / "README.md").read_text()


@pytest.mark.parametrize("page", [Path("README.md"), *sorted(Path("docs").rglob("*.md"))], ids=str)
def test_links_to_files_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_kind_of_message_and_every_value_of_templates_is_documented():
    page = Path("docs/messages.md").read_text()

    for kind, parts in PARTS.items():
        assert re.search(rf"^\| `{kind}` \|.*\| {', '.join(f'`{part}`' for part in parts)} \|$", page, re.MULTILINE)
    rows = re.findall(r"^\| (`(?:mailbox|ticket|comment|message)`.*?) \| (.*) \|$", page, re.MULTILINE)[-4:]
    documented = {(part, name) for parts, names in rows for part in _coded(parts) for name in _coded(names)}
    assert documented == {(part, each.name) for part, kind in PART_TYPES.items() for each in fields(kind)}


def _coded(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)[^`]*`", text))


def test_the_template_in_the_guide_passes_the_check():
    template = re.findall(r"```jinja\n(.*?)```", Path("docs/messages.md").read_text(), re.DOTALL)[0]

    settings = TemplateSettings(name="x", kind="acknowledgement", language="en", subject="x", text=template)
    assert check_template(settings) == ()


def test_every_setting_of_replies_is_documented_with_its_values():
    page = Path("docs/decisions.md").read_text()

    for name, field in Replies.model_fields.items():
        assert f"`{name}`" in page
        assert all(f"`{value}`" in page for value in get_args(field.annotation) if isinstance(value, str))


def test_every_page_but_the_guides_is_in_the_index():
    index = Path("docs/README.md").read_text()
    pages = {page.relative_to("docs").as_posix() for page in Path("docs").rglob("*.md") if page.parent != GUIDES}

    assert {page for page in pages - {"README.md"} if f"({page})" not in index} == set()


def test_every_module_of_the_domain_is_on_the_map():
    page = Path("docs/architecture.md").read_text()
    modules = {module.stem for module in Path("shared/domain").glob("[!_]*.py")}

    assert {module for module in modules if f"`{module}`" not in page} == set()
