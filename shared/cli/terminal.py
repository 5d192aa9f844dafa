"""What people see: tables and progress. Texts from mail may hold control characters, which terminals obey."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

_WIDEST = 60
_BAR = 30


def printable(text: object) -> str:
    return "".join(character if character.isprintable() else "?" for character in str(text))


def confirmed(question: str) -> bool:
    return sys.stdin.isatty() and input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def table(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """One line a row, below the names of the columns; None is left empty."""
    lines = [[*columns]]
    for row in rows:
        cells = ("" if row.get(name) is None else printable(row[name]) for name in columns)
        lines.append([cell if len(cell) <= _WIDEST else f"{cell[: _WIDEST - 1]}…" for cell in cells])
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


class Progress:
    """A bar on a terminal; elsewhere nothing but the last state."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = ""

    def show(self, done: int, total: int) -> None:
        filled = _BAR * min(done, total) // total if total else _BAR
        self._shown = f"{self._what} [{'#' * filled}{'.' * (_BAR - filled)}] {done}/{total}"
        if sys.stderr.isatty():
            print(f"\r{self._shown}", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        print("" if sys.stderr.isatty() else self._shown, file=sys.stderr)
