"""What is new in a reply (req R8): quoted mail and the signature are told apart from what the sender wrote.

In doubt text is kept: to lose what somebody wrote is worse than to show a quote.
"""

import re
from dataclasses import dataclass, field

from shared.mime.body import read
from shared.mime.headers import text as field_text
from shared.mime.introductions import MAX_LINE, Text, is_forward
from shared.mime.reply_marks import MARKS, QUOTED_BEHIND, SIGNATURE_ENDS, SIGNATURE_STARTS, marked
from shared.mime.signatures import MAX_LINES as MAX_SIGNATURE_LINES
from shared.mime.signatures import is_closing, is_said, without_lines_of_programs, without_signature
from shared.mime.wordings import pattern

_FULL_LINE = 72
_MAX_REMNANT = 76
_MAX_REQUEST = 160
_MAX_SEARCHED = 5_000
_BLANK_LINES = re.compile(r"\n{3,}")
_GREETING = re.compile(r"[^\n]{1,60}[,\uff0c]")
"""Above a quote alone, it says that the answers are within."""
_SENTENCE_ENDS = tuple(".?!:;\u2026\u3002\uff1f")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n\n")
_DECORATION = re.compile(r"[-=#*_\u2013\u2014]{2}")
_QUOTE_MARK = re.compile(r"\A\s{0,3}> ?")


@dataclass(slots=True)
class _Run:
    """Lines one after the other that are all quoted, or all not. Only a quote can be introduced: `On ... wrote:`."""

    is_quote: bool
    lines: list[str] = field(default_factory=list)
    is_introduced: bool = False

    @property
    def is_written(self) -> bool:
        return not self.is_quote and any(line[:MAX_LINE].strip("-_=* \t") for line in self.lines)

    @property
    def cites(self) -> bool:
        """Whether a sentence of the author leads to what is quoted next: `The manual says:`."""
        last = next((line.rstrip() for line in reversed(self.lines) if line.strip()), "")
        leads_on = last.endswith((":", "\uff1a")) and last.count(" ") > 1 and not any(map(str.isdigit, last))
        return not self.is_quote and (leads_on or bool(_QUOTE_MARK.match(last)))


def new_text(content: bytes) -> str | None:
    """What is new in a reply, without its signature. None where nothing could be told apart, or nothing is new."""
    mail = read(content)
    if is_forward(field_text(mail.root.fields.first("subject"), mail.sibling)):
        return None
    if mail.has_html and (new := split(mail.rendered(marked))) is not None:
        return new
    return split(mail.text()) if any(segment.plain for segment in mail.contents.segments) else None


def split(text: str) -> str | None:
    whole = _tidy(text)
    new = _new(_without_marked_signatures(text))
    if not new and SIGNATURE_STARTS in text:
        new = _if_said(_new(text.replace(SIGNATURE_STARTS, "").replace(SIGNATURE_ENDS, "")))
    only_greets = _GREETING.fullmatch(new) and not is_closing(new)
    return new if new and new != whole and not only_greets else None


def _if_said(signature: str) -> str:
    """What may be a signature alone, with the answer below the quote, or an answer that was typed into a signature."""
    return signature if any(map(is_said, signature.split("\n"))) else ""


def _without_marked_signatures(text: str) -> str:
    """What the HTML says is a signature goes, if it is short enough to be one; quotes within it stay."""
    kept: list[str] = []
    signature: list[str] | None = None
    for line in text.split("\n"):
        if SIGNATURE_STARTS in line:
            kept += signature or []
            signature = []
        elif SIGNATURE_ENDS in line:
            kept += signature if signature and sum(map(bool, signature)) > MAX_SIGNATURE_LINES else []
            signature = None
        else:
            (kept if signature is None or line.startswith(">") or QUOTED_BEHIND in line else signature).append(line)
    return "\n".join(kept + (signature or []))


def _new(text: str) -> str:
    return _joined(_runs(Text(text)))


