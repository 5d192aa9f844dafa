"""The tables of `wordings.toml`: what programs write around mail, and machines in it."""

import re
import tomllib
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

_FORMAT_CHARACTERS = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_WIDE_SPACES = re.compile("[\xa0\u2000-\u200a\u202f\u3000]")
BEGINS = (
    r"\s*(?:(?:\[[^\]]{{1,40}}\]|\{{[^}}]{{1,40}}\}}|\*{{2,5}}(?:\w{{1,20}}\*{{2,5}})?|(?:extern(?:al|e)?|ext|auto)(?=:))"
    r"[:\s-]*|\[)?(?:{})"
)
"""The form of a subject that begins with one of a table, also below what a gateway puts before it,"""
TITLE = (
    BEGINS + r"(?:[- ]+(?:auto\w*[- ]?)?(?:reply|response|message|notification|notice|assistant|re|aw))?"
    "[\\s!.*]*(?:$|[:\uff1a;,(\\[\\]\u2013\u2014-])"
)
"""... and of one that is one of them, or begins with one as with a title."""


def plain(line: str) -> str:
    """A line as the tables have it: composed characters, one kind of space, colon and dash, nothing invisible."""
    if not line.isascii():
        line = _WIDE_SPACES.sub(" ", _FORMAT_CHARACTERS.sub("", unicodedata.normalize("NFC", line)))
        line = line.replace("\uff1a", ":").replace("\u2013", "-").replace("\u2014", "--")
    return line.replace("\t", " ").strip()


@cache
def words(table: str) -> frozenset[str]:
    return frozenset(_entries(_tables()[table]))


@cache
def pattern(*tables: str, form: str = "(?:{})") -> re.Pattern[str]:
    """The patterns of the tables as alternatives, within `form`."""
    patterns = (line for table in tables for line in lines(table))
    return re.compile(form.format("|".join(patterns)), re.IGNORECASE)


def lines(table: str) -> list[str]:
    return _tables()[table].strip().splitlines()  # type: ignore[no-any-return]  # a table of lines


def everyday() -> dict[str, tuple[str, float]]:
    """Charset -> a pattern of what is common in it, and the weight of that."""
    return _tables()["everyday"]  # type: ignore[no-any-return]  # so it is written


@cache
def label_kinds() -> dict[str, str]:
    """Label -> `from`, `date`, `to`, `cc` or `subject`."""
    return {word: kind for kind, table in _tables()["labels"].items() for word in _entries(table)}


def _entries(table: str) -> list[str]:
    return [entry.strip() for line in table.strip().splitlines() for entry in line.split("|")]


@cache
def _tables() -> dict[str, Any]:
    text = Path(__file__).with_suffix(".toml").read_text("utf-8")
    return tomllib.loads(unicodedata.normalize("NFC", text))
