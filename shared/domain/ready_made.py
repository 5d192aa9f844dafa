"""The tables of `ready_made.toml`: rules, ticket types and sources that people need not write themselves."""

import tomllib
from pathlib import Path
from typing import Any

TABLES: dict[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


def whole(pattern: str) -> str:
    """The pattern with the alternatives of `words` for their names, such as `<caution>`."""
    for name, lines in TABLES["words"].items():
        either = "|".join(lines.strip("\n").split("\n"))
        pattern = pattern.replace(f"<{name}>", f"(?:{either})")
    return pattern
