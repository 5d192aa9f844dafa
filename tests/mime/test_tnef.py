"""winmail.dat beyond the messages of the corpus: compressed bodies, and files made to cost much."""

import struct

import pytest

from shared.mime import attachment_bytes, parse
from shared.mime.rtf import MAX_RTF, decompress, of_rtf
from shared.mime.tnef import MAX_FILES, open_tnef

HEAD = b"\x78\x9f\x3e\x22\x01\x00"
NEW_FILE = b"\x02\x02\x90\x06\x00\x00\x00\x00\x00\x00\x00"


def attribute(level: int, id_: int, data: bytes) -> bytes:
    return struct.pack("<BHHI", level, id_, 6, len(data)) + data + b"\0\0"


@pytest.mark.parametrize(
    ("compressed", "rtf"),
    [
        # The two examples of [MS-OXRTFCP], sections 4.1 and 4.2: plain references, and one that overlaps what it makes.
        (
            "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0",
            b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n",
        ),
        ("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0", b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"),
    ],
)
def test_a_compressed_body_is_read(compressed, rtf):
    assert decompress(bytes.fromhex(compressed)) == rtf


def test_a_body_that_grows_without_end_is_cut():
    references = [((207 + 17 * number + 1) % 4096 << 4 | 15).to_bytes(2, "big") for number in range(8 * 10_000)]
    groups = (b"\xff" + b"".join(references[start : start + 8]) for start in range(0, len(references), 8))

    size = len(decompress(b"\0" * 8 + b"LZFu" + b"\0" * 4 + b"".join(groups)))

    assert MAX_RTF // 2 < size < MAX_RTF + 1_000


@pytest.mark.parametrize(
    ("rtf", "text"),
    [
        (rb"{\rtf1\ansi\ansicpg1251 \'cf\'f0\'e8\'e2\'e5\'f2\par}", "Привет\n"),
        (rb"{\rtf1 a\u-10179?\u-8704?b}", "a😀b"),
        (rb"{\rtf1{\*\generator Word;}{\info{\title x}}shown {\b bold}\tab end}", "shown bold\tend"),
        (rb"{\rtf1 \{x\} \\ \emdash}", "{x} \\ —"),
        (rb"}}}{\rtf1 more closed than opened", "more closed than opened"),
    ],
)
def test_rich_text_is_read(rtf, text):
    assert of_rtf(rtf) == (text, False)


def test_a_file_keeps_its_bytes():
    data = HEAD + NEW_FILE + attribute(2, 0x8010, b"a.bin\0") + attribute(2, 0x800F, bytes(range(256)))
    content = b"Content-Type: application/ms-tnef; name=winmail.dat\r\n\r\n" + data

    attachment, found = attachment_bytes(content, 0)

    assert (attachment.name, found) == ("a.bin", bytes(range(256)))


def test_the_number_of_files_is_bounded():
    data = HEAD + (NEW_FILE + attribute(2, 0x800F, b"x")) * 3 * MAX_FILES

    assert len(open_tnef(data)) == MAX_FILES


@pytest.mark.parametrize(
    "properties",
    [
        struct.pack("<I", 0xFFFFFFFF) * 3,
        struct.pack("<IHHI", 0xFFFFFFFF, 0x1003, 0x1000, 0xFFFFFFFF) + b"\0" * 2_000_000,
        struct.pack("<IHHI", 1, 0x101E, 0x1000, 0xFFFFFFFF) + b"\0" * 2_000_000,
        struct.pack("<IHH", 1, 0x1E, 0x9000) + b"\0" * 16 + struct.pack("<II", 1, 0xFFFFFFFF),
    ],
)
def test_counts_that_lie_are_bounded_work(properties):
    open_tnef(HEAD + attribute(1, 0x9003, properties))


def test_what_ends_early_is_no_error(corpus):
    content = corpus["tnef-files-in-winmail-dat"]

    for size in range(content.index(b"eJ8"), len(content), 7):
        assert parse(content[:size]).text == "Two files."
