"""How things are: findings with a level, what they mean and what to do about them (req O7)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """`error`: mail does not get through; `warning`: that may come, or something is less safe than it could be."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know. `code` is stable; `advice` is empty where the text says it all."""

    level: Level
    code: str
    text: str
    advice: str = ""


def worst(levels: Iterable[Level]) -> Level:
    return max(levels, key=list(Level).index, default=Level.OK)
