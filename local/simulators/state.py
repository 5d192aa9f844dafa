"""Where the simulators keep what must outlive them: plain files in a folder, or nothing at all."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class State:
    """Named JSON values and blobs of bytes; without a folder the values are forgotten and the bytes held in memory."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._memory: dict[str, bytes] = {}

    def load(self, name: str, default: Any) -> Any:
        path = self._folder and self._folder / name
        return json.loads(path.read_text()) if path and path.exists() else default

    def save(self, name: str, value: Any) -> None:
        if self._folder:
            self._write(self._folder / name, json.dumps(value, indent=1).encode())

    def names(self, pattern: str) -> Iterator[str]:
        if self._folder:
            yield from (path.relative_to(self._folder).as_posix() for path in sorted(self._folder.glob(pattern)))

    def put_bytes(self, name: str, content: bytes) -> None:
        if self._folder:
            self._write(self._folder / name, content)
        else:
            self._memory[name] = content

    def get_bytes(self, name: str) -> bytes:
        return (self._folder / name).read_bytes() if self._folder else self._memory[name]

    def drop_bytes(self, name: str) -> None:
        if self._folder:
            (self._folder / name).unlink(missing_ok=True)
        else:
            self._memory.pop(name, None)

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".new")
        draft.write_bytes(content)
        draft.replace(path)
