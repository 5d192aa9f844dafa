"""The examples of the page about tickets are what the product takes."""

import json
import re
from pathlib import Path

from shared.application.validation import validated
from shared.domain.ticket_changes import NewComment, TicketPatch

PAGE = Path("docs/tickets.md").read_text()
COMMENT, PATCH = map(json.loads, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))


def test_the_comment_is_accepted_and_every_field_is_described():
    assert validated(NewComment, COMMENT)[1] == []
    assert [name for name in NewComment.model_fields if f"`{name}`" not in PAGE] == []


def test_the_patch_is_accepted_and_every_field_is_named():
    assert validated(TicketPatch, {name: value for name, value in PATCH.items() if value})[1] == []
    assert [name for name in TicketPatch.model_fields if f"`{name}`" not in PAGE] == []
