"""What the docstrings promise holds for any bytes: for noise, for mail-like noise, and for damaged mail."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.message import InboundMessage
from shared.mime import attachment_bytes, parse, safe_html
from shared.mime.defects import Defect
from shared.mime.filenames import safe_name

FRAGMENTS = [
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\t", b"\0", b"\xff", b"\x1b$B", b"\xed\xa0\x80", b"\xe2\x80\xa8",
    b"--b\r\n", b"--b--\r\n", b"From: ", b"To: ", b"Subject: ", b"Message-ID: ", b"References: ", b"Date: ",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", b"Content-Type: multipart/alternative; boundary=b\r\n\r\n",
    b"Content-Type: text/html\r\n\r\n", b"Content-Type: message/rfc822\r\n\r\n", b"Content-Type: text/plain; charset=",
    b"utf-7\r\n\r\n", b"utf-16\r\n\r\n", b"iso-2022-jp\r\n\r\n", b"hz\r\n\r\n", b"gb2312\r\n\r\n", b"idna\r\n\r\n",
    b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n", b"\xc2\x85",
    b"Content-ID: <a>\r\n",
    b"Content-Disposition: attachment; filename*0*=utf-8''%ff; filename*1=\"x", b"=?utf-8?B?", b"=?utf-7?Q?+2AA-?=",
    b"?=",
    b"<", b">", b"(", b")", b'"', b",", b";", b":", b"@", b"=", b"\\", b"%", b"&#xD800;", b"&#0;", b"+2AA-", b"YQ==",
    b"Mon, 9 Mar 2026 12:00:00 +0000", b"<a@b>", b"<p>", b"</p>", b"<table><tr>", b"<td>", b"<blockquote>", b"<li>",
    b"<a href='http://x'>", b"<img src=cid:a>", b"<!--", b"-->", b"<style>", b"<div style='display:none'>", b"</div>",
]  # fmt: skip

mail_like = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=8)), max_size=60).map(b"".join)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.one_of(st.binary(max_size=300), mail_like))
def test_any_bytes_are_a_message(content):
    assert_promises(content)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_damaged_mail_is_a_message(corpus, data):
    content = corpus[data.draw(st.sampled_from(sorted(corpus)))]
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 200)))
        content = (
            content[:start] + data.draw(st.sampled_from([b"", *FRAGMENTS, content[start:end] * 2])) + content[end:]
        )

    assert_promises(content)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_the_beginning_of_any_mail_is_a_message(corpus, share):
    for content in corpus.values():
        assert_promises(content[: int(len(content) * share)])


def test_whole_mail_keeps_the_promises(corpus):
    for content in corpus.values():
        assert_promises(content)


def assert_promises(content: bytes) -> None:
    message = parse(content)

    assert message == parse(content)
    assert_texts(message)
    assert_ids(message)
    assert_attachments(message, content)
    assert set(message.defects) <= {defect.value for defect in Defect}
    assert message.sent_at is None or message.sent_at.utcoffset() == timedelta(0)
    assert (safe_html(content, image_url=lambda image: f"/{image.index}") is not None) == message.has_html


def assert_texts(message: InboundMessage) -> None:
    people = [*message.to, *message.cc, *message.reply_to, *([message.sender] if message.sender else [])]
    lines = [message.subject, *(value for _, value in message.headers)]
    lines += [text for person in people for text in (person.address, person.name)]
    lines += [text for part in message.attachments for text in (part.name, part.content_type, part.content_id or "")]
    for text in [*lines, message.text]:
        assert "\0" not in text
        text.encode("utf-8")
    assert [text for text in lines if len(text.splitlines()) > 1] == []


def assert_ids(message: InboundMessage) -> None:
    for id_ in [*message.references, *message.in_reply_to, *([message.message_id] if message.message_id else [])]:
        assert id_.startswith("<")
        assert id_.endswith(">")
        assert "".join(id_.split()) == id_


def assert_attachments(message: InboundMessage, content: bytes) -> None:
    for index, attachment in enumerate(message.attachments):
        found = attachment_bytes(content, index)
        assert found is not None
        assert found[0] == attachment
        assert (attachment.index, attachment.size) == (index, len(found[1]))
        assert attachment.name == safe_name(attachment.name) != ""
