"""How a message was judged, step by step: what `explain` answers and what a dry run shows (req O5)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from shared.domain.errors import AppError

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried. `detail` tells what it changed where it `matched`, else why not, if that is known."""

    stage: str
    name: str
    matched: bool
    detail: str = ""


Attempt = Callable[[S], tuple[S, str] | None]
"""Makes of a state the next one, with what it changed; None where it has nothing to do."""


def one_by_one(stage: str, attempts: Iterable[tuple[str, Attempt[S]]], state: S) -> tuple[S, tuple[Step, ...]]:
    """Apply named attempts in their order. One that fails changes nothing: a message is a ticket all the same."""
    steps: list[Step] = []
    for name, attempt in attempts:
        try:
            done = attempt(state)
        except Exception as error:  # noqa: BLE001 - what people configured may fail in any way, and mail must come in
            why = str(error) if isinstance(error, AppError) else type(error).__name__
            steps.append(Step(stage, name, False, f"failed: {why}"))
        else:
            state = done[0] if done else state
            steps.append(Step(stage, name, done is not None, done[1] if done else ""))
    return state, tuple(steps)
