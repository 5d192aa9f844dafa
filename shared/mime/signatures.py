"""Signatures: of a person, of a program, of a company; as a rule, what a sender did not write for this message."""

import re

from shared.mime.wordings import pattern, plain

MAX_LINES = 15
_MAX_CARD_LINE = 90
_MIN_CONFIDENTIAL, _LEGAL_TERMS = 80, 3
_MAX_LINE = 200
_MAX_PARAGRAPH = 3_000
_MAX_BEHIND_DEVICE = 3

_DELIMITER = re.compile(r"--|__")
_RULE = re.compile(r"[-_=*]{3,}")
_LIST_RULE = re.compile(r"_{20,}")
_ONLY_RULES = re.compile(r"[-_=*\s|]*")
_POSTSCRIPT = re.compile(r"P\.? ?S\.?\b", re.IGNORECASE)
_LINK = re.compile(r"\s*<https?://[^\s<>]*>|\s*(?:\( ?)?https?://\S+(?: ?\))?$")
_CLAUSE = re.compile(r"[.,;!]\s{1,3}| -+ ")
_CODE = re.compile(r"[{}`;]|(?<!=)=(?!=)|^(?:[-*#]|//) ")
_QUESTION = re.compile(r"\?(?:\s|$)")
_NAME = re.compile(r"[^\W\d_][^\d:?!]{1,60}(?<![.;])")
_PHONE = re.compile(r"(?<!\w)(?!\d{4}[./-]\d\d[./-]|\d\d?[./]\d\d?[./]\d{4}\b)\+?\(?\d(?:[ ()/.-]{0,3}\d){6,14}(?!\w)")
_CONTACT = re.compile(r"www\.|@|\b(?:tel|fon|phone|mob|fax|gmbh|ltd|llc|inc|s\.?a\.?|b\.?v\.?)\b", re.IGNORECASE)
_WHOLE_LINE = "[(<*_ ]{{0,3}}(?:{0})(?:\\s*[/|]\\s*(?:{0}))?[^\\w?]{{0,4}}"


def without_signature(lines: list[str]) -> list[str]:
    """The lines without a signature at their end; none where they are nothing else."""
    return _above_card(_above_confidential(_above_delimiter(without_lines_of_programs(lines))))


def without_lines_of_programs(lines: list[str]) -> list[str]:
    """Without lines such as `Sent from my iPhone`, wherever they are, and the link below one."""
    shown = [plain(line[:_MAX_LINE]) for line in lines]
    kept: list[str] = []
    is_behind = False
    for line, here, below in zip(lines, shown, [*shown[1:], ""], strict=True):
        ends = not below or bool(_LINK.fullmatch(below)) or _is_of_program(below)
        is_behind = (_is_of_program(here) and ends) or (is_behind and bool(_LINK.fullmatch(here)))
        if not is_behind:
            kept.append(line)
    return kept


def _is_of_program(line: str) -> bool:
    """Whether a program signs; not where a person says from what something was sent, and then goes on."""
    shown = _LINK.sub("", line)
    if "?" in shown or not pattern("sent_from", form=_WHOLE_LINE).fullmatch(shown):
        return False
    signed, *excuse = _CLAUSE.split(shown, maxsplit=1)
    *_, behind = pattern("devices").split(signed)
    is_device = behind != signed or shown != line
    return is_device and len(behind.split()) <= _MAX_BEHIND_DEVICE and all(map(pattern("excuses").search, excuse))


def _above_delimiter(lines: list[str]) -> list[str]:
    places = [place for place, line in enumerate(lines) if line.strip()]
    written = ["", *(lines[place].strip() for place in places)]
    for index in range(max(1, len(places) - MAX_LINES), len(written)):
        if _is_delimiter(plain(written[index][:_MAX_LINE]), written[index - 1], written[index + 1 :]):
            return lines[: places[index - 1]]
    return lines


def _is_delimiter(line: str, above: str, below: list[str]) -> bool:
    """Whether a signature is below: nothing that somebody says, or links too. Below other rulers only what is known."""
    if _DELIMITER.fullmatch(line):
        is_told = any(map(_QUESTION.search, below)) or is_said(" ".join(below))
        return not above.endswith(":") and (
            not is_told or any(_CONTACT.search(line) or _LINK.search(line) for line in below)
        )
    if not _RULE.fullmatch(line):
        return False
    if below and above and above.rsplit(maxsplit=1)[-1] in below[0].split()[:3] and _is_card(below[1:]):
        return True
    return bool(_LIST_RULE.fullmatch(line)) and any(pattern("list_footers").search(line[:_MAX_LINE]) for line in below)


def _above_confidential(lines: list[str]) -> list[str]:
    """Without the last paragraphs as long as they are what companies add; and without rulers at the end."""
    while lines:
        start = len(lines)
        while start and _ONLY_RULES.fullmatch(plain(lines[start - 1][:_MAX_LINE])):
            start -= 1
        lines = lines[:start]
        while start and lines[start - 1].strip():
            start -= 1
        if not _is_confidential(" ".join(map(plain, lines[start:]))[:_MAX_PARAGRAPH]):
            break
        lines = lines[:start]
    return lines


def _is_confidential(paragraph: str) -> bool:
    """Whether lawyers wrote it: one term of theirs may be anybody's, several are not."""
    if len(paragraph) < _MIN_CONFIDENTIAL or _QUESTION.search(paragraph):
        return bool(pattern("confidential_titles").match(paragraph))
    return len({term[0].casefold() for term in pattern("legal_terms").finditer(paragraph)}) >= _LEGAL_TERMS


def _above_card(lines: list[str]) -> list[str]:
    """Without what stands below a closing formula, and a name or a ruler, if it looks like a visiting card."""
    for index in range(len(lines) - 1, max(len(lines) - 2 * MAX_LINES, -1), -1):
        formula, _, name = lines[index].partition(", ")
        is_named = is_closing(formula) and bool(name) and all(word[0].isupper() for word in name.split())
        if is_named or is_closing(lines[index]):
            first, *card = [place for place in range(index + 1, len(lines)) if lines[place].strip()] or [index]
            if is_named or _RULE.fullmatch(plain(lines[first])):
                first, card = index, [first, *card]
            is_signed = first == index or _NAME.fullmatch(lines[first].strip())
            return lines[: first + 1] if is_signed and _is_card([lines[place].strip() for place in card]) else lines
    return lines


def is_closing(line: str) -> bool:
    return bool(pattern("closings", form=_WHOLE_LINE).fullmatch(plain(line[:_MAX_LINE])))


def _is_card(lines: list[str]) -> bool:
    if any(len(line) > _MAX_CARD_LINE or is_said(line) or _CODE.search(_LINK.sub("", line)) for line in lines):
        return False
    return any(map(_PHONE.search, lines)) or (len(lines) > 1 and any(map(_CONTACT.search, lines)))


def is_said(line: str) -> bool:
    """Whether somebody says this for this message: it asks, exclaims or adds, or is a sentence, as no card has them."""
    if _QUESTION.search(line) or line.rstrip().endswith("!") or _POSTSCRIPT.match(line):
        return True
    spoken = [word.strip("().,;") for word in line.split() if any(map(str.isalpha, word))]
    lower = sum(word.isalpha() and word.islower() for word in spoken)
    return lower > max(3, len(spoken) // 2) and bool(_PHONE.search(line) or line.rstrip().endswith("."))
