import base64

import pytest

from shared.mime.defects import Defect
from shared.mime.transfer import decode_transfer

DATA = bytes(range(256)) * 3
ENCODED = base64.encodebytes(DATA)


def test_base64_gives_the_bytes():
    assert decode_transfer(ENCODED.replace(b"\n", b"\r\n"), "BASE64") == (DATA, None)


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (base64.b64encode(b"abcd").rstrip(b"="), b"abcd"),
        (b"YWJj\r\nZ", b"abc"),
        (b"YWI=\r\nY2Q=\r\n", b"abcd"),
        (b"YWI=\r\n_____\r\nA mailing list", b"ab"),
        (b"YWJj=", b"abc"),
        (b"YWJj\r\n\r\n___\r\nA mailing list", b"abc"),
        (b"YWJj\n____\nlist\n", b"abc"),
        (b"not encoded, whatever the header says", b"not encoded, whatever the header says"),
    ],
)
def test_damaged_base64_gives_what_can_be_read(raw, data):
    decoded, defect = decode_transfer(raw, "base64")

    assert decoded == data
    assert defect is (None if raw == b"YWJj=" else Defect.BASE64_INVALID)


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (b"caf=C3=A9", "café".encode()),
        (b"caf=c3=a9", "café".encode()),
        (b"one=\r\ntwo", b"onetwo"),
        (b"100=25 =zz = x", b"100% =zz = x"),
        (b"end=", b"end"),
    ],
)
def test_quoted_printable_gives_the_bytes(raw, data):
    assert decode_transfer(raw, "Quoted-Printable") == (data, None)


def test_white_space_behind_a_soft_line_break_was_added_on_the_way():
    assert decode_transfer(b"one= \t\r\ntwo", "quoted-printable") == (b"onetwo", Defect.QUOTED_PRINTABLE_INVALID)


@pytest.mark.parametrize("encoding", ["base-64", "BASE64;", '"base64"', "base64 charset=utf-8", "Base64 (of text)"])
def test_an_encoding_is_known_by_how_its_name_begins(encoding):
    assert decode_transfer(b"YWJj", encoding) == (b"abc", None)


@pytest.mark.parametrize("encoding", ["", "7bit", "8BIT", "binary", "8-bit"])
def test_what_is_not_encoded_stays_as_it_is(encoding):
    assert decode_transfer(b"=C3 \r\n", encoding) == (b"=C3 \r\n", None)


def test_an_unknown_encoding_is_none():
    assert decode_transfer(b"x", "utf-8") == (b"x", Defect.TRANSFER_ENCODING_UNKNOWN)


@pytest.mark.parametrize("raw", [b"A=" * 1_000_000, b"AAAA=" + b" " * 2_000_000 + b"!", b"AAAA\r\n" * 300_000 + b"=A"])
def test_damage_without_end_is_bounded_work(raw):
    assert decode_transfer(raw, "base64")[1] is Defect.BASE64_INVALID
