"""Messages as the world sends them, each beside a file that says how a person would read it.

A `.json` file names only what matters in its message. A key that ends in `_has` lists what must be contained.
"""

import json
from pathlib import Path

import pytest

from shared import mime
from shared.domain.message import Address, InboundMessage

CORPUS = Path(__file__).parents[1] / "corpus"
NAMES = sorted(path.stem for path in CORPUS.glob("*.eml"))


def test_every_message_has_its_expectations():
    assert sorted(path.stem for path in CORPUS.glob("*.json")) == NAMES
    assert len(NAMES) >= 40


@pytest.mark.parametrize("name", NAMES)
def test_the_message_is_read_as_a_person_would_read_it(name):
    content = (CORPUS / f"{name}.eml").read_bytes()
    expected = json.loads((CORPUS / f"{name}.json").read_text("utf-8"))

    message = mime.parse(content)

    actual = {**_plain(message), "html": mime.safe_html(content)}
    for key, value in expected.items():
        if key == "attachments":
            assert [_only(wanted, found) for wanted, found in zip(value, actual[key], strict=True)] == value
        elif key == "headers":
            assert {header: message.header(header) for header in value} == value
        elif key.endswith("_has"):
            assert [part for part in value if part not in actual[key.removesuffix("_has")]] == []
        else:
            assert actual[key] == value, key


def _plain(message: InboundMessage) -> dict:
    """The message as JSON would have it; addresses as `[address, name]`."""
    return {
        "message_id": message.message_id,
        "in_reply_to": list(message.in_reply_to),
        "references": list(message.references),
        "subject": message.subject,
        "sent_at": message.sent_at and message.sent_at.isoformat(),
        "sender": message.sender and _pair(message.sender),
        "reply_to": [_pair(address) for address in message.reply_to],
        "to": [_pair(address) for address in message.to],
        "cc": [_pair(address) for address in message.cc],
        "text": message.text,
        "has_html": message.has_html,
        "attachments": [
            {key: getattr(attachment, key) for key in ("name", "content_type", "size", "content_id", "inline")}
            for attachment in message.attachments
        ],
        "defects": list(message.defects),
    }


def _pair(address: Address) -> list[str]:
    return [address.address, address.name]


def _only(wanted: dict, found: dict) -> dict:
    return {key: found[key] for key in wanted}
