"""What technicians write, as text and as HTML."""

import re
from html import escape

from shared.mime.sanitise import sanitise
from shared.mime.text import of_html

_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_LINK = re.compile(r"\bhttps?://[^\s<>\"]*[^\s<>\".,;:!?')\]}]")


def html_of_text(text: str) -> str:
    """Paragraphs where the text has blank lines, and links where it has addresses of the web."""
    paragraphs = (_linked(paragraph).replace("\n", "<br>\n") for paragraph in _BLANK_LINES.split(text.strip()))
    return "\n".join(f"<p>{paragraph}</p>" for paragraph in paragraphs if paragraph)


def text_and_html(html: str) -> tuple[str, str]:
    """HTML that somebody wrote, as text and sanitised; images that come with the message (`cid:`) stay in it."""
    return of_html(html), sanitise(html, lambda content_id: f"cid:{content_id}")


def _linked(paragraph: str) -> str:
    pieces, end = list[str](), 0
    for link in _LINK.finditer(paragraph):
        url = escape(link[0])
        pieces += [escape(paragraph[end : link.start()], quote=False), f'<a href="{url}">{url}</a>']
        end = link.end()
    return "".join(pieces) + escape(paragraph[end:], quote=False)
