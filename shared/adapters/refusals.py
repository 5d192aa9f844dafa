"""What providers refuse: by the codes that they give, as `refusals.toml` has them, or for a reason that only the caller
knows.
"""

import tomllib
from collections.abc import Mapping
from datetime import timedelta
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


def busy(
    who: str,
    status: int,
    wait: timedelta | None,
    otherwise: type[errors.SourceUnavailable] = errors.SourceUnavailable,
) -> errors.SourceUnavailable | None:
    """What an HTTP status says that is about no request alone; `otherwise` is what a failure within means here."""
    if status == 429:
        return errors.Throttled(f"{who} asks us to wait.", retry_after=wait)
    if status >= 500:
        kind = errors.SourceUnavailable if status == 503 else otherwise
        return kind(f"{who} is out of order ({status}).", retry_after=wait)
    return None


class Refused(errors.SourceMisbehaved):
    """An API refuses this one thing."""

    def __init__(self, text: str, *, is_gone: bool, status: int = 0) -> None:
        super().__init__(text)
        self.is_gone = is_gone
        self.status = status


class TimedOut(errors.SourceUnavailable):
    """The provider gave up on its own back end: the service is busy, or it is this one item."""


class CommandRefused(errors.SourceUnavailable):
    """A mail server said no and gave no code that says why; the connection goes on."""
