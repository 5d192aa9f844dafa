from datetime import UTC, datetime

import pytest

from shared.domain.message import Address, InboundMessage
from shared.domain.recognition import MAX_REFERENCES, Tag, fingerprint, id_key, message_key, referred_ids, subject_tags

ANN = Address("ann@example.org", "Ann")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_ids_that_servers_have_folded_or_changed_in_case_are_one():
    assert id_key("<Abc@Mail.example>") == id_key("<abc@\r\n mail.example>")


def test_an_id_is_never_taken_for_the_hash_of_a_content():
    assert message_key(InboundMessage(message_id="<a>"), b"a") != message_key(InboundMessage(), b"a")


def test_a_message_without_an_id_is_known_by_its_content():
    assert message_key(InboundMessage(), b"one") != message_key(InboundMessage(), b"two")


def test_the_same_sender_and_date_are_the_same_message_however_the_name_is_written():
    one = InboundMessage(sender=ANN, sent_at=NOON)
    same = InboundMessage(sender=Address("ANN@example.org", "A. N."), sent_at=NOON)

    assert fingerprint(one) == fingerprint(same)


def test_another_sender_or_another_date_is_another_message():
    one = InboundMessage(sender=ANN, sent_at=NOON)
    other_sender = InboundMessage(sender=Address("bob@example.org"), sent_at=NOON)
    other_date = InboundMessage(sender=ANN, sent_at=NOON.replace(hour=13))

    assert (
        len({fingerprint(one), fingerprint(other_sender), fingerprint(other_date), fingerprint(InboundMessage())}) == 4
    )


def test_the_newest_id_is_looked_up_first():
    message = InboundMessage(in_reply_to=("<c>",), references=("<a>", "<b>", "<c>"))

    assert referred_ids(message) == ("<c>", "<b>", "<a>")


def test_a_long_chain_is_followed_back_only_so_far():
    message = InboundMessage(references=tuple(f"<{number}>" for number in range(1000)))

    ids = referred_ids(message)

    assert (len(ids), ids[0]) == (MAX_REFERENCES, "<999>")


def test_the_message_that_began_a_long_chain_is_looked_up_last():
    ids = referred_ids(InboundMessage(references=tuple(f"<{number}>" for number in range(1000))))

    assert ids[-2:] == ("<981>", "<0>")


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
