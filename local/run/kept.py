"""What a run folder remembers from one run to the next, and the lock that keeps it to one run at a time."""

import fcntl
import json
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


class RunFailed(Exception):
    """What keeps Mailroom from running, in words for the person at the terminal."""


@dataclass
class Kept:
    """The ports are stored by others, in configuration and in cursors. So they stay if they can."""

    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    simulators_port: int = 0
    imap_port: int = 0
    smtp_port: int = 0
    is_filled: bool = False

    @classmethod
    def load(cls, folder: Path) -> "Kept":
        path = folder / "kept.json"
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def save(self, folder: Path) -> None:
        write_private(folder / "kept.json", asdict(self))


def write_private(path: Path, value: Any) -> None:
    """As JSON that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(value) + "\n")


@contextmanager
def locked(folder: Path, taken: str) -> Iterator[None]:
    """Hold the folder; whoever dies lets go of it. :raises RunFailed: another run holds it; `taken` is its text."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunFailed(taken) from error
        yield


def free_port(preferred: int) -> int:
    """The preferred port of 127.0.0.1 where it is free, else any."""
    try:
        listener = socket.create_server(("127.0.0.1", preferred))
    except OSError:
        listener = socket.create_server(("127.0.0.1", 0))
    with listener:
        port: int = listener.getsockname()[1]
        return port
