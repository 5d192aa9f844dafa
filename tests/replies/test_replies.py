"""What is new in replies, as the mail programs of the world write them."""

import random
from time import process_time

import pytest

from shared.mime import new_text, original_sender
from shared.mime.reply_marks import MARKS
from tests.replies.cases import Case, cases

FRAGMENTS = [
    b"",
    b"\n",
    b"\n\n",
    b"> ",
    b"On 1.1.2026 1:11 a wrote:\n",
    b"From: a@b.example\n",
    b"\xef\xb7\x90",
    b"\xff",
    b"--\n",
    b"<div>",
]
TOP_POSTED = "It works.\n\nOn Mon, 5 Jan 2026 at 10:12, Help Desk <help@desk.example> wrote:\n> Restart it.\n"


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_what_is_new_is_what_a_person_would_call_new(case):
    assert new_text(case.message()) == case.new


def test_the_html_of_a_message_tells_its_quotes_better_than_its_text():
    html = '<div>It works.</div><div class="yahoo_quoted">Restart it.</div>'

    assert new_text(Case("", "It works.\n\nRestart it.\n", html, None).message()) == "It works."


def test_the_text_of_a_message_is_looked_at_where_its_html_tells_nothing():
    assert new_text(Case("", TOP_POSTED, "<div>It works.</div><div>Restart it.</div>", None).message()) == "It works."


@pytest.mark.parametrize(
    "subject", ["Fwd: Printer", "WG: Drucker", "TR: Imprimante", "FW: [#12] Printer", "转发: 打印机"]
)
def test_nothing_is_quoted_in_a_message_that_passes_another_one_on(subject):
    assert new_text(Case("", TOP_POSTED, None, None).message(subject)) is None


@pytest.mark.parametrize(
    "subject", ["Re: Fwd: Printer", "AW: WG: Drucker", "VS: Tulostin", "Printer", "Fwd without colon"]
)
def test_an_answer_to_such_a_message_is_an_answer(subject):
    assert new_text(Case("", TOP_POSTED, None, None).message(subject)) == "It works."


def test_marks_of_our_own_in_a_message_mean_nothing():
    case = Case("", None, "<div>One.\ufdd0</div><div>\ufdd1Two.\ufdd2</div>", None)

    assert new_text(case.message()) is None


@pytest.mark.parametrize(
    "line",
    ["On 5.1.2026 10:12 a b wrote:", "> ", "From: a@b.example", "-----Original Message-----", "_" * 32, "a:" * 199,
     "<a@b.example>:", "this e-mail is confidential " * 14],
)  # fmt: skip
def test_hostile_replies_are_bounded_work(line):
    hostile = f"{line}\n" * (500_000 // len(line))
    message = Case("", hostile, f"<pre>{hostile.replace('<', '&lt;')}</pre>", None).message()

    started = process_time()
    new_text(message)

    assert process_time() - started < 2


def test_damaged_replies_have_sound_answers():
    chance = random.Random(20261121)  # noqa: S311 - the same damage each time
    whole = [case.message() for case in cases()]
    for _ in range(500):
        content = bytearray(chance.choice(whole))
        for _ in range(chance.randrange(1, 6)):
            position = chance.randrange(len(content))
            content[position : position + chance.randrange(30)] = chance.choice(FRAGMENTS) * chance.choice([1, 40])

        new, author = new_text(bytes(content)), original_sender(bytes(content))

        assert new is None or (new.strip() and new == new.strip("\n") and not MARKS.search(new))
        assert author is None or "@" in author.address