def _runs(text: Text) -> list[_Run]:
    """What is quoted and what is not, in turn. Nothing where the message only passes another one on."""
    runs = [_Run(is_quote=False)]
    index = 0
    while index < len(text.lines):
        if text.is_quoted(index) or _is_remnant(text, index):
            if len(runs) == 1 and text.is_forward(index):
                return []
            if not (runs[-1].is_quote or runs[-1].cites):
                runs.append(_Run(is_quote=True))
        elif QUOTED_BEHIND in text.lines[index] or (_is_request(text, index) and any(run.is_written for run in runs)):
            return _cut(runs)
        elif introduction := text.introduction(index):
            following = text.written_from(introduction.end)
            if introduction.is_forward and len(runs) == 1:
                return []
            if not (following == len(text.lines) or text.is_quoted(following)):
                return _cut(runs)
            runs.append(_Run(is_quote=True, is_introduced=True))
            index = introduction.end
            continue
        elif text.plain[index] and runs[-1].is_quote:
            runs.append(_Run(is_quote=False))
        runs[-1].lines.append(text.lines[index])
        index += 1
    return runs


def _is_request(text: Text, index: int) -> bool:
    """`## reply above this line ##`, which a help desk asks for; not where a person speaks of such a line."""
    line, above = text.plain[index], text.plain[index - 1] if index else ""
    request = pattern("reply_above").search(line) if len(line) < _MAX_REQUEST else None
    return request is not None and (request.start() == 0 or any(map(_DECORATION.search, (line, above))))


def _is_remnant(text: Text, index: int) -> bool:
    """The end of a long quoted line that was wrapped on its way, so that it has lost its mark."""
    if not (0 < index < len(text.lines) - 1 and text.is_quoted(index - 1) and text.is_quoted(index + 1)):
        return False
    above, line = text.plain[index - 1], text.plain[index]
    return (
        0 < len(line) <= _MAX_REMNANT
        and not line[0].isupper()
        and not above.endswith(_SENTENCE_ENDS)
        and len(above) + len(line.split(maxsplit=1)[0]) >= _FULL_LINE
    )


def _cut(runs: list[_Run]) -> list[_Run]:
    """All that follows is quoted, without a mark on each line; so answers within it can't be told from it."""
    written = "\n".join(line for run in runs for line in run.lines if not run.is_quote)[:_MAX_SEARCHED]
    answers, below = pattern("answers"), pattern("answers_below")
    is_below = any(answers.search(said) and below.search(said) for said in _SENTENCE_END.split(written))
    return [] if is_below else runs


def _joined(runs: list[_Run]) -> str:
    """The answers; with the quotes that they answer where they stand between several of them."""
    written = [run for run in runs if run.is_written]
    parts = [run for run in runs if run.is_quote or run.is_written]
    while parts and (parts[-1].is_quote or not (closing := without_signature(parts[-1].lines))):
        parts.pop()
    if not parts:
        signature = _tidy(*("\n".join(without_lines_of_programs(run.lines)) for run in written))
        return signature if len(runs) > 1 else _if_said(signature)
    parts[-1].lines = closing
    quotes = [run for run in parts if run.is_quote]
    for quote in quotes[:1]:
        _take_introduction_out(quote)
    if len(quotes) == 1 and (quotes[0].is_introduced or parts[0].is_quote):
        answers = [without_signature(run.lines) for run in parts if not run.is_quote]
        return _tidy(*("\n".join(lines).strip("\n") for lines in answers))
    return _tidy("\n".join(line for run in parts for line in run.lines))


def _take_introduction_out(quote: _Run) -> None:
    """Some programs put who wrote it into the quote itself."""
    inner = Text("\n".join(_QUOTE_MARK.sub("", MARKS.sub("", line), count=1) for line in quote.lines))
    start = inner.written_from(0)
    introduction = inner.introduction(start) if start < len(inner.lines) else None
    if introduction:
        quote.is_introduced = True
        quote.lines = quote.lines[inner.written_from(introduction.end) :]


def _tidy(*paragraphs: str) -> str:
    lines = [line.rstrip() for line in "\n\n".join(paragraphs).split("\n") if not MARKS.search(line)]
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n")
