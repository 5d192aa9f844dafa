"""Reports of mail servers as they come in, each under a line that says what a person would learn from it."""

import json
from pathlib import Path

import pytest

from shared import mime
from shared.domain.kinds import Kind

ORIGINAL = """Message-ID: <ack.sup.1042.k3@desk.example>
From: Help <help@desk.example>
To: Anna <anna@shop.example>
Subject: [SUP-1042] Printer on floor 3

Hello Anna
"""
SAMPLES = [
    (json.loads(head), content.replace("{original}", ORIGINAL))
    for head, _, content in (
        sample.partition("\n")
        for sample in (Path(__file__).parent / "reports.txt").read_text("utf-8").split("%%% ")
        if sample
    )
]


def test_there_are_reports_of_many_servers():
    assert len({expected["name"] for expected, _ in SAMPLES}) == len(SAMPLES) >= 40


@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize(("expected", "content"), SAMPLES, ids=[expected["name"] for expected, _ in SAMPLES])
def test_a_report_says_whom_which_message_did_not_reach_and_for_how_long(expected, content, line_end):
    message = mime.parse(content.replace("\n", line_end).encode())

    assert message.kind == expected.get("kind", Kind.DELIVERY_FAILURE)
    assert message.kind_reasons
    assert message.report is not None
    assert [[each.address, each.permanent, each.status] for each in message.report.failed] == expected["failed"]
    assert message.report.original_id == expected.get("id", "<ack.sup.1042.k3@desk.example>")
    assert message.report.original_subject == (expected.get("subject", "[SUP-1042] Printer on floor 3") or "")
