import pytest

from shared.mime.html import MAX_DEPTH, MAX_TAGS, well_nested
from shared.mime.text import of_html, unflowed


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("one<br>two", "one\ntwo"),
        ("<div>one</div><div>two</div>", "one\ntwo"),
        ("<div>one</div><div><br></div><div>two</div>", "one\n\ntwo"),
        ("<p>one</p><p>two</p>three", "one\n\ntwo\n\nthree"),
        ("<p class=MsoNormal>one</p><p class=MsoNormal>&nbsp;</p><p class=MsoNormal>two</p>", "one\n\ntwo"),
        ("<p style='margin:0'>one</p><p style='margin:0'>two</p>", "one\ntwo"),
        ("a<br><br><br><br><br>b", "a\n\nb"),
        ("  one \r\n  <b> two</b>&nbsp; three ", "one two  three"),
        ("<pre>a  b\n  c</pre>", "a  b\n  c"),
        ("<h1>Title</h1>text", "Title\n\ntext"),
        ("<details><summary>Log</summary>line</details>", "Log\nline"),
        ("above<hr>below", f"above\n{'_' * 32}\nbelow"),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2 &euro; &#8364; &bogus;", "1 < 2 && 3 > 2 € € &bogus;"),
        ("a < b > c <3", "a < b > c <3"),
    ],
)
def test_paragraphs_and_lines_stay_apart(html, text):
    assert of_html(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<ul><li>one<li>two</ul>end", "- one\n- two\nend"),
        ("<ol start=3><li>three</li><li>four</li></ol>", "3. three\n4. four"),
        ("<ul><li>one<ol><li>a<li>b</ol><li>two</ul>", "- one\n  1. a\n  2. b\n- two"),
        ("<li>alone", "- alone"),
        ("<dl><dt>word<dd>meaning</dl>", "word\nmeaning"),
        ("<table><tr><th>A<th>B<tr><td>1<td>2</table>", "A | B\n1 | 2"),
        ("<ol type=a><li>one<li>two</ol>", "a. one\nb. two"),
        ("<ol style='list-style-type: lower-alpha'><li>one</ol>", "a. one"),
        ("<table><tr><th><th>May<th>June<tr><td>Rent<td>9<td></table>", "| May | June\nRent | 9"),
        ("<table><tr><th>A<th>B<th>C<tr><td>1<td>&nbsp;<td>3</table>", "A | B | C\n1 | | 3"),
        ("<table><tr><td>1<td>&nbsp;<td>3<tr><td>4<td><td>6</table>", "1 | 3\n4 | 6"),
        ("<table><tr><td>one<br>two<td>three<br>four</table>", "one\ntwo\nthree\nfour"),
        ("<table><tr><td>label<td>one<br>two</table>", "label\none\ntwo"),
        ("<table><tr><td>Shirt<br>blue<td>9</table>", "Shirt | 9\nblue"),
        (
            "<table><tr><td>a<td>b<td>1<tr><td colspan=2>Sum<td>1<tr><td>c<td>d<td>2</table>",
            "a | b | 1\nSum | 1\nc | d | 2",
        ),
        ("<table><tr><th>EU<th colspan=2>May<tr><td>a<td>b<td>c</table>", "EU | May\na | b | c"),
        ("<table><tr><td>one</td></tr><td>two</td></table>", "one\ntwo"),
        ("<table><tr><td><table><tr><td>inner</table></table>", "inner"),
        ("<table><td>no row<td>at all</table>", "no row\nat all"),
        ("<table><tr>no cell</table>", "no cell"),
        ("<td>no</td> table", "no table"),
        ("wrote:<blockquote>one<br>two<blockquote>older</blockquote></blockquote>", "wrote:\n> one\n> two\n> > older"),
    ],
)
def test_lists_tables_and_quotes_are_readable(html, text):
    assert of_html(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<a href='https://x.example/a?b=1&amp;c=2'>here</a>", "here <https://x.example/a?b=1&c=2>"),
        ("<a href='https://www.x.example/'>x.example</a>", "x.example"),
        ("<a href='https://x.example'><img src=logo.png alt=Logo></a>", "[Logo] <https://x.example>"),
        ("<a href='https://x.example'><img src=logo.png></a>", ""),
        ("<a href='mailto:a@example.org'>a@example.org</a>", "a@example.org"),
        ("<a href='javascript:alert(1)'>click</a>", "click"),
        ("<a name=top>top</a>", "top"),
        (
            "<a href='https://e.safelinks.protection.outlook.com/?url=https%3A%2F%2Fx.example&amp;d=1'>x.example</a>",
            "x.example",
        ),
        ("<a href='HTTPS://X.example/'>x.example</a>", "x.example"),
        ("<a href='http://www.x.example/'>www.x.example</a>", "www.x.example"),
        (
            "<a href='https://x.example/y'>Yes</a><a href='https://x.example/n'>No</a>, really",
            "Yes <https://x.example/y> No <https://x.example/n>, really",
        ),
        ("<a href='https://x.example'>Go&nbsp;&nbsp;<br></a>on", "Go <https://x.example>\non"),
        ("<a href='https://x.example'><div>Go</div></a>on", "Go <https://x.example>\non"),
        ("Hi <img alt='\U0001f600'>", "Hi \U0001f600"),
        ("<img src='cid:1' alt='Chart'> <img alt=''>", "[Chart]"),
    ],
)
def test_links_and_images_are_named(html, text):
    assert of_html(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<div style='white-space: pre-wrap'>one\n  two</div>three\nfour", "one\n  two\nthree four"),
        ("<div style='white-space:pre-line'>\n<p>one</p>\n<p>two</p>\n</div>\nthree", "one\n\ntwo\n\nthree"),
        (
            "<span style='display:block'>one</span><span style='display:block;white-space:pre'>t\nwo</span>",
            "one\nt\nwo",
        ),
        ("<SPAN STYLE='DISPLAY: BLOCK'>one</SPAN><SPAN STYLE='WHITE-SPACE: PRE'>t\nwo</SPAN>", "one\nt\nwo"),
        ("<b style='display:inline-block'>one</b> two", "one two"),
        ("<pre>one\n</pre>two", "one\n\ntwo"),
    ],
)
def test_lines_that_a_style_makes_are_lines(html, text):
    assert of_html(html) == text


