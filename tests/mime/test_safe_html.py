import re
from html.parser import HTMLParser

import pytest

from shared.mime import parse, safe_html
from shared.mime.html import TAGS
from shared.mime.sanitise import sanitise


def clean(html: str) -> str:
    return sanitise(html, lambda content_id: f"/images/{content_id}")


class Elements(HTMLParser):
    """What another parser than ours finds in the result."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.urls: list[str] = []
        self.styles = ""

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.urls += [value for name, value in attrs if name in ("href", "src")]
        self.styles += "".join(value for name, value in attrs if name == "style")


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href='jav&#x09;ascript:alert(1)'>x</a>",
        "<a href=' JaVaScRiPt:alert(1)'>x</a>",
        "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
        "<a href='vbscript:x'>x</a>",
        "<svg onload=alert(1)><script>alert(1)</script></svg>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
        "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
        "<form action=https://evil.example><input autofocus onfocus=alert(1)><button>x</button></form>",
        "<p style='behavior:url(x);color:expression(alert(1))'>x</p>",
        "<template><script>alert(1)</script></template>",
        "<b <script>alert(1)</script>",
        "<scr<script>ipt>alert(1)</script>",
        "<img alt='`' title='><script>alert(1)</script>'>",
        "<object data='javascript:alert(1)'></object><embed src='javascript:alert(1)'>",
        "<meta http-equiv=refresh content='0;url=javascript:alert(1)'><base href='javascript:/'>",
        "<p id=x name=y class=z onclick=alert(1)>x</p>",
    ],
)
def test_nothing_in_it_runs(html):
    found = Elements()

    found.feed(clean(html))

    assert found.names <= TAGS
    assert not {name for name in found.attributes if name.startswith("on")} | found.attributes & {"id", "class", "name"}
    assert all(url.startswith(("http", "mailto:", "/images/")) for url in found.urls)
    assert "expression" not in found.styles


@pytest.mark.parametrize(
    "html",
    [
        "<img src=https://t.example/o.gif>",
        "<img src=//t.example/o.gif>",
        "<img srcset='https://t.example/o.gif 2x'>",
        "<img src='data:image/svg+xml,<svg>'>",
        "<body background=https://t.example/o.gif>x",
        "<table background=https://t.example/o.gif><tr><td background=https://t.example/o.gif>x</table>",
        "<p style='background:url(https://t.example/o.gif)'>x</p>",
        "<p style='list-style-image:url(https://t.example/o.gif);color:image(https://t.example)'>x</p>",
        "<p style='color:u\\72l(https://t.example)'>x</p>",
        "<style>@import url(https://t.example/a.css)</style><link rel=stylesheet href=https://t.example/a.css>",
        "<video poster=https://t.example/o.gif><source src=https://t.example/v></video><audio src=https://t.example/a>",
    ],
)
def test_nothing_is_loaded_from_elsewhere(html):
    assert "t.example" not in clean(html)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p style='color: red; position: fixed; background: url(x)'>x</p>", '<p style="color:red">x</p>'),
        ("<p align=center dir=rtl>x", '<p align="center" dir="rtl">x</p>'),
        ("<table border=1><tr><td colspan=2>x", '<table border="1"><tbody><tr><td colspan="2">x</td></tr>'),
        ("<img src=cid:logo@x alt=Logo width=4>", '<img src="/images/logo@x" alt="Logo" width="4">'),
        ("<img src='CID:logo%40x'>", '<img src="/images/logo@x">'),
        ("<img src='data:image/png;base64,AAAA'>", '<img src="data:image/png;base64,AAAA">'),
        ("1 &lt; 2 &amp;amp; <3", "1 &lt; 2 &amp;amp; &lt;3"),
        ("<div>a<p>b<div>c", "<div>a<p>b</p><div>c</div></div>"),
    ],
)  # fmt: skip
def test_what_is_harmless_is_kept(html, expected):
    found = clean(html)

    assert set(re.findall(r"[^\s<>]+", expected)) <= set(re.findall(r"[^\s<>]+", found))


def test_links_open_elsewhere_and_tell_nothing():
    link = clean("<a href='https://x.example/?a=1&amp;b=2' target=_self>x</a>")

    assert 'href="https://x.example/?a=1&amp;b=2"' in link
    assert 'target="_blank"' in link
    assert 'rel="noopener noreferrer nofollow"' in link


def test_inline_images_are_shown_from_where_they_are_served(corpus):
    html = safe_html(corpus["outlook-desktop-german-logo"], image_url=lambda image, _: f"/a/{image.index}/{image.name}")

    assert html is not None
    assert 'src="/a/0/image001.png"' in html


def test_without_a_place_for_images_there_are_none(corpus):
    assert "src=" not in (safe_html(corpus["outlook-desktop-german-logo"]) or "")


def test_a_content_id_that_no_part_has_shows_nothing():
    content = b"Content-Type: text/html\r\n\r\n<img src='cid:gone'>x"

    assert safe_html(content, image_url=lambda image, _: f"/{image.index}") == "<img>x"


def test_an_image_that_is_shown_too_often_is_left_out_in_the_end(monkeypatch):
    monkeypatch.setattr("shared.mime.message.MAX_SHOWN", 25)
    content = (
        b"Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n"
        + b"<img src=cid:a>" * 9
        + b"\r\n--b\r\nContent-Type: image/png\r\nContent-ID: <a>\r\n\r\nx\r\n--b--"
    )

    assert (safe_html(content, image_url=lambda _, data: "/" + 9 * data.decode()) or "").count("/xxx") == 2


def test_remote_images_are_loaded_when_asked_for_and_nothing_else():
    content = (
        b"Content-Type: text/html\r\n\r\n<img src=https://x.example/a.png srcset=https://x.example/b.png>"
        b"<img src=javascript:alert(1)><p style='background:url(https://x.example/c.png)'>x</p>"
        b"<link rel=stylesheet href=https://x.example/d.css><iframe src=https://x.example/e></iframe>"
    )

    html = safe_html(content, remote_images=True) or ""

    assert 'src="https://x.example/a.png"' in html
    assert html.count("x.example") == 1
    assert "javascript" not in html
    assert "x.example" not in (safe_html(content) or "")


def test_plain_text_has_no_html(corpus):
    assert safe_html(corpus["thunderbird-polish-flowed"]) is None


def test_plain_parts_between_html_parts_are_shown_as_written():
    content = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>one</p>\r\n"
        b"--b\r\n\r\n<two> & more\r\n--b--"
    )

    assert parse(content).text == "one\n\n<two> & more"
    assert "&lt;two&gt; &amp; more" in (safe_html(content) or "")


def test_open_tags_are_not_copied_into_each_paragraph():
    html = clean("<p>" + "".join(f"<b title={number}>" for number in range(2_000)) + "<p>x" * 2_000)

    assert html.count("<b") < 100
