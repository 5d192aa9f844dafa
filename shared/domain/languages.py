"""Languages: which one a text is in, and which one a person is answered in."""

import re
import tomllib
from collections.abc import Collection
from functools import cache
from pathlib import Path

_WORD = re.compile(r"[^\W\d_]{2,}")
_LOOKED_AT = 4_000
_MIN_WORDS = 3
"""Fewer frequent words than these tell nothing."""


def detected(text: str) -> str:
    """The language of a text, by its most frequent words; empty where they do not tell one of those we know."""
    words = _WORD.findall(text[:_LOOKED_AT].lower())
    frequent = ((sum(map(known.__contains__, words)), language) for language, known in _frequent().items())
    (second, _), (most, first) = sorted(frequent)[-2:]
    return first if most >= _MIN_WORDS and most * 10 >= second * 12 and most * 8 >= len(words) else ""


@cache
def _frequent() -> dict[str, frozenset[str]]:
    tables = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    return {language: frozenset(known.split()) for language, known in tables.items()}


def language_for(*, contact: str, text: str, declared: str, default: str, available: Collection[str]) -> str:
    """The language to answer in: the contact's own, the one they wrote in, the one the message declares, the default.

    `declared` is Content-Language (RFC 3282), which many programs fill with the language of their menus: what was
    written counts for more. Regions are set aside: `de-AT` is `de`.
    """
    wanted = (contact, detected(text), *declared.split(","), default)
    tags = (tag.split(";")[0].strip().lower().replace("_", "-").partition("-")[0] for tag in wanted)
    return next((tag for tag in tags if tag in available), "en")
