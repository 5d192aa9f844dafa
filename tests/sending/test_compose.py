"""What is sent, read back by the standard library's parser and by ours: neither knows how it was written."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.errors import AddressUnusable
from shared.domain.message import Address
from shared.domain.outgoing import Automatic, OutgoingAttachment, OutgoingMessage
from shared.domain.recognition import subject_tags
from shared.mime import attachment_bytes, parse, safe_html
from shared.mime.compose import compose, subject_with_tag
from shared.mime.outgoing_headers import MAX_REFERENCES

MESSAGE = OutgoingMessage(
    message_id="<support.17.0123456789ab.0123456789abcdef01234567@example.com>",
    sender=Address("support@example.com", "Support"),
    to=(Address("ann@example.org", "Ann"),),
    at=datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
    subject="Printer on fire",
    text="We are on it.\n",
    tag="SUP-17",
)
PNG = OutgoingAttachment("logo.png", "image/png", b"\x89PNG\r\n\x1a\n\x00", "logo@example.com")
HOSTILE = [
    "\r\nBcc: eve@evil.example",
    "\nX-Evil: 1",
    "\r\n\r\n<script>",
    "a\x00b",
    "a\u2028Bcc: e@e",
    "a\x85b",
    "a\x0bX: 1",
]


def read(message: OutgoingMessage) -> EmailMessage:
    return message_from_bytes(compose(message), _class=EmailMessage, policy=policy.default)


def lines_of(content: bytes) -> list[bytes]:
    assert content.endswith(b"\r\n")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", content)
    return content.split(b"\r\n")


def test_a_message_of_text_is_one_part():
    message = read(MESSAGE)

    assert (message["from"], message["to"]) == ("Support <support@example.com>", "Ann <ann@example.org>")
    assert message["subject"] == "[SUP-17] Printer on fire"
    assert message["date"].datetime == MESSAGE.at
    assert message["message-id"] == MESSAGE.message_id
    assert message.get_content_type() == "text/plain"
    assert message.get_content().rstrip() == "We are on it."
    assert message.defects == []


def test_text_html_inline_images_and_attachments_are_nested_as_clients_expect():
    attachments = (PNG, OutgoingAttachment("plan.pdf", "application/pdf", b"%PDF"))
    message = read(replace(MESSAGE, html='<p>Ö<img src="cid:logo@example.com"></p>', attachments=attachments))

    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
    ]
    assert [part.get_content_disposition() for part in message.walk()][-2:] == ["inline", "attachment"]
    assert message.get_body(("html",)).get_content() == '<p>Ö<img src="cid:logo@example.com"></p>'


def test_a_text_that_repeats_the_boundary_does_not_end_its_part():
    boundary = re.search(rb'boundary="(.*?)"', compose(replace(MESSAGE, html="x")))[1].decode()

    message = read(replace(MESSAGE, text=f"a\n--{boundary}\nb\n--{boundary}--\nc", html="x"))

    assert message.get_body(("plain",)).get_content().splitlines() == [
        "a",
        f"--{boundary}",
        "b",
        f"--{boundary}--",
        "c",
    ]


def test_an_attachment_without_content_is_a_whole_part():
    raw = compose(replace(MESSAGE, attachments=(OutgoingAttachment("empty.txt", "text/plain", b""),)))

    assert b"\r\n\r\n\r\n--=_mixed" in raw


def test_an_image_that_the_html_does_not_show_is_an_attachment():
    message = read(replace(MESSAGE, html="<p>no picture</p>", attachments=(PNG,)))

    assert [part.get_filename() for part in message.iter_attachments()] == ["logo.png"]


def test_attachments_arrive_byte_for_byte():
    contents = [bytes(range(256)) * 100, b"", b"\r\n.\r\n--=_mixed\r\n", b"\n\n\n", b"text\rwith\nall\r\nlines"]
    attachments = tuple(OutgoingAttachment(f"{n}.bin", "text/plain", each) for n, each in enumerate(contents))

    raw = compose(replace(MESSAGE, attachments=attachments))

    assert [attachment_bytes(raw, index)[1] for index in range(len(contents))] == contents
    standard = message_from_bytes(raw, policy=policy.default)
    assert [part.get_payload(decode=True) for part in standard.iter_attachments()] == contents


@pytest.mark.parametrize(
    "content_type", ["message/rfc822", "multipart/mixed", "nonsense", "", "a/b\r\nX: 1", "text/x y"]
)
def test_a_type_that_cannot_be_declared_is_a_file_of_any_kind(content_type):
    message = read(replace(MESSAGE, attachments=(OutgoingAttachment("a.eml", content_type, b"Subject: x\r\n\r\n"),)))

    assert [part.get_content_type() for part in message.iter_attachments()] == ["application/octet-stream"]


def test_the_same_message_is_the_same_bytes():
    message = replace(MESSAGE, html="<p>x</p>", attachments=(PNG,))

    assert compose(message) == compose(replace(message))


@pytest.mark.parametrize(
    ("subject", "sent"),
    [
        ("Printer", "[SUP-17] Printer"),
        ("Re: Printer", "Re: [SUP-17] Printer"),
        ("Re: [SUP-17] Printer", "Re: [SUP-17] Printer"),
        ("[SUP-17] Re: AW: [SUP-17] Printer [SUP-17]", "Re: [SUP-17] Printer"),
        ("Re: [SUP-170] Printer", "Re: [SUP-17] [SUP-170] Printer"),
        ("AW: Re[2]: Ответ: Printer", "Re: [SUP-17] Printer"),
        ("", "[SUP-17]"),
    ],
)
def test_the_tag_stands_in_the_subject_exactly_once(subject, sent):
    assert subject_with_tag(subject, "SUP-17") == sent
    assert [tag.number for tag in subject_tags(parse(compose(replace(MESSAGE, subject=subject))))].count(17) == 1


def test_the_tag_can_be_read_in_the_bytes_where_the_rest_of_the_subject_is_encoded():
    raw = compose(replace(MESSAGE, subject="Re: Принтер"))

    assert b"\r\nSubject: Re: [SUP-17] =?utf-8?B?" in raw
    assert parse(raw).subject == "Re: [SUP-17] Принтер"


def test_a_subject_without_tag_stays_as_it_is():
    assert read(replace(MESSAGE, tag="", subject="Planned  work")).get("subject") == "Planned  work"


@given(
    subject=st.text(max_size=300),
    name=st.text(max_size=100),
    file=st.text(max_size=100),
    body=st.text(max_size=400),
    html=st.text(min_size=1, max_size=400),
)
@settings(max_examples=60, deadline=None)
def test_any_text_is_written_in_short_ascii_lines_and_none_of_it_becomes_a_field(subject, name, file, body, html):
    people = (Address("ann@example.org", name), Address("bob@example.org", name))
    attached = (replace(PNG, name=file),)
    raw = compose(replace(MESSAGE, subject=subject, to=people, text=body, html=html, attachments=attached))

    assert raw.isascii()
    assert b"\x00" not in raw
    assert max(map(len, lines_of(raw))) <= 125  # a file name of 60 characters that all need a backslash
    plain = compose(replace(MESSAGE, html="x", attachments=(PNG,)))
    assert field_names(raw) == field_names(plain)
    assert [address.address for address in parse(raw).to] == ["ann@example.org", "bob@example.org"]


def field_names(raw: bytes) -> list[bytes]:
    return re.findall(rb"^([\w-]+):", raw.partition(b"\r\n\r\n")[0], re.MULTILINE)


@given(text=st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=300))
@settings(max_examples=60, deadline=None)
def test_subjects_and_names_arrive_as_they_were_written(text):
    raw = compose(replace(MESSAGE, tag="", subject=text, sender=Address("a@example.com", text)))

    assert parse(raw).subject == text.strip()
    sender = message_from_bytes(raw, policy=policy.default)["from"].addresses[0]
    assert sender.addr_spec == "a@example.com"
    assert "".join(sender.display_name.split()) == "".join(text.split())  # the library puts its own spaces there


@given(text=st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029"), max_size=300))
@settings(max_examples=60, deadline=None)
def test_bodies_arrive_as_they_were_written(text):
    message = read(replace(MESSAGE, text=text, html=f"<p>{text}</p>"))

    assert message.get_body(("plain",)).get_content().rstrip("\r\n") == text
    assert message.get_body(("html",)).get_content().rstrip() == f"<p>{text}</p>"


@pytest.mark.parametrize(
    "text", ["x" * 5_000, "ü" * 5_000, "word " * 1_000, "日本語 " * 500, "a\x00\x07b\u2028c", "\ud800"]
)
def test_no_line_is_longer_than_76_characters_whatever_is_said(text):
    raw = compose(replace(MESSAGE, text=text, html=text, subject=text, sender=Address("a@example.com", text)))

    assert max(map(len, lines_of(raw))) <= 78


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_that_people_write_begins_another_field(hostile):
    person = Address("ann@example.org", hostile)
    message = replace(
        MESSAGE,
        subject=hostile,
        sender=person,
        to=(person,),
        cc=(person,),
        reply_to=(person,),
        tag=hostile,
        language=hostile,
        loop_id=hostile,
        unsubscribe_url=f"https://example.com/{hostile}",
        references=(f"<b{hostile}@x>", f"<a{hostile}@x>"),
        attachments=(OutgoingAttachment(hostile, f"text/plain{hostile}", b"x", hostile),),
    )

    raw = compose(message)

    allowed = {
        "From",
        "To",
        "Cc",
        "Reply-To",
        "Subject",
        "Date",
        "Message-ID",
        "X-Loop",
        "MIME-Version",
        "Content-Type",
    }
    assert {name.decode() for name in field_names(raw)} <= allowed
    assert b"\x00" not in raw
    assert re.search(rb"^(Bcc|X-Evil|X):", raw, re.MULTILINE) is None


def test_an_encoded_word_that_somebody_writes_is_shown_and_not_decoded():
    word = "=?utf-8?Q?=0D=0ABcc:_eve@evil.example?="
    attachments = (OutgoingAttachment(f"{word}.txt", "text/plain", b""),)

    message = read(replace(MESSAGE, tag="", subject=word, to=(Address("a@b.example", word),), attachments=attachments))

    assert (message["subject"], message["to"].addresses[0].display_name) == (word, word)
    assert [part.get_filename() for part in message.iter_attachments()] == [
        "=_utf-8_Q_=0D=0ABcc__eve@evil.example_=.txt"
    ]


@pytest.mark.parametrize(
    "name",
    ["Прайс-лист за ноябрь 2026 года, окончательная версия.pdf", "a;b'c%d.txt", "naïve.txt", "日本語" * 20 + ".doc"],
)
def test_names_of_files_arrive_in_every_script(name):
    raw = compose(replace(MESSAGE, attachments=(OutgoingAttachment(name, "application/pdf", b"x"),)))

    assert parse(raw).attachments[0].name == name
    assert [part.get_filename() for part in message_from_bytes(raw, policy=policy.default).iter_attachments()] == [name]


def test_a_domain_that_is_not_ascii_is_written_by_its_registered_name():
    message = replace(MESSAGE, to=(Address("info@straße.example", "Büro"), Address("a@ПОЧТА.example")))

    assert compose(message).isascii()
    assert [each.address for each in parse(compose(message)).to] == [
        "info@xn--strae-oqa.example",
        "a@xn--80a1acny.example",
    ]


def test_only_a_local_part_that_is_not_ascii_is_written_in_utf_8():
    raw = compose(replace(MESSAGE, to=(Address("jörg@müller.example", "Jörg"),)))

    assert "<jörg@xn--mller-kva.example>".encode() in raw


@pytest.mark.parametrize(
    "address",
    """
    |ann|@example.org|ann@|a b@example.org|a@b@c.example|a@exa mple.org|a@b.example\r\nBcc: c@d|a@b..example
    |<a@b.example>|a\x00@b.example|a@-.example|a..b@c.example|a,b@c.example|a@ü\u2028.example|a\u2028b@c.example
    """.strip().split("|"),
)
def test_what_is_no_address_is_refused_and_never_repaired(address):
    with pytest.raises(AddressUnusable):
        compose(replace(MESSAGE, to=(Address(address, "Ann"),)))


def test_an_address_that_is_far_too_long_is_refused():
    for address in ("a" * 300 + "@b.example", "a@" + "ü" * 100_000, "a@" + "b." * 100_000 + "example"):
        with pytest.raises(AddressUnusable):
            compose(replace(MESSAGE, to=(Address(address),)))


def test_a_quoted_local_part_is_sent_as_it_is():
    assert b'"ann smith"@example.org' in compose(replace(MESSAGE, to=(Address('"ann smith"@example.org'),)))


@pytest.mark.parametrize(
    "name", ['Ann "The Boss" Smith, Ltd. \\', "a@b.example", "<eve@evil.example>", "Ann (home); Bob:"]
)
def test_a_name_is_never_taken_for_an_address(name):
    sender = read(replace(MESSAGE, sender=Address("a@example.com", name)))["from"].addresses

    assert [(each.display_name, each.addr_spec) for each in sender] == [(name, "a@example.com")]


def test_many_recipients_stand_each_on_a_line_of_their_own():
    people = tuple(Address(f"person{number}@example.org", f"Person, {number}") for number in range(150))

    raw = compose(replace(MESSAGE, cc=people))

    assert len(parse(raw).cc) == 150
    assert max(map(len, lines_of(raw))) <= 78


def test_an_answer_refers_to_what_it_answers():
    message = read(replace(MESSAGE, references=("<a@x>", "<a@x>", "<b@x>", "<c@x>")))

    assert (message["in-reply-to"], message["references"]) == ("<c@x>", "<a@x> <b@x> <c@x>")


def test_of_a_long_conversation_the_root_and_the_newest_messages_are_referred_to():
    references = tuple(f"<{number}.{'x' * 60}@example.org>" for number in range(500))

    raw = compose(replace(MESSAGE, references=(*references, "<parent@x>")))

    sent = parse(raw).references
    assert (sent[0], sent[1], sent[-1]) == (references[0], references[500 - MAX_REFERENCES + 2], "<parent@x>")
    assert len(sent) == MAX_REFERENCES


@pytest.mark.parametrize("bad", ["<a b@x>", "<ü@x>", "no brackets", "<a@x>\r\nX: 1", "<" + "a" * 2_000 + "@x>", ""])
def test_ids_that_cannot_be_written_are_left_out(bad):
    message = read(replace(MESSAGE, references=("<root@x>", bad)))

    assert (message["in-reply-to"], message["references"]) == (None, "<root@x>")


def test_what_a_person_wrote_is_not_marked_as_automatic():
    assert field_names(compose(MESSAGE)) == [
        *(b"From", b"To", b"Subject", b"Date", b"Message-ID", b"MIME-Version", b"Content-Type"),
        b"Content-Transfer-Encoding",
    ]


@pytest.mark.parametrize(("automatic", "precedence"), [(Automatic.REPLIED, "auto_reply"), (Automatic.GENERATED, None)])
def test_automatic_messages_say_so_and_ask_for_no_answer_but_that_they_could_not_be_delivered(automatic, precedence):
    message = read(replace(MESSAGE, automatic=automatic, loop_id="mailroom.example.com", language="de"))

    assert message["auto-submitted"] == automatic
    assert message["x-auto-response-suppress"].split(", ") == ["DR", "RN", "NRN", "OOF", "AutoReply"]
    assert (message["precedence"], message["x-loop"]) == (precedence, "mailroom.example.com")
    assert message["content-language"] == "de"


def test_an_announcement_can_be_unsubscribed_from_with_one_click():
    message = read(replace(MESSAGE, automatic=Automatic.GENERATED, unsubscribe_url="https://example.com/u?t=1"))

    assert message["list-unsubscribe"] == "<https://example.com/u?t=1>"
    assert message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    assert message["precedence"] == "bulk"


def test_our_own_reader_finds_nothing_wrong_with_it():
    raw = compose(replace(MESSAGE, html='<b>ü</b><img src="cid:logo@example.com">', attachments=(PNG,)))

    message = parse(raw)

    assert (message.defects, message.text, message.attachments[0].inline) == ((), "We are on it.", True)
    assert "/images/0" in safe_html(raw, image_url=lambda attachment, _: f"/images/{attachment.index}")
