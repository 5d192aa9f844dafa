"""One listing over several folders (req F2): each keeps its own cursor, and the mailbox's cursor holds them all."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from shared.application.ports.connections import Page
from shared.domain.errors import CursorExpired
from shared.domain.message import Cursor, Listed

ListFolder = Callable[[str, Cursor | None, int], Page]


@dataclass(frozen=True, slots=True)
class Position:
    """What a cursor says; each source adds its own fields."""

    def cursor(self) -> Cursor:
        return Cursor(json.dumps(asdict(self)))

    @classmethod
    def of(cls, cursor: Cursor, **ours: Any) -> Self:
        """:raises CursorExpired: it is of another kind of source, or one of its fields is not as ours."""
        try:
            position = cls(**json.loads(cursor))
        except (TypeError, ValueError) as exc:
            raise CursorExpired("The cursor is of another source.") from exc
        if any(getattr(position, name) != value for name, value in ours.items()):
            raise CursorExpired("The cursor is of another folder or mailbox.")
        return position


def list_folders(paths: Sequence[str], cursor: Cursor | None, limit: int, list_one: ListFolder) -> Page:
    """The next page, folder after folder. A folder that is new, or whose own cursor expired, is listed from its start.

    :raises CursorExpired: the cursor is not one of ours.
    """
    cursors = _read(cursor)
    following = {}
    messages: list[Listed] = []
    more = False
    for path in paths:
        if len(messages) >= limit:
            following[path], more = cursors.get(path), True
            continue
        page = _listed(path, cursors.get(path), limit - len(messages), list_one)
        following[path] = page.cursor
        messages += page.messages
        more = more or page.more
    return Page(tuple(messages), Cursor(json.dumps(following)), more)


def _listed(path: str, cursor: Cursor | None, limit: int, list_one: ListFolder) -> Page:
    try:
        return list_one(path, cursor, limit)
    except CursorExpired:
        return list_one(path, None, limit)


def _read(cursor: Cursor | None) -> dict[str, Cursor | None]:
    try:
        cursors = json.loads(cursor) if cursor else {}
    except ValueError as exc:
        raise CursorExpired from exc
    if not isinstance(cursors, dict):
        raise CursorExpired
    return {path: Cursor(text) if isinstance(text, str) else None for path, text in cursors.items()}
