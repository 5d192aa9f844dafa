"""Presets: what to fill in for well-known providers, and what to know before (req C7)."""

from dataclasses import dataclass
from typing import Any

from shared.domain.ready_made import TABLES


@dataclass(frozen=True, slots=True)
class Preset:
    """`source` is the beginning of a mailbox's source; `to_fill_in` are the paths in it that people must add."""

    id: str
    name: str
    source: dict[str, Any]
    to_fill_in: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, table: dict[str, Any]) -> "Preset":
        warnings = (TABLES["warnings"][name] for name in table.get("warnings", ()))
        return cls(table["id"], table["name"], table["source"], tuple(table["to_fill_in"]), tuple(warnings))


PRESETS = tuple(map(Preset.of, TABLES["providers"]))