def test_html_without_tags_that_has_only_been_laid_out_is_no_plain_text():
    assert of_html("<html>\n\n  <body>\n\n  Dear\n  team\n\n</body>\n\n</html>") == "Dear team"


def test_plain_text_that_is_called_html_keeps_its_lines():
    assert of_html("<html>Dear <b>team</b>,\r\n\r\nit broke.\n\nAnn</html>") == "Dear team,\n\nit broke.\n\nAnn"


@pytest.mark.parametrize(
    "html",
    [
        "<style>p{}</style>",
        "<script>if (a < b) document.write('<p>')</script>",
        "<title>T</title>",
        "<!-- <p>comment</p> -->",
        "<!DOCTYPE html>",
        "<?xml version='1.0'?>",
        "<!--[if mso]><p>Word</p><![endif]-->",
        "<div style='display: none'>preheader <b>x</b></div>",
        "<p style='visibility:hidden'>x",
        "<div style='max-height:0px;overflow:hidden'>x</div>",
        "<p style='opacity:0'>x",
        "<p hidden>x",
        "<select><option>x</select>",
        "<img src=https://t.example/o?i=1 width=1 height=1 alt=pixel>",
        "<img style='width: 0px' alt=pixel>",
        "<img style='display:none' alt=hidden>",
        '<p hidden class="a">x',
        "<style>never closed",
        "<!-- never closed",
        "<p attribute='never closed>",
    ],
)
def test_what_a_reader_does_not_see_is_left_out(html):
    assert of_html(html) == ""


@pytest.mark.parametrize(
    "attribute",
    [
        "style='mso-hide:all'",
        "style='font-size:0px'",
        "style='max-height:0.5em'",
        "style='opacity: 0.9'",
        "style='overflow: hidden !important'",
        "style='line-height:0;max-height:100%'",
        "title='the hidden truth'",
    ],
)
def test_what_readers_of_most_programs_see_is_shown(attribute):
    assert of_html(f"<div {attribute}>x</div>") == "x"


def test_revealed_conditional_comments_are_seen():
    assert of_html("<![if !supportLists]>1.<![endif]> one") == "1. one"


def test_a_greater_than_sign_within_an_attribute_ends_no_tag():
    assert of_html("""<a title="a > 'b'" href='https://x.example'>here</a>""") == "here <https://x.example>"


@pytest.mark.parametrize("html", ["<b>" * 100_000, "<table>" * 60_000, "<p>" + "<b x=%d>" * 5_000 + "<p>x" * 20_000,
                                  "<" * 500_000, "<!--" * 200_000, '<a x="' * 100_000, "<a " + "x=y " * 200_000,
                                  "<blockquote>" * 100 + "<br>x" * 20_000, "&#x26;" * 50_000])  # fmt: skip
def test_hostile_html_is_bounded_work(html):
    depth = deepest = tags = 0
    for token in well_nested(html):
        tags += token.kind == "start"
        depth += {"start": token.value not in ("br", "col", "hr", "img", "wbr"), "end": -1}.get(token.kind, 0)
        deepest = max(deepest, depth)

    assert depth == 0
    assert deepest <= MAX_DEPTH
    assert tags <= MAX_TAGS
    assert len(of_html(html)) < 3 * len(html)


def test_flowed_lines_are_joined_to_paragraphs():
    text = "A long \nparagraph.\n\nAnother \none.\n-- \nAnna\n"

    assert unflowed(text, delete_space=False) == "A long paragraph.\n\nAnother one.\n-- \nAnna\n"


def test_flowed_quotes_keep_their_depth():
    text = "> > deep \n> > er\n> flat\n \n>\n from stuffing"

    assert unflowed(text.replace("> > ", ">> "), delete_space=False) == ">> deep er\n> flat\n\n>\nfrom stuffing"


def test_flowed_text_without_spaces_between_words_loses_those_at_the_ends():
    assert unflowed("日本 \n語", delete_space=True) == "日本語"
