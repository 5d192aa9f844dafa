"""The functions host as a child process, and its log: all of it in a file, and line by line for who follows it."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any

_ROOT = Path(__file__).parent.parent.parent
_PATIENCE_SECONDS = 20
_LINE = re.compile(r"\S+ (?P<level>[A-Z]+) (?P<logger>\S+): (?P<text>.*)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log; `event` is what Mailroom itself told, if it did."""

    level: str
    text: str
    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class HostProcess:
    log: Path
    _process: "subprocess.Popen[str]"
    _entries: "SimpleQueue[Entry]"

    def entries(self) -> Iterator[Entry]:
        """What was logged since the last call; does not wait."""
        try:
            while True:
                yield self._entries.get_nowait()
        except Empty:
            return

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None


@contextmanager
def run_host(
    folder: Path, port: int, key: str, environment: dict[str, str], *, engine: str = "converters", master_key: str = ""
) -> Iterator[HostProcess]:
    """Run the functions of this project for the duration of the block.

    The child has a session of its own, so that Ctrl-C reaches this process only, which ends all in order.
    """
    command = [sys.executable, "-m", "local.host", "--app", str(_ROOT), "--state", str(folder / "host")]
    command += ["--port", str(port), f"--key={key}", "--engine", engine]  # a key may begin with a dash
    command += [f"--master-key={master_key}"] if master_key else []
    log = folder / "host.log"
    with (
        log.open("w") as file,
        subprocess.Popen(
            command,
            cwd=_ROOT,
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process,
    ):
        assert process.stderr is not None, "it is a pipe"
        entries: SimpleQueue[Entry] = SimpleQueue()
        reader = threading.Thread(target=_read, args=(process.stderr, file, entries), daemon=True)
        reader.start()
        try:
            yield HostProcess(log, process, entries)
        finally:
            _end(process)
            reader.join()


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _read(lines: IO[str], file: IO[str], entries: "SimpleQueue[Entry]") -> None:
    for line in lines:
        file.write(line)
        file.flush()
        entries.put(_entry(line.rstrip()))


def _entry(line: str) -> Entry:
    """What is no line of the log, such as a traceback at the interpreter's end, counts as an error."""
    found = _LINE.fullmatch(line)
    if found is None:
        return Entry("ERROR", line, {})
    told = found["text"].split(" | ")[0]
    event = json.loads(told) if found["logger"] == "mailroom" else {}
    return Entry(found["level"], found["text"], event)
