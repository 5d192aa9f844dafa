import pytest

from shared.mime.rich_text import html_of_text, text_and_html


def test_paragraphs_and_lines_stay_apart():
    assert html_of_text("\na\nb\n\n \nc\n") == "<p>a<br>\nb</p>\n<p>c</p>"


def test_nothing_is_nothing():
    assert html_of_text(" \n\n ") == ""


@pytest.mark.parametrize(
    ("text", "html"),
    [
        (
            "see https://a.example/x?a=1&b=2.",
            '<p>see <a href="https://a.example/x?a=1&amp;b=2">https://a.example/x?a=1&amp;b=2</a>.</p>',
        ),
        ("(http://a.example)", '<p>(<a href="http://a.example">http://a.example</a>)</p>'),
        ("<b> http://a.example <i>", '<p>&lt;b&gt; <a href="http://a.example">http://a.example</a> &lt;i&gt;</p>'),
        ("javascript:alert(1) <b>", "<p>javascript:alert(1) &lt;b&gt;</p>"),
        ('https://a.example/"onclick="x', '<p><a href="https://a.example/">https://a.example/</a>"onclick="x</p>'),
    ],
)
def test_addresses_of_the_web_become_links_and_all_else_is_escaped(text, html):
    assert html_of_text(text) == html


def test_html_is_sanitised_and_read_as_text():
    text, html = text_and_html('<p>a <b>b</b></p><script>x</script><img src="cid:i@x"><img src="https://e.example/p">')

    assert text.startswith("a b")
    assert 'src="cid:i@x"' in html
    assert "<b>b</b>" in html
    assert "script" not in html
    assert "e.example" not in html


def test_a_long_text_takes_linear_time():
    assert len(html_of_text("http://" + "." * 200_000 + "\n" * 200_000 + "x")) > 200_000
