"""Replies, and what a person would call new in them; read from the data files beside this one."""

from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
_ANSWERED = "Dear Anna,\n\nplease restart it and tell us what happens.\n\nHelp Desk"


class Case(NamedTuple):
    """`text` and `html` are bodies; `new` is None where nothing can be told apart."""

    name: str
    text: str | None
    html: str | None
    new: str | None

    def message(self, subject: str = "Re: Printer [#12]") -> bytes:
        message = EmailMessage(policy=SMTP)
        message["From"] = "Anna <anna@customer.example>"
        message["Subject"] = subject
        if self.text is not None:
            message.set_content(self.text, cte="8bit")
        if self.html is not None:
            (message.set_content if self.text is None else message.add_alternative)(self.html, "html", cte="8bit")
        return message.as_bytes()


def cases() -> list[Case]:
    return [
        *_introduced("attributions"),
        *_introduced("headers"),
        *(Case(f"text: {name}", text, None, new) for name, text, new in _whole("text")),
        *(Case(f"html: {name}", None, html, new) for name, html, new in _whole("html")),
    ]


def _introduced(stem: str) -> Iterator[Case]:
    """The same answer to the same mail; with marks on quoted lines, without any, and as HTML."""
    marked = "\n".join(f"> {line}".rstrip() for line in _ANSWERED.split("\n"))
    for line in (HERE / f"{stem}.txt").read_text("utf-8").splitlines()[1:]:
        name, new, above = (part.strip() for part in line.split(" | "))
        above = above.replace("⏎", "\n")
        escaped = above.replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>" if stem == "headers" else " ")
        quote = _ANSWERED.replace("\n", "<br>")
        if stem == "attributions":
            yield Case(f"{name}: marked", f"{new}\n\n{above}\n{marked}\n", None, new)
            yield Case(f"{name}: below", f"{above}\n\n{marked}\n\n{new}\n", None, new)
            html = f"<div>{new}</div><br><div>{escaped}</div><blockquote>{quote}</blockquote>"
        else:
            html = f"<div>{new}</div><br><div>{escaped}</div><br><div>{quote}</div>"
        yield Case(f"{name}: unmarked", f"{new}\n\n{above}\n\n{_ANSWERED}\n", None, new)
        yield Case(f"{name}: html", None, html, new)


def _whole(stem: str) -> Iterator[tuple[str, str, str | None]]:
    _, *pairs = (HERE / f"{stem}.txt").read_text("utf-8").split("\n%%% ")
    for source, new in zip(pairs[::2], pairs[1::2], strict=True):
        name, _, body = source.partition("\n")
        yield name, body, new.partition("\n")[2].strip("\n") or None
