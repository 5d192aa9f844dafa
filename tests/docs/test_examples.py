"""The JSON in the guides is what the API takes, and links lead somewhere."""

import re
from pathlib import Path

import pytest

from shared.domain.mailbox import MailboxSettings
from shared.domain.sign_in import NewSignIn

GUIDES = Path("docs/providers")
EXAMPLES = [
    pytest.param(block, id=f"{guide.name}-{number}")
    for guide in sorted(GUIDES.glob("*.md"))
    for number, block in enumerate(re.findall(r"```json\n(.*?)```", guide.read_text(), re.DOTALL))
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_accepted(example):
    model = MailboxSettings if '"source"' in example else NewSignIn

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
