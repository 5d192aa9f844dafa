"""The host as a process of its own, as `make run` starts it."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.host.conftest import Messages, StartHost
from tests.host.sample import recorded, until, write_app

ROOT = Path(__file__).parents[2]


@contextmanager
def host_process(app: Path, log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "local.host", "--app", app, "--port", "0", "--state", app / "state", *arguments]
    with log.open("wb") as stderr, subprocess.Popen(command, cwd=ROOT, stderr=stderr) as process:
        try:
            yield process
        finally:
            process.kill()


def test_it_serves_until_it_is_told_to_stop(tmp_path: Path, client: httpx.Client):
    log = tmp_path / "log"
    with host_process(write_app(tmp_path / "app"), log, "--key", "k") as process:
        url = until(lambda: _url(log))

        assert client.get(f"{url}/api/boom").status_code == 500
        assert client.post(f"{url}/api/items/a/1?code=k").status_code == 201
        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=30) == 0
    lines = log.read_text().splitlines()
    assert all(line.startswith("20") for line in lines), "every line begins with its time"
    assert lines[-1].endswith("stopped")
    assert "code=k" not in log.read_text()
    (failure,) = [line for line in lines if " ERROR " in line]
    assert " boom " in failure
    assert "ValueError: boom" in failure


def _url(log: Path) -> str | None:
    started = [line for line in log.read_text().splitlines() if "functions at" in line]
    return started[0].split(" at ")[1].split()[0] if started else None


def test_an_app_that_cannot_be_loaded_ends_it_with_the_reason(tmp_path: Path):
    log = tmp_path / "log"
    with host_process(write_app(tmp_path / "app", "import no_such_module"), log) as process:
        assert process.wait(timeout=30) == 1

    assert "No module named 'no_such_module'" in log.read_text()


CRASHING = """
import sys
import threading
from datetime import timedelta
from pathlib import Path
from local.host import FunctionsHost

host = FunctionsHost(Path(sys.argv[1]), Path(sys.argv[1]) / "state", message_lease=timedelta(seconds=5))
host.start()
threading.Event().wait()
"""


def test_a_message_whose_host_crashed_is_hidden_for_its_lease_and_then_comes_again(
    start_host: StartHost, messages: Messages, record: Path, tmp_path: Path
):
    app = write_app(tmp_path / "app")
    start_host(app).stop()
    messages.send("crash")

    crashed = subprocess.run([sys.executable, "-c", CRASHING, app], cwd=ROOT, check=False, timeout=60)

    assert crashed.returncode == 9
    assert messages.left() == 1
    assert messages.queue.peek_messages() == []
    start_host(app)
    until(lambda: messages.left() == 0)
    assert [line["attempt"] for line in recorded(record)] == [1, 2]
