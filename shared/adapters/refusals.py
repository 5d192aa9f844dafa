"""The tables of `refusals.toml`: what providers refuse, by the codes that they give."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from shared.domain import errors


class Meaning(NamedTuple):
    """What a code says, and what to do about it; either may be empty."""

    kind: type[errors.AppError]
    text: str
    advice: str

    def error(self, text: str = "") -> errors.AppError:
        return self.kind(text or self.text, advice=self.advice)


@cache
def meanings(table: str) -> Mapping[str, Meaning]:
    return {code: _meaning(*row) for code, row in _tables()[table].items()}


def advice(name: str, table: str = "advice") -> str:
    return _whole(_tables()[table][name])


def _meaning(kind: str, text: str, advice: str = "") -> Meaning:
    return Meaning(getattr(errors, kind), text, _whole(advice))


def _whole(advice: str) -> str:
    """The text that has this name, or is this one."""
    return str(_tables()["advice"].get(advice, advice))


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
