"""Configuration documents in files: JSON, or YAML where PyYAML is installed."""

import json
import sys
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

from shared.cli.client import Failed, Misused

_YAML = (".yaml", ".yml")


def read(path: str) -> bytes:
    """The document as JSON; `-` is standard input. :raises Failed: the file is missing, or is neither."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text("utf-8")
        document = _yaml().safe_load(text) if path.endswith(_YAML) else json.loads(text)
    except (OSError, UnicodeError, ValueError) as error:
        raise Failed(f"{path} cannot be read: {error}") from error
    except Exception as error:  # PyYAML's own errors, whose module is there only where it is installed
        if type(error).__module__.startswith("yaml"):
            raise Failed(f"{path} is no YAML: {error}") from error
        raise
    return json.dumps(document, default=_moment).encode()


def write(path: str, document: dict[str, Any]) -> None:
    """`-` is standard output."""
    if path.endswith(_YAML):
        text = str(_yaml().safe_dump(document, sort_keys=False, allow_unicode=True))
    else:
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if path == "-":
        sys.stdout.write(text)
    else:
        Path(path).write_text(text, "utf-8")


def _moment(value: object) -> str:
    """YAML has dates of its own."""
    if isinstance(value, date):
        return value.isoformat()
    raise Failed(f"a {type(value).__name__} is nothing that configuration holds")


def _yaml() -> Any:
    try:
        return import_module("yaml")
    except ImportError as error:
        raise Misused("install PyYAML, or use a file whose name ends in .json") from error
