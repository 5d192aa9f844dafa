"""Reports of mail servers as they come in, each under a line that says what a person would learn from it."""

import json
import random
from pathlib import Path

import pytest

from shared import mime
from shared.domain.kinds import DeliveryReport, Kind

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


@pytest.mark.parametrize(
    "field",
    [
        "X-Failed-Recipients: 用户@例子.example",
        "X-Failed-Recipients: nobody",
        "X-Loop: x\n\nTo: 用户@例子.example\nMessage-ID: <é用@desk.example>\nSubject: 用户",
    ],
)
def test_letters_of_any_script_do_no_harm_in_what_a_report_quotes(field):
    message = mime.parse(
        f"From: MAILER-DAEMON@x.example\nSubject: failure notice\n{field}\n\nSorry: 用户@x.example".encode()
    )

    assert message.report is not None
    assert all("@" in each.address for each in message.report.failed)


def test_what_a_report_says_stays_one_line_of_text_however_damaged_it_is():
    damage = random.Random(5)  # noqa: S311 - damage is no secret
    rest = [content.encode() for _, content in SAMPLES]
    for content in rest * 5:
        broken = bytearray(content)
        for _ in range(6):
            at = damage.randrange(len(broken))
            other = damage.choice(rest)
            broken[at : at + damage.randrange(60)] = other[damage.randrange(len(other)) :][: damage.randrange(90)]
            broken[damage.randrange(len(broken))] = damage.randrange(256)

        report = mime.parse(bytes(broken)).report or DeliveryReport()

        said = (report.original_id or "", report.original_subject, *(each.diagnostic for each in report.failed))
        assert all(
            text == " ".join(text.splitlines()) and text.encode() and "\0" not in text for text in filter(None, said)
        )
        assert all("@" in each.address for each in report.failed)
