"""An app in the local functions host, as a process of its own with no settings but those given."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.host.sample import until

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Hosted:
    url: str
    log: Path

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers={"x-functions-key": "key"}, timeout=60, trust_env=False)


@contextmanager
def hosted(
    app: Path, folder: Path, settings: Mapping[str, str], python: str = sys.executable, import_from: str = str(ROOT)
) -> Iterator[Hosted]:
    """`folder` takes the log and what timers remember."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": import_from, "PYTHONDONTWRITEBYTECODE": "1", **settings}
    command = [python, "-s", "-m", "local.host", "--app", app, "--port", "0", "--state", folder, "--key", "key"]
    log = folder / "log"
    with log.open("wb") as stderr, subprocess.Popen(command, cwd=folder, env=environment, stderr=stderr) as process:
        try:
            yield Hosted(until(lambda: _url(log), seconds=60), log)
        finally:
            process.kill()


def _url(log: Path) -> str | None:
    return next(iter(re.findall(r"functions at (\S+)", log.read_text())), None)
