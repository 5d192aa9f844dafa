"""How fields are stored in columns: one table of them says both how a row is written and how it is read again.

Texts over a property's limit are cut; the whole is always in the raw message.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any

Row = dict[str, Any]

_TEXT_UNITS = 30_000
"""A string property holds 32,768 UTF-16 code units at most."""


@dataclass(frozen=True, slots=True)
class Column:
    """Where a column is `sparse`, it is there only with a value that is not empty."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]
    sparse: bool = False


Columns = Mapping[str, Column]
"""By the names of the fields, which the columns have too."""


def to_row(columns: Columns, item: object) -> Row:
    values = ((name, column, getattr(item, name)) for name, column in columns.items())
    return {name: column.write(value) for name, column, value in values if value or not column.sparse}


def to_fields(columns: Columns, row: Mapping[str, Any]) -> dict[str, Any]:
    """What the row does not have is left to the default of the field."""
    return {name: column.read(row[name]) for name, column in columns.items() if name in row}


def cut(text: str) -> str:
    """As much of the text as a property holds."""
    if len(text) <= _TEXT_UNITS // 2:
        return text
    return text.encode("utf-16-le")[: 2 * _TEXT_UNITS].decode("utf-16-le", "ignore")


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def fitting(items: Iterable[Any]) -> tuple[str, bool]:
    """As JSON, and whether all of it fits into one property; what does not fit is left out from the end."""
    kept = list(items)
    complete = True
    while len(text := compact(kept)) > _TEXT_UNITS:
        kept = kept[: len(kept) // 2]
        complete = False
    return text, complete


def pairs(values: Mapping[str, str]) -> str:
    """Pairs of name and value; where they are more than a property holds, the longest values are cut."""
    longest = max(map(len, values.values()))
    while True:
        found = sorted((name, value[:longest]) for name, value in values.items())
        text = json.dumps(found, separators=(",", ":"), ensure_ascii=False)
        if len(text.encode("utf-16-le")) <= 2 * _TEXT_UNITS:
            return text
        longest = longest * 3 // 4


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _same(value: Any) -> Any:
    return value


AS_IS = Column(_same, _same)
TEXT = Column(cut, _same)
MAYBE = Column(lambda text: cut(text or ""), lambda text: text or None)
NUMBER = Column(lambda number: number or 0, lambda number: number or None)
TIME = Column(lambda at: at.isoformat() if at else "", moment)
JSON = Column(compact, json.loads)
TEXTS = Column(lambda texts: fitting(texts)[0], lambda text: tuple(json.loads(text)))


def one_of(kind: type[Enum]) -> Column:
    return Column(lambda each: each.value if each else "", lambda value: kind(value) if value else None)


def sparse(column: Column) -> Column:
    return replace(column, sparse=True)
