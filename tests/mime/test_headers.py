import base64

import pytest

from shared.mime import parse
from shared.mime.defects import Defect
from shared.mime.headers import MAX_FIELDS, decode_words, one_line, read_fields, text


def fields_of(content: bytes) -> tuple[tuple[tuple[str, str], ...], bytes, list[Defect]]:
    defects: list[Defect] = []
    fields, body = read_fields(content, 0, len(content), defects)
    return fields.pairs, content[body:], defects


def word(raw: bytes, charset: str = "utf-8") -> str:
    return f"=?{charset}?B?{base64.b64encode(raw).decode()}?="


def test_fields_are_unfolded_and_end_at_the_blank_line():
    pairs, body, defects = fields_of(b"Subject: one\r\n\ttwo\r\nTO : a@example.org\r\n\r\nBody: text\r\n")

    assert pairs == (("subject", "one two"), ("to", "a@example.org"))
    assert body == b"Body: text\r\n"
    assert defects == []


def test_a_part_that_begins_with_a_blank_line_has_no_fields():
    assert fields_of(b"\r\nFrom: text\r\n\r\nmore") == ((), b"From: text\r\n\r\nmore", [])


def test_a_line_among_the_fields_that_is_none_is_left_out():
    pairs, body, defects = fields_of(b"From anna Mon Mar 9\nSubject: x\n>From y\nTo: z\n\nbody")

    assert pairs == (("subject", "x"), ("to", "z"))
    assert body == b"body"
    assert defects == [Defect.HEADER_INVALID, Defect.HEADER_INVALID]


def test_text_right_behind_the_fields_begins_the_body():
    pairs, body, _ = fields_of(b"Subject: x\nHello Anna,\n\nbye")

    assert pairs == (("subject", "x"),)
    assert body == b"Hello Anna,\n\nbye"


def test_a_header_without_end_is_read_to_its_limits():
    pairs, body, defects = fields_of(b"A: b\r\n" * 100_000)

    assert len(pairs) == MAX_FIELDS
    assert body == b""
    assert defects == [Defect.HEADER_TOO_LARGE]


def test_the_body_is_found_behind_a_header_that_is_too_large():
    _, body, defects = fields_of(b"Subject: " + b"x" * 1_000_000 + b"\r\n\r\nbody")

    assert body == b"body"
    assert defects == [Defect.HEADER_TOO_LARGE]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("=?utf-8?Q?Gr=C3=BC=C3=9Fe_?= =?UTF-8?b?8J+YgA==?=", "Grüße 😀"),
        ("=?iso-8859-1?q?caf=e9?=", "café"),
        ("=?iso-8859-1*fr?Q?caf=E9?=", "café"),
        ("a =?utf-8?Q?b?= c", "a b c"),
        ("=?utf-8?Q?a?==?utf-8?Q?b?=", "ab"),
        ("=?utf-8?Q?a?=\r\n =?utf-8?Q?b?=", "ab"),
        ("=?utf-8?Q?a b?= =?iso-8859-1?Q?=E9?=", "a bé"),
        ('"=?utf-8?Q?quoted?="', '"quoted"'),
        ("=?utf-8?B?w6k?=", "é"),
        ("=?utf-8?Q?Really?_Yes!?=", "Really? Yes!"),
        ("=?x-unknown?Q?caf=C3=A9?=", "café"),
        ('=?"utf-8"?Q?caf=C3=A9?=', "café"),
        ("=?utf-8?Q??=", ""),
        ("=?utf-8?Q?open", "open"),
        ("=?utf-8?X?what?=", "=?utf-8?X?what?="),
        ("1 =? 2 ?= 3", "1 =? 2 ?= 3"),
    ],
)
def test_encoded_words_are_read_however_they_are_written(value, expected):
    assert decode_words(value) == expected


def test_a_character_may_be_cut_into_two_encoded_words():
    raw = "日本語".encode()

    assert decode_words(f"{word(raw[:4])} {word(raw[4:])}") == "日本語"


def test_base64_may_be_cut_into_two_encoded_words():
    encoded = base64.b64encode("日本語".encode()).decode()

    assert decode_words(f"=?utf-8?B?{encoded[:6]}?=\r\n =?utf-8?B?{encoded[6:]}?=") == "日本語"


@pytest.mark.parametrize(
    ("raw", "sibling"), [("Größe".encode(), ""), ("Größe".encode("cp1252"), ""), ("Größe".encode("cp850"), "cp850")]
)
def test_eight_bit_headers_need_no_declaration(raw, sibling):
    assert text(raw.decode("latin-1"), sibling) == "Größe"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["From", "References", "Message-ID", "Date", "Subject", "Content-Type"])
@pytest.mark.parametrize(
    "piece",
    ["x", " ", "; ", "<", '<"', '"\\', "(", "(\\", "(()", "[", "@ ", ",", "=?a?q?", "=?a?q?,", "a@b,", ";a=b", ";a*1=b",
     "=", "1 ", "\x1b$B", "é"],
)  # fmt: skip
def test_fields_without_end_are_bounded_work(name, piece):
    assert parse(f"{name}: text/plain;{piece * 60_000}\r\n\r\nx".encode())


def test_header_texts_are_one_line():
    assert one_line(" a\x00b\r\nc\u2028d\x85e ") == "a b c d e"
    assert text("=?utf-8?Q?a=0D=0ABcc:_b?=") == "a Bcc: b"
