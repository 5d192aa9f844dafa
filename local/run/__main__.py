"""`make run`: Mailroom with two mailboxes full of sample mail, on this machine alone."""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from local.run.api import Api, ApiFailed, NoAnswer
from local.run.demo import Demo, run_demo
from local.run.drops import DropFolder
from local.run.host_process import HostProcess, run_host
from local.run.kept import Kept, RunFailed, free_port, locked, write_private
from local.run.teller import Teller, introduce, say

_TICK_SECONDS = 0.3
_START_TICKS = 200


def main() -> int:
    folder, port = _arguments()
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    try:
        with locked(folder, _taken(folder)):
            _run(folder, port, stopping)
    except (RunFailed, RuntimeError, OSError) as error:
        print(f"Mailroom cannot run: {error}", file=sys.stderr)
        return 1
    say("Mailroom has stopped.")
    return 0


def _arguments() -> tuple[Path, int]:
    parser = argparse.ArgumentParser(prog="python -m local.run", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".local/run"), help="where all data are kept")
    parser.add_argument(
        "--port", type=int, default=7071, help="port of the API; another one is taken if it is not free"
    )
    given = parser.parse_args()
    return given.folder, given.port


def _taken(folder: Path) -> str:
    running = folder.with_suffix(".json")
    where = json.loads(running.read_text())["url"] if running.exists() else "an address it does not have yet"
    return f"it is running already, at {where}. Ctrl-C in its terminal ends it."


def _run(folder: Path, port: int, stopping: threading.Event) -> None:
    say("Starting ...")
    kept = Kept.load(folder)
    with ExitStack() as stack:
        demo = stack.enter_context(run_demo(folder, kept))
        port = free_port(port)
        host = stack.enter_context(run_host(folder, port, kept.key, demo.environment))
        api = Api(f"http://127.0.0.1:{port}", kept.key)
        stack.callback(say, "Stopping ...")
        if _is_answering(host, api, stopping):
            with _told_to_scripts(folder, api):
                introduce(api, folder, demo)
                _follow(host, Teller(api, _configured(folder, api, demo), host.log, demo.smtp.received), stopping)


def _is_answering(host: HostProcess, api: Api, stopping: threading.Event) -> bool:
    """False when it shall stop before. :raises RunFailed: it does not start."""
    for _ in range(_START_TICKS):
        if stopping.wait(_TICK_SECONDS):
            return False
        if host.has_ended:
            break
        try:
            api.get("/api/health")
        except NoAnswer:
            continue
        return True
    raise RunFailed(f"the functions host did not start; its log {host.log} tells why")


@contextmanager
def _told_to_scripts(folder: Path, api: Api) -> Iterator[None]:
    path = folder.with_suffix(".json")
    write_private(path, {"url": api.url, "key": api.key})
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _configured(folder: Path, api: Api, demo: Demo) -> dict[str, DropFolder]:
    api.configure_sender(demo.sender)
    ids = {api.configure(mailbox): mailbox for mailbox in demo.mailboxes}
    return {each: DropFolder(folder / "drop" / box.name.lower(), box, each) for each, box in ids.items()}


def _follow(host: HostProcess, teller: Teller, stopping: threading.Event) -> None:
    while not stopping.wait(_TICK_SECONDS):
        if host.has_ended:
            raise RunFailed(f"the functions host ended; its log {host.log} tells why")
        teller.look()
        try:
            for entry in host.entries():
                teller.tell(entry)
        except ApiFailed as error:
            say(str(error))


if __name__ == "__main__":
    sys.exit(main())
