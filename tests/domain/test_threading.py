import pytest

from shared.domain.message import InboundMessage
from shared.domain.threading import MAX_REFERENCES, Tag, referred_ids, subject_tags


def test_the_newest_id_is_looked_up_first():
    message = InboundMessage(in_reply_to=("<c>",), references=("<a>", "<b>", "<c>"))

    assert referred_ids(message) == ("<c>", "<b>", "<a>")


def test_a_long_chain_is_followed_back_only_so_far():
    message = InboundMessage(references=tuple(f"<{number}>" for number in range(1000)))

    ids = referred_ids(message)

    assert (len(ids), ids[0]) == (MAX_REFERENCES, "<999>")


@pytest.mark.parametrize(
    ("subject", "tags"),
    [
        ("Re: [SUP-1042] Printer", [("SUP", 1042)]),
        ("AW: WG: [SUP-1] [BIL-22] two", [("SUP", 1), ("BIL", 22)]),
        ("[SUP-1042", []),
        ("[sup-1042]", []),
        ("[SUP-007]", []),
        ("[SUP-0]", []),
        ("[SUP-99999999999999999999]", []),
        ("JIRA SUP-12 without brackets", []),
        ("", []),
    ],
)
def test_a_tag_is_a_prefix_and_a_number_in_brackets(subject, tags):
    assert subject_tags(InboundMessage(subject=subject)) == tuple(Tag(*tag) for tag in tags)
