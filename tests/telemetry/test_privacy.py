"""The watch over all logs of the suite would notice."""

import json

import pytest

from tests.privacy import problems


@pytest.mark.parametrize(
    "field",
    [
        {"mailbox": "ann@example.org"},
        {"error": "Re: your invoice!"},
        {"message": "<1@x>"},
        {"raised": ["ValueError: Grüße"]},
        {"password": "p" * 200},
    ],
)
def test_what_looks_like_mail_or_a_secret_is_noticed(field):
    assert [*problems(json.dumps({"event": "poll.failed", **field}))]


def test_names_numbers_and_codes_pass():
    event = {
        "event": "poll.failed",
        "mailbox": "support-1a2b",
        "failures": 3,
        "raised": ["KeyError at poll.py:3 > x.py:4"],
    }

    assert [*problems(json.dumps(event))] == []
