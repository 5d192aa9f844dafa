import pytest

from shared.domain.message import Address
from shared.mime import parse
from shared.mime.message import MAX_LINE, MAX_SAME_FIELD


def message(*fields: str) -> bytes:
    return "\r\n".join((*fields, "", "text")).encode()


def test_of_several_authors_the_first_wrote_the_message():
    assert parse(message("From: a@example.org, b@example.org", "Sender: c@example.org")).sender == Address(
        "a@example.org"
    )


def test_an_author_without_an_address_is_represented_by_the_sender():
    parsed = parse(message("From: Anna", "Sender: office@example.org"))

    assert parsed.sender == Address("office@example.org")


def test_an_author_without_any_address_keeps_the_name():
    parsed = parse(message("From: Anna"))

    assert parsed.sender == Address("", "Anna")
    assert parsed.defects == ("address-invalid",)


def test_recipients_without_an_address_are_left_out():
    assert parse(message("To: Anna, undisclosed-recipients:;", "Cc: <>")).to == ()


def test_an_id_without_brackets_gets_them():
    assert parse(message("Message-ID: 20260309 A17")).message_id == "<20260309A17>"


def test_fields_that_rules_look_at_are_kept_in_order():
    parsed = parse(
        message(
            "Received: a",
            "Received: b",
            "List-Id: =?utf-8?Q?B=C3=BCro?= <office.lists.example.org>",
            "AUTO-SUBMITTED: auto-generated",
            "X-Secret: not kept",
            "Content-Type: text/plain; charset=utf-8",
        )
    )

    assert parsed.headers == (
        ("list-id", "Büro <office.lists.example.org>"),
        ("auto-submitted", "auto-generated"),
        ("content-type", "text/plain; charset=utf-8"),
        ("received-count", "2"),
    )


def test_other_fields_are_kept_where_they_are_asked_for():
    content = b"X-Order: =?utf-8?q?=C3=BC?=\nx-other: 1\nReceived-Count: 99\nReceived: a\n\n"

    assert parse(content).headers == (("received-count", "1"),)
    assert parse(content, frozenset({"x-order", "received-count"})).headers == (
        ("x-order", "ü"),
        ("received-count", "1"),
    )


def test_kept_fields_are_bounded_in_number_and_length():
    parsed = parse(message("Subject: " + "s" * 5_000, *["X-Loop: " + "x" * 5_000] * 30))

    assert len(parsed.subject) == MAX_LINE
    assert [len(value) for name, value in parsed.headers if name == "x-loop"] == [MAX_LINE] * MAX_SAME_FIELD


def test_several_plain_parts_are_one_text():
    content = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\n \r\n--b\r\n\r\ntwo\r\n--b--"
    )

    assert parse(content).text == "one\n\ntwo"


def test_the_html_is_read_where_the_plain_alternative_is_empty():
    content = (
        b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n\r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\n<p>seen</p>\r\n--b--"
    )

    assert parse(content).text == "seen"


def test_an_alternative_for_some_programs_only_is_no_attachment():
    content = (
        b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n"
        b"--b\r\nContent-Type: text/x-amp-html\r\n\r\n<html amp4email>\r\n--b--"
    )

    assert parse(content).attachments == ()


@pytest.mark.parametrize("meta", ['<meta charset="koi8-r">', "<meta http-equiv=x content='text/html; charset=koi8-r'>"])
def test_html_may_declare_its_charset_itself(meta):
    html = f"<html><head>{meta}</head><body>Привет</body></html>"

    assert parse(b"Content-Type: text/html\r\n\r\n" + html.encode("koi8-r")).text == "Привет"


def test_control_characters_are_left_out_of_the_text():
    assert parse(b"Subject: x\r\n\r\na\x00b\x07c\td\r\ne\x1b[0m\rf").text == "abc\td\ne[0m\nf"


def test_the_beginning_of_a_message_is_read_like_the_whole(corpus):
    content = corpus["apple-mail-italian-pdf-between-texts"]

    parsed = parse(content[: content.index(b"JVBERi") + 200])

    assert parsed.text == "Buongiorno, perché la fattura allegata è in inglese?"
    assert [attachment.name for attachment in parsed.attachments] == ["Fattura nº 12.pdf"]
    assert "multipart-unterminated" in parsed.defects


def test_lines_of_plain_text_lose_the_tags_that_a_web_form_ended_them_with():
    assert parse(b"Subject: x\n\nName: Ann<br />\nTown: Ely<br>\nWrite <br> as it is").text == (
        "Name: Ann\nTown: Ely\nWrite <br> as it is"
    )


def test_many_blank_lines_in_a_row_are_two():
    assert parse(b"Subject: x\n\none\n" + b" \n\n\xc2\xa0\n" * 50 + b"two").text == "one\n\n\ntwo"
