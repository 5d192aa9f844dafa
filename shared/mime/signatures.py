"""Signatures: of a person, of a program, of a company; as a rule, what a sender did not write for this message."""

import re

from shared.mime.wordings import pattern, plain

MAX_LINES = 15
_MAX_CARD_LINE = 90
_MIN_CONFIDENTIAL = 80
_MAX_LINE = 200
_MAX_PARAGRAPH = 3_000

_DELIMITER = re.compile(r"--|__")
_RULE = re.compile(r"[-_=*]{3,}")
_ONLY_RULES = re.compile(r"[-_=*\s|]*")
_POSTSCRIPT = re.compile(r"P\.? ?S\.?\b", re.IGNORECASE)
_LINK = re.compile(r"\s*<https?://[^\s<>]*>")
_NAME = re.compile(r"[^\d:?!]{2,60}(?<![.;])")
_PHONE = re.compile(r"\+?\d(?:[ ()/.-]{0,3}\d){6,}")
_CONTACT = re.compile(
    r"https?://|www\.|@|\b(?:tel|fon|phone|mob|fax|gmbh|ltd|llc|inc|s\.?a\.?|b\.?v\.?)\b", re.IGNORECASE
)
_WHOLE_LINE = "[(<*_ ]{{0,3}}(?:{})[.!,>)*_ ]{{0,3}}"


def without_signature(lines: list[str]) -> list[str]:
    """The lines without a signature at their end; none where they are nothing else."""
    return _above_card(_above_confidential(_above_delimiter(without_lines_of_programs(lines))))


def without_lines_of_programs(lines: list[str]) -> list[str]:
    """Without lines such as `Sent from my iPhone`, wherever they are."""
    return [line for line in lines if not _is_of_program(plain(line[:_MAX_LINE]))]


def _is_of_program(line: str) -> bool:
    line = _LINK.sub("", line)
    return bool(
        pattern("sent_from", form=_WHOLE_LINE).fullmatch(line) and pattern("devices").search(line) and "?" not in line
    )


def _above_delimiter(lines: list[str]) -> list[str]:
    left = sum(bool(line.strip()) for line in lines)
    last = ""
    for index, line in enumerate(lines):
        left -= bool(line.strip())
        if left <= MAX_LINES and not line[:1].isalnum():
            shown = plain(line[:_MAX_LINE])
            if _DELIMITER.fullmatch(shown) or (_RULE.fullmatch(shown) and _repeats_name(last, lines[index + 1 :])):
                return lines[:index]
        last = line.strip() or last
    return lines


def _repeats_name(last: str, below: list[str]) -> bool:
    """Whether a card begins with the name that the text ends with."""
    card = [line.strip() for line in below if line.strip()]
    return bool(card and last) and last.rsplit(maxsplit=1)[-1] in card[0].split() and _is_card(card[1:])


def _above_confidential(lines: list[str]) -> list[str]:
    """Without the last paragraphs as long as they are what companies add; and without rulers at the end."""
    while lines:
        start = len(lines)
        while start and _ONLY_RULES.fullmatch(plain(lines[start - 1][:_MAX_LINE])):
            start -= 1
        lines = lines[:start]
        while start and lines[start - 1].strip():
            start -= 1
        paragraph = " ".join(map(plain, lines[start:]))[:_MAX_PARAGRAPH]
        if not pattern("confidential" if len(paragraph) >= _MIN_CONFIDENTIAL else "confidential_titles").match(
            paragraph
        ):
            break
        lines = lines[:start]
    return lines


def _above_card(lines: list[str]) -> list[str]:
    """Without what stands below a closing formula and a name, if it looks like a visiting card."""
    closing = pattern("closings", form=_WHOLE_LINE)
    for index in range(len(lines) - 1, max(len(lines) - 2 * MAX_LINES, -1), -1):
        if closing.fullmatch(plain(lines[index][:_MAX_LINE])):
            name, *card = [below for below in range(index + 1, len(lines)) if lines[below].strip()] or [index]
            is_signed = _NAME.fullmatch(lines[name].strip()) and _is_card([lines[below].strip() for below in card])
            return lines[: name + 1] if is_signed else lines
    return lines


def _is_card(lines: list[str]) -> bool:
    if any(len(line) > _MAX_CARD_LINE or line.endswith(("?", "!")) or _POSTSCRIPT.match(line) for line in lines):
        return False
    return any(map(_PHONE.search, lines)) or (len(lines) > 1 and any(map(_CONTACT.search, lines)))
