"""Who changed what and when, with what it was before and after (req O6)."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic_core import to_jsonable_python

_LONGEST_VALUE = 1_000
_MOST_CHARACTERS = 12_000
HIDDEN = "***"

Values = Mapping[str, Any]
"""What has changed, by its path such as `source.host`."""


class AuditOutcome(StrEnum):
    """A record is `begun` before its change. It stays so where the app or its storage broke off then: the change was
    made or not.
    """

    BEGUN = "begun"
    MADE = "made"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change by whoever has signed in, or the `function key`. `subject` is the id of what was changed, among those
    of its kind; that of a contact is made from the address. `before` and `after` have what has changed, by its path:
    secrets by their names, and not in full what is personal or long.
    """

    id: str
    at: datetime
    by: str
    action: str
    kind: str
    subject: str
    before: Values
    after: Values
    outcome: AuditOutcome = AuditOutcome.BEGUN


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are asked for; None admits all. From `since` on, and before `until`."""

    by: str | None = None
    kind: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def differences(before: Values, after: Values, personal: Collection[str] = ()) -> tuple[Values, Values]:
    """What only one of the two has, or both in different ways. Long values are cut, and those of `personal` fields
    hidden: the record outlives the person's data.
    """
    was, now = dict(_leaves(before)), dict(_leaves(after))
    changed = [path for path in {**was, **now} if path not in was or path not in now or was[path] != now[path]]
    sides = ({path: side[path] for path in changed if path in side} for side in (was, now))
    first, second = ({path: _shown(path, value, personal) for path, value in side.items()} for side in sides)
    return _bounded(first), _bounded(second)


def _leaves(value: Values, path: str = "") -> Iterator[tuple[str, Any]]:
    for key, each in value.items():
        if isinstance(each, Mapping) and each:
            yield from _leaves(each, f"{path}{key}.")
        else:
            yield f"{path}{key}", to_jsonable_python(sorted(each) if isinstance(each, frozenset) else each)


def _shown(path: str, value: Any, personal: Collection[str]) -> Any:
    if value and not set(path.split(".")).isdisjoint(personal):
        return HIDDEN
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}... ({len(text)} characters)"


def _bounded(values: Mapping[str, Any]) -> Values:
    room, kept = _MOST_CHARACTERS, dict[str, Any]()
    for path, value in values.items():
        room -= len(json.dumps({path: value}))
        if room < 0:
            return {**kept, "...": f"and {len(values) - len(kept)} more"}
        kept[path] = value
    return kept
