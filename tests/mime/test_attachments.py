import hashlib

import pytest

from shared.mime import attachment_bytes, parse
from shared.mime.filenames import MAX_BYTES, name_by_type, safe_name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.pdf", "a.pdf"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\Users\\x\\a.txt", "a.txt"),
        ("/", ""),
        ("..", ""),
        (". . .", ""),
        (f"capture.{' ' * 300}png", "capture"),
        ("a/b/", "b"),
        ("a\x00b\r\nc\x1b.txt", "abc.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("zero\u200bwidth\ufeff.txt", "zerowidth.txt"),
        ('what?<is>:"this"|*.txt', "what__is___this___.txt"),
        ("CON", "_CON"),
        ("nul.tar.gz", "_nul.tar.gz"),
        ("com1.txt", "_com1.txt"),
        ("console.txt", "console.txt"),
        ("trailing. ", "trailing"),
        (".htaccess", "htaccess"),
        ("e\u0301.txt", "é.txt"),
        ("報告書.pdf", "報告書.pdf"),
        ("'quoted.pdf'", "quoted.pdf"),
    ],
)
def test_a_name_is_safe_on_every_system(name, safe):
    assert safe_name(name) == safe


@pytest.mark.parametrize("character", ["x", "é", "語", "😀"])
def test_a_long_name_is_cut_before_its_extension(character):
    name = safe_name(character * 500 + ".docx")

    assert name.endswith(f"{character}.docx")
    assert MAX_BYTES - 4 < len(name.encode()) <= MAX_BYTES


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        ("image/png", "image-2.png"),
        ("text/x-whatever", "text-2.txt"),
        ("application/x-whatever", "application-2.bin"),
        ("text/calendar", "invitation.ics"),
        ("application/pkcs7-mime", "smime.p7m"),
        ("application/x-zip-compressed", "application-2.zip"),
        ("application/ms-tnef", "winmail.dat"),
    ],
)
def test_an_attachment_without_a_name_is_named_by_its_type(content_type, name):
    assert name_by_type(content_type, 2) == name


def test_the_bytes_of_an_attachment_are_those_that_were_attached(corpus):
    content = corpus["apple-mail-italian-pdf-between-texts"]

    found = attachment_bytes(content, 0)

    assert found is not None
    attachment, data = found
    assert attachment == parse(content).attachments[0]
    assert data.startswith(b"%PDF-1.4")
    assert data.endswith(b"%%EOF\n")
    assert len(data) == attachment.size


def test_an_attached_text_is_not_transcoded():
    body = "Größe\r\n".encode("cp1252")
    content = b"Content-Type: text/plain; charset=utf-8; name=a.txt\r\nContent-Disposition: attachment\r\n\r\n" + body

    assert attachment_bytes(content, 0)[1] == body


def test_an_attached_message_is_kept_whole(corpus):
    attachment, data = attachment_bytes(corpus["forwarded-as-attachment-without-name"], 0)

    inner = parse(data)
    assert attachment.content_type == "message/rfc822"
    assert inner.message_id == "<inner.1@example.net>"
    assert [part.name for part in inner.attachments] == ["inner.png"]


@pytest.mark.parametrize("index", [-1, 1, 10_000])
def test_there_is_no_attachment_beyond_the_last(corpus, index):
    assert attachment_bytes(corpus["smime-encrypted"], index) is None


def test_the_index_is_stable(corpus):
    content = corpus["attachment-names-that-deceive"]

    names = [attachment.name for attachment in parse(content).attachments]

    assert names == [attachment_bytes(content, index)[0].name for index in range(len(names))]


def test_an_image_is_inline_only_where_the_html_shows_it():
    def message(html: bytes) -> bytes:
        return (
            b"Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n%b\r\n"
            b"--b\r\nContent-Type: image/png\r\nContent-ID: <a b@c>\r\n\r\nx\r\n--b--" % html
        )

    assert parse(message(b"<img src='cid:a%20b@c'>")).attachments[0].inline
    assert not parse(message(b"<img src='cid:other'>")).attachments[0].inline


def test_a_large_attachment_is_read_whole():
    data = hashlib.shake_256(b"seed").digest(1_000_000)
    content = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n" + data

    assert attachment_bytes(content, 0)[1] == data
