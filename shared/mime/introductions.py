"""What introduces quoted or forwarded mail in a text: `On ... wrote:`, a header block, `-----Original Message-----`."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from shared.mime.wordings import label_kinds, plain, words

MAX_LINES = 5_000
"""Lines of a text that are looked at; what comes behind counts as one more."""
MAX_LINE = 400
_MAX_WINDOW = 4
_MAX_ATTRIBUTION = 500
_MAX_LABEL = 50
_MIN_LABELS = 3
_SHORT, _FEW_WORDS = 100, 12
_MAX_HEADER = 16
_MAX_FOLDED = 4
_MAX_LEADING = 4

_QUOTE = re.compile(r"\s{0,3}>(?!>> .{5,300} >>>\s*$)")
_LABEL = re.compile(
    r"[\s*_|\"'•]{0,6}([^\s*_|\"'•:][^:*|]{0,30}?)(?:[\s*_|]{0,6}:(?!//)|(?<=[^|]) \|(?=[^|]{1,300}\|$))\s*[*_|]*\s*"
)
_DIGIT, _LETTER = re.compile(r"\d"), re.compile(r"[^\W\d_]")
_BEFORE_COLON = re.compile(r"([^\s:*]{1,30})\*?\s?:\s")
_RULE = re.compile(r"[-_=*\s]{5,}")
_DASHES = re.compile(r"[-_=*+#~ ]{2,}")
_TITLE = re.compile(r"[-=~]{2,}.*[-=~]{2,}")
_AROUND = "-_=*+#~: "
_TIME = r"(?<![\d./])\d{1,2}[:.h时時點点시][ ]?\d{2}(?!\d|\.\d)"
_DAY = r"(?<!\d)\d{4}(?!\d)|\d{1,2}[./-] ?\d{1,2}[./-] ?\d{2,4}"
_DATE = re.compile(f"{_DAY}|{_TIME}")
_EXACT_DATE = re.compile(_DAY)
_CLOCK = re.compile(_TIME)
_ADDRESS = re.compile(r"[^\s<>\[\]():@\"]{1,64}@[^\s<>\[\]():@\"]{1,200}")
_AUTHOR = re.compile(
    r"(?:[\"„“«]([^\"„“”«»]{1,100})[\"”“»]\s{0,3})?[<(\[]?([^\s<>\[\]():@\"]{1,64}@[^\s<>\[\]():@\",]{1,200})"
)
_OPEN_ADDRESS = re.compile(r"<[^<>\s]{1,64}@")
_WITHIN_ADDRESS = re.compile(r"<[^<>]*$")
_BETWEEN_ARROWS = re.compile(r">>> (.{5,300}) >>>")
_JOINED = re.compile(r"([-=]{2,60} [^-=]{2,60} [-=]{2,60}) (.+)")
_SPECIFIC = re.compile(r"[\d<@\"]")
_ADDRESS_AT_END = re.compile(r"[^\W_][^\s<>\[\]():@\"]{0,63}@[\w.-]{1,200}[>)\]]*\s?:[\s*_]*$")
_ENDS = re.compile(r"(?::|-{2,})[\s*_]*$")


@dataclass(frozen=True, slots=True)
class Introduction:
    """Lines `start` to before `end`. `sender` is what they say about the author, if anything."""

    start: int
    end: int
    sender: str = ""
    is_forward: bool = False


def is_forward(subject: str) -> bool:
    """Whether the subject says that the message passes another one on, and does not answer."""
    prefix, colon, _ = plain(subject).partition(":")
    prefix = prefix.strip("[]() ").casefold()
    return bool(colon) and prefix in words("forward_prefixes") and prefix not in words("reply_prefixes")


class Text:
    """The lines of a text, with what the rules ask of them."""

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n", MAX_LINES)
        self.plain = [plain(line[:MAX_LINE]) for line in self.lines]

    def is_quoted(self, index: int) -> bool:
        return index < len(self.lines) and bool(_QUOTE.match(self.lines[index]))

    def is_forward(self, index: int) -> bool:
        """Whether this line, quoted or not, says that forwarded mail follows."""
        return self.plain[index].strip(_AROUND + ">").casefold() in words("forwarded")

    @cached_property
    def _next_written(self) -> list[int]:
        following = [len(self.lines)] * (len(self.lines) + 1)
        for index in range(len(self.lines) - 1, -1, -1):
            following[index] = index if self.plain[index] else following[index + 1]
        return following

    def written_from(self, index: int) -> int:
        """The first line at or behind `index` that is not blank."""
        return self._next_written[min(index, len(self.lines))]

    def introduction(self, start: int) -> Introduction | None:
        """What begins in this line, with everything of its kind that follows at once: a separator, then a header."""
        found = self._separator(start) or self._header(start) or self._attribution(start)
        if found is None:
            return None
        following = self.written_from(found.end)
        behind = None
        if not self.is_quoted(following):
            behind = self._header(following) or self._attribution(following)
            behind = behind or (None if found.sender else self._header(following, any_language=True))
        if behind is None:
            return replace(found, sender=found.sender or self._bare_sender(following))
        return replace(found, end=behind.end, sender=found.sender or behind.sender)

    def _bare_sender(self, index: int) -> str:
        """The author in a header whose labels have no colons: `From "Anna" <anna@customer.example>`."""
        label, _, value = self.plain[index].partition(" ") if index < len(self.plain) else ("", "", "")
        return _author(value) if label_kinds().get(label.casefold()) == "from" else ""

    def _separator(self, start: int) -> Introduction | None:
        line = self.plain[start] if start < len(self.plain) else ""
        if between := _BETWEEN_ARROWS.fullmatch(line):
            return Introduction(start, start + 1, _author(between[1])) if _DATE.search(line) else None
        joined = _JOINED.match(line)
        title, behind = joined.groups() if joined else (line, "")
        inner = title.strip(_AROUND).casefold()
        has_dashes = bool(_DASHES.match(line))
        if inner in words("forwarded") and (has_dashes or line.endswith(":")):
            return Introduction(start, start + 1, _author(behind), is_forward=True)
        if inner in words("original"):
            header = self._header(self.written_from(start + 1))
            return Introduction(start, start + 1) if has_dashes or header else None
        if _RULE.fullmatch(line) or _TITLE.fullmatch(line):
            following = self.written_from(start + 1)
            header = self._header(following) or self._header(following, any_language=True)
            return replace(header, start=start) if header else None
        return None

    def _header(self, start: int, *, any_language: bool = False) -> Introduction | None:
        """A block of labels: the author and two more, with an address, a time or both date and subject; in other
        languages with an address and a time, and not in a frame, as notes have it.
        """
        if start >= len(self.plain) or not (any_language or self._label(start)):
            return None
        values, end = self._labelled(start, any_language=any_language)
        if len(values) == 1:  # lines that were joined on their way
            values |= self._labelled_in_line(start)
        whole = " ".join(self.plain[start:end])
        has_date, has_address = _CLOCK.search(whole) and _EXACT_DATE.search(whole), "@" in whole
        author = values.get("from", "")
        if any_language:
            is_framed = end < len(self.plain) and _RULE.fullmatch(self.plain[end])
            is_header = has_date and has_address and not is_framed
        else:
            is_exact = has_address or has_date or values.keys() >= {"date", "subject"}
            is_header = "from" in values and is_exact and not _CLOCK.match(author.strip())
        sender = author or next((value for value in values.values() if "@" in value), "")
        return Introduction(start, end, sender) if is_header and len(values) >= _MIN_LABELS else None

    def _labelled(self, start: int, *, any_language: bool) -> tuple[dict[str, str], int]:
        """The values of a block of labels by their kinds, and where it ends. A value may go on in further lines."""
        values: dict[str, str] = {}
        kind, end, folded = "", start, 0
        for index in range(start, min(start + _MAX_HEADER, len(self.plain))):
            line = self.plain[index]
            label = _label_in(line)
            is_unknown = any_language and label and not (_DIGIT.search(label[1]) and _LETTER.search(label[1]))
            found = self._label(index) or (f"label {index}" if is_unknown else "")
            if label and found:
                kind, end, folded = found, index + 1, 0
                values.setdefault(kind, line[label.end() :])
            elif not kind or folded == _MAX_FOLDED or not (line or not (folded or any_language)):
                break
            else:
                folded += 1
                values[kind] += f" {line}" if kind == "from" and not values[kind].endswith(">") else ""
        return values, end

    def _labelled_in_line(self, index: int) -> dict[str, str]:
        words_before_colons = (word.casefold() for word in _BEFORE_COLON.findall(self.plain[index]))
        return {label_kinds()[word]: "" for word in words_before_colons if label_kinds().get(word, "from") != "from"}

    def _label(self, index: int) -> str:
        label = _label_in(self.plain[index])
        return label_kinds().get(label[1].strip().casefold(), "") if label and not label[1][0].islower() else ""

    def _attribution(self, start: int) -> Introduction | None:
        """`On ... wrote:` over one to four lines; over several only where the first begins like one."""
        if start >= len(self.plain):
            return None
        joined = ""
        for index in range(start, min(start + _MAX_WINDOW, len(self.plain))):
            line = self.plain[index]
            is_quoted = self.is_quoted(index) and not _WITHIN_ADDRESS.search(joined)
            if not line or is_quoted or len(joined) > _MAX_ATTRIBUTION:
                return None
            joined = f"{joined} {line}" if joined else line
            if _ENDS.search(line) or line.rsplit(" ", 1)[-1].casefold() in words("wrote"):
                is_quote_next = self.is_quoted(self.written_from(index + 1))
                is_attribution = _attributes(joined, is_quote_next=is_quote_next)
                return Introduction(start, index + 1, _author(joined)) if is_attribution else None
            if index == start and not _begins_attribution(line):
                return None
        return None


def _label_in(line: str) -> re.Match[str] | None:
    return _LABEL.match(line) if ":" in line[:_MAX_LABEL] or line[:1] == "|" else None


def _begins_attribution(line: str) -> bool:
    first = line.lstrip("-*\"'„«“<> ").split(" ", 1)[0].rstrip(".,:").casefold()
    if first[:1].isdigit() or first in words("openers") or line.startswith(("在", "于", "於", "<")):
        return bool(_DATE.search(line) or _ADDRESS.search(line))
    return bool(_OPEN_ADDRESS.search(line) or (line.endswith("<") and _DATE.search(line)))


def _attributes(joined: str, *, is_quote_next: bool) -> bool:
    """Whether this line says who wrote what follows. Above quoted lines, less has to be in it to be sure."""
    spoken = [word.strip(_AROUND + ",\"'") for word in joined.split()]
    verb = next((index for index, word in enumerate(spoken, 1) if word.casefold() in words("wrote")), 0)
    has_verb = verb or any(word in joined for word in words("wrote_without_spaces"))
    date, clock, address = _EXACT_DATE.search(joined), _CLOCK.search(joined), _ADDRESS.search(joined)
    has_colon = joined.rstrip("*_ ").endswith((":", "-"))
    if not (has_colon or (has_verb and date and clock and address)):
        return False
    if _is_narrated(joined) or (verb and _goes_on(" ".join(spoken[verb:]))):
        return False
    is_of_address = _ADDRESS_AT_END.search(joined)
    is_named = address and (date or clock or joined[: address.start()][-1:] in "<([:")
    if (has_verb and is_named) or (date and clock and (has_verb or is_of_address)):
        return True
    is_short = len(joined) <= _SHORT and joined.count(" ") < _FEW_WORDS
    return is_quote_next and bool(
        (date and clock) or (has_verb and (date or clock)) or (is_short and (has_verb or is_of_address))
    )


def _is_narrated(joined: str) -> bool:
    """Whether a person says it: there are many words, or a whole sentence, before the first name or date."""
    leading = _SPECIFIC.split(joined, maxsplit=1)[0].split()
    ends = [a[-1] in "!?" or (a[-1] == "." and a[0].islower() and b[0].isupper()) for a, b in pairwise(leading)]
    return any(ends) or sum(word[0].islower() for word in leading) > _MAX_LEADING


def _goes_on(behind: str) -> bool:
    """Whether more than a name or a date is behind the verb: `wrote in the chat:`; but not `napisao je:`."""
    return behind[:1].islower() and not ("@" in behind.split(" ", 1)[0] or _DATE.search(behind) or behind == "je")


def _author(attribution: str) -> str:
    author = _AUTHOR.search(attribution)
    return f'"{author[1] or ""}" <{author[2]}>' if author else ""
