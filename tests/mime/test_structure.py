import email

import pytest

from shared.mime.body import MAX_TEXT
from shared.mime.defects import Defect
from shared.mime.html import MAX_TAGS
from shared.mime.message import parse
from shared.mime.structure import MAX_DEPTH, MAX_HEADERS, MAX_PARTS, Part, split

MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


def leaves(content: bytes) -> list[tuple[str, bytes]]:
    return [(leaf.type.value, content[leaf.start : leaf.end]) for leaf in split(content, []).leaves()]


def nested(depth: int) -> bytes:
    levels = (
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level) for level in range(depth)
    )
    return b"".join(levels) + b"\r\ninnermost"


def test_parts_lie_between_the_delimiter_lines():
    content = (
        MIXED + b"preamble\r\n--b\r\n\r\none\r\n\r\n--b  \r\nContent-Type: TEXT/HTML\r\n\r\ntwo\r\n--b--\r\nepilogue"
    )

    assert leaves(content) == [("text/plain", b"one\r\n"), ("text/html", b"two")]


def test_a_line_that_only_begins_like_a_delimiter_is_text():
    content = MIXED + b"--b\r\n\r\none\r\n--better\r\n--b-\r\ntext --b\r\n--b--"

    assert leaves(content) == [("text/plain", b"one\r\n--better\r\n--b-\r\ntext --b")]


def test_a_long_boundary_may_be_declared_in_pieces():
    content = b'Content-Type: multipart/mixed; boundary*0="b"; boundary*1="c"\r\n\r\n--bc\r\n\r\none\r\n--bc--'

    assert leaves(content) == [("text/plain", b"one")]


def test_a_byte_order_mark_before_the_header_is_skipped():
    assert parse(b"\xef\xbb\xbfSubject: exported\r\n\r\ntext").subject == "exported"


def test_an_inner_multipart_that_is_never_closed_ends_with_the_outer_one():
    content = (
        MIXED + b"--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--"
    )

    assert leaves(content) == [("text/plain", b"one"), ("text/plain", b"two")]


def test_a_boundary_may_be_declared_with_blanks_and_without_quotes():
    content = b"Content-Type: multipart/mixed; boundary= =_x y \r\n\r\n--=_x y\r\n\r\none\r\n--=_x y--"

    assert leaves(content) == [("text/plain", b"one")]


@pytest.mark.parametrize("declared", [b"", b"; boundary=", b"; boundary=wrong", b'; boundary="'])
def test_a_boundary_that_is_not_declared_is_found(declared):
    defects: list[Defect] = []
    content = b"Content-Type: multipart/mixed%b\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\none\r\n--x--" % declared

    root = split(content, defects)

    assert [leaf.type.value for leaf in root.leaves()] == ["text/html"]
    assert defects == [Defect.BOUNDARY_WRONG]


@pytest.mark.parametrize(
    ("declared", "expected"),
    [("text", "text/plain"), ("html", "text/html"), ("plain; charset=x", "text/plain"), ("", "text/plain"),
     ("nonsense", "text/plain"), ("pdf; name=a.pdf", "application/octet-stream"), ("TEXT/Html", "text/html")],
)  # fmt: skip
def test_a_type_that_is_none_is_taken_for_what_was_meant(declared, expected):
    assert split(f"Content-Type: {declared}\r\n\r\nx".encode(), []).type.value == expected


def test_nesting_ends_at_a_limit():
    message = parse(nested(5_000))

    assert "too-deep" in message.defects
    assert message.attachments[0].content_type == "multipart/mixed"
    assert parse(nested(MAX_DEPTH)).text == "innermost"


def test_deep_nesting_of_much_content_ends_earlier():
    assert "too-deep" in parse(nested(60) + b"x" * 20_000_000).defects


def test_the_number_of_parts_is_bounded():
    content = MIXED + b"--b\r\nContent-Type: image/png\r\n\r\n\r\n" * 20_000

    message = parse(content)

    assert len(message.attachments) == MAX_PARTS
    assert "too-many-parts" in message.defects


@pytest.mark.parametrize(
    "line", [b"--b\r\n", b"\n--bx", b"--b--\r\n--b\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"]
)
def test_delimiters_without_end_are_bounded_work(line):
    assert parse(MIXED + line * 300_000)


def test_the_headers_of_all_parts_together_are_bounded():
    content = MIXED + (b"--b\r\n" + b"X: y\r\n" * 1_000 + b"\r\n\r\n") * 1_000

    root = split(content, [])

    assert sum(len(part.fields.pairs) for part in root.leaves()) < MAX_HEADERS / 6 + 1_000


def test_the_tags_of_all_parts_together_are_bounded():
    page = b"--b\r\nContent-Type: text/html\r\n\r\n" + b"<b>x" * (MAX_TAGS // 4) + b"\r\n"

    message = parse(MIXED + page * 10)

    assert len(message.text) < 6 * MAX_TAGS / 4 + 100
    assert "text-cut" in message.defects


def test_images_within_html_do_not_count_as_text():
    image = b'<img src="data:image/png;base64,' + b"iVBORw0K" * 400_000 + b'">'

    message = parse(b"Content-Type: text/html\r\n\r\n<p>above</p>" + image + b"<p>below</p>")

    assert message.text == "above\n\nbelow"
    assert message.defects == ()


def test_the_text_is_bounded():
    message = parse(b"Subject: x\r\n\r\n" + b"x" * (3 * MAX_TEXT))

    assert len(message.text) == MAX_TEXT
    assert message.defects == ("text-cut",)


def _by_the_standard_library(content: bytes) -> list[tuple[str, bytes]]:
    parts = email.message_from_bytes(content).walk()
    return [
        (part.get_content_type(), part.get_payload(decode=True) or b"") for part in parts if not part.is_multipart()
    ]


def _opened(part: Part, content: bytes) -> list[tuple[str, bytes]]:
    """The leaves with their content decoded, those of attached messages included."""
    found: list[tuple[str, bytes]] = []
    for leaf in part.leaves():
        data, _ = leaf.body(content)
        if leaf.type.value == "message/rfc822":
            found += _opened(split(data, []), data)
        else:
            found.append((leaf.type.value, data))
    return found


def test_well_formed_messages_have_the_structure_that_the_standard_library_finds(corpus):
    opened_further = (
        "dsn-",
        "html-declared-",
        "message-partial",
        "read-receipt",
        "tnef",
        "uuencoded-",
        "web-form-html-",
    )
    sound = {name: mail for name, mail in corpus.items() if not name.startswith(("broken-", *opened_further))}

    differing = [
        name
        for name, content in sound.items()
        if _opened(split(content, []), content) != _by_the_standard_library(content)
    ]

    assert differing == []
    assert len(sound) > 100
