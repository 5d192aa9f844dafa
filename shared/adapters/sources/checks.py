"""A connection test: stages in their order, each with its time, up to the first that fails (req O3)."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from shared.application.ports import CheckStage
from shared.domain.errors import AppError


@dataclass(frozen=True, slots=True)
class Finding:
    """What a stage that passed has to tell. `warning`: it works, and somebody should look at it all the same."""

    detail: str
    advice: str = ""
    warning: bool = False


def run_stages(stages: Iterable[tuple[str, Callable[[], Finding]]]) -> Iterator[CheckStage]:
    for name, stage in stages:
        started = time.monotonic()
        try:
            finding = stage()
        except AppError as error:
            yield CheckStage(name, False, _since(started), str(error), error.code, error.advice)
            return
        yield CheckStage(name, True, _since(started), finding.detail, None, finding.advice, finding.warning)


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
