"""What reading mail promises for any bytes: the fuzzer and the tests hold `shared.mime` to it."""

import re
from collections.abc import Iterable
from datetime import timedelta
from html.parser import HTMLParser

from shared.domain.message import InboundMessage
from shared.mime import attachment_bytes, new_text, original_sender, parse, safe_html
from shared.mime.defects import Defect
from shared.mime.filenames import safe_name
from shared.mime.html import TAGS

_ACTIVE_STYLE = re.compile(r"url\(|expression|@import|behavior", re.IGNORECASE)
_SAFE_URL = re.compile(r"\s*(?:https?://|mailto:|tel:|/\d+$|data:image/(?:png|gif|jpe?g|webp);)", re.IGNORECASE)


def assert_promises(content: bytes) -> None:
    message = parse(content)
    html = safe_html(content, image_url=lambda image, _: f"/{image.index}")
    _assert_texts(message)
    _assert_ids(message)
    _assert_attachments(message, content)
    assert set(message.defects) <= {defect.value for defect in Defect}
    assert message.sent_at is None or message.sent_at.utcoffset() == timedelta(0)
    assert (html is not None) == message.has_html
    _SafePage.check(html or "")
    sender = original_sender(content)
    _assert_lines([new_text(content) or ""], [sender.address, sender.name] if sender else [])


def _assert_lines(texts: Iterable[str], lines: Iterable[str]) -> None:
    lines = list(lines)
    for text in [*texts, *lines]:
        assert "\0" not in text, "NUL"
        text.encode("utf-8")
    assert [line for line in lines if len(line.splitlines()) > 1] == [], "a line break"


def _assert_texts(message: InboundMessage) -> None:
    people = [*message.to, *message.cc, *message.reply_to, *([message.sender] if message.sender else [])]
    lines = [message.subject, *(value for _, value in message.headers), *message.kind_reasons]
    lines += [text for person in people for text in (person.address, person.name)]
    lines += [text for part in message.attachments for text in (part.name, part.content_type, part.content_id or "")]
    if message.report:
        lines += [message.report.original_id or "", message.report.original_subject]
        lines += [text for each in message.report.failed for text in (each.address, each.status, each.diagnostic)]
    _assert_lines([message.text], lines)


def _assert_ids(message: InboundMessage) -> None:
    for id_ in [*message.references, *message.in_reply_to, *([message.message_id] if message.message_id else [])]:
        assert (id_[0], id_[-1], "".join(id_.split())) == ("<", ">", id_)


def _assert_attachments(message: InboundMessage, content: bytes) -> None:
    for index, attachment in enumerate(message.attachments[:20]):
        found = attachment_bytes(content, index)
        assert found is not None
        assert found[0] == attachment
        assert (attachment.index, attachment.size) == (index, len(found[1]))
        assert attachment.name == safe_name(attachment.name) != ""


class _SafePage(HTMLParser):
    """Of tags and attributes that run nothing and load nothing from elsewhere."""

    @classmethod
    def check(cls, html: str) -> None:
        page = cls()
        page.feed(html)
        page.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name not in ("href", "src") or _SAFE_URL.match(value or ""), value
            assert name != "style" or not _ACTIVE_STYLE.search(value or ""), value
