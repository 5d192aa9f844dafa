import re

import pytest

from shared.domain.recognition import OwnId, id_key, read_id, signed_id

KEY, OLD = b"k" * 32, b"o" * 32
ID = signed_id(KEY, "Example.com", "support-1a2b3c", 1042, "ticket.created")


def test_an_id_of_ours_says_which_ticket_it_speaks_of():
    assert read_id([KEY], ID) == ("support-1a2b3c", 1042)


def test_a_message_without_ticket_is_known_as_ours_all_the_same():
    assert read_id([KEY], signed_id(KEY, "example.com", "support", None, "sender.test")) == OwnId("support", None)


def test_the_same_cause_has_the_same_id_and_any_other_another():
    made = [
        signed_id(KEY, "example.com", *rest)
        for rest in [("a", 1, "x"), ("a", 1, "y"), ("a", 2, "x"), ("b", 1, "x"), ("a", 1, "x")]
    ]

    assert len(set(made)) == 4
    assert made[0] == made[-1]


def test_it_is_a_valid_id_in_lower_case_that_fits_on_a_line():
    assert re.fullmatch(r"<[a-z0-9.-]+@example\.com>", ID)
    assert len(signed_id(KEY, "example.com", "support", 17, "x")) + len("Message-ID: ") <= 76


def test_a_domain_that_is_not_ascii_makes_a_valid_id_all_the_same():
    assert re.fullmatch(r"<[a-z0-9.-]+@stra-e\.example>", signed_id(KEY, "straße.example", "support", 17, "x"))


@pytest.mark.parametrize(
    "rewritten",
    [
        ID.upper(),
        ID.strip("<>"),
        f"  {ID}  ",
        f"< {ID[1:]}",
        ID.replace("example.com", "mx.relay.example"),
        f"{ID}\r\n",
    ],
)
def test_it_is_read_whatever_servers_do_to_it(rewritten):
    assert read_id([KEY], rewritten) == ("support-1a2b3c", 1042)


def test_an_id_signed_with_an_earlier_key_is_still_ours():
    before = signed_id(OLD, "example.com", "support", 7, "x")

    assert read_id([KEY, OLD], before) == ("support", 7)
    assert read_id([KEY], before) is None


@pytest.mark.parametrize(
    "forged",
    [
        ID.replace(".1042.", ".1043."),
        ID.replace("support-1a2b3c", "support-1a2b3d"),
        re.sub(r"\.[0-9a-f]{24}@", f".{'0' * 24}@", ID),
        signed_id(b"guessed", "example.com", "support-1a2b3c", 1042, "ticket.created"),
        ID.replace("<", "<x"),
        ID.replace(".1042.", ".01042."),
        ID.replace(".1042.", ".١٠٤٢."),
        "",
        "<>",
        "<a@b>",
        "<" * 10_000,
        "\x00",
        "<" + "a" * 100_000 + "@x>",
    ],
)
def test_nobody_else_can_make_one(forged):
    assert read_id([KEY, OLD], forged) is None


def test_without_a_key_nothing_is_ours():
    assert read_id([], ID) is None


def test_the_receipt_of_what_was_sent_is_found_under_the_rewritten_id():
    assert id_key(ID) == id_key(ID.upper())
