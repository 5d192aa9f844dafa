"""The whole of `make run`, as a person would use it: started, read, given mail, ended, started again."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.azurite import COMMAND
from local.run.api import Api
from tests.servers import require

pytestmark = pytest.mark.xdist_group("make run")
PATIENCE_SECONDS = 60
PROJECT = Path(__file__).parent.parent.parent
SAMPLES = {"Support (Graph)": "graph", "Billing (IMAP)": "imap"}


@dataclass
class Run:
    process: "subprocess.Popen[str]"
    folder: Path
    lines: list[str]

    @property
    def api(self) -> Api:
        return Api(**json.loads(self.folder.with_suffix(".json").read_text()))

    def until(self, pattern: str) -> "re.Match[str]":
        """Wait until a line is told that has this in it."""
        return wait_for(lambda: next(filter(None, (re.search(pattern, line) for line in [*self.lines])), None), self)

    def intake(self, label: str) -> Counter[str]:
        """The outcomes that are told, and `messages`."""
        told = self.until(re.escape(label) + r": (\d+ messages?: .*)")[1]
        return Counter({word.rstrip("s"): int(number) for number, word in re.findall(r"(\d+) (\w+)", told)})

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)


def wait_for(found: Callable[[], Any], run: Run) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (result := found()):
        assert time.monotonic() < deadline, "".join(run.lines)
        time.sleep(0.05)
    return result


def processes_of(folder: Path) -> dict[int, str]:
    """Every process that has the folder in its command line."""
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    found = (line.split(maxsplit=1) for line in listed.splitlines() if str(folder) in line)
    return {int(pid): arguments for pid, arguments in found}


@contextmanager
def started(folder: Path) -> Iterator[Run]:
    command = [sys.executable, "-m", "local.run", "--folder", str(folder), "--port", "0"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        run = Run(process, folder, [])
        reader = threading.Thread(target=lambda: run.lines.extend(process.stdout or ()))
        reader.start()
        try:
            yield run
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)
            reader.join()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require(COMMAND.exists(), "Azurite (npm ci --prefix local)")
    return tmp_path_factory.mktemp("demo") / "run"


@pytest.fixture(scope="module")
def run(folder: Path) -> Iterator[Run]:
    with started(folder) as run:
        run.until("Ctrl-C")
        yield run


@pytest.fixture(scope="module")
def restarted(run: Run) -> Iterator[Run]:
    """The next run of the same folder, while something else has the port of the IMAP server."""
    run.end(signal.SIGTERM)
    imap_port = json.loads((run.folder / "kept.json").read_text())["imap_port"]
    with socket.create_server(("127.0.0.1", imap_port)), started(run.folder) as again:
        yield again


def tickets_of(api: Api) -> list[dict[str, Any]]:
    listed = api.get("/api/tickets", status="all", limit=200)
    assert listed["continuation"] is None
    return list(listed["tickets"])


def test_all_sample_mail_becomes_tickets_and_comments_and_its_outcomes_are_told(run: Run):
    told = {label: run.intake(label) for label in SAMPLES}

    for label, sample in SAMPLES.items():
        assert told[label]["message"] == len([*(PROJECT / "local" / "mail" / sample).glob("*.eml")])
        assert told[label]["message"] == told[label].total() - told[label]["message"]
    tickets, total = tickets_of(run.api), sum(told.values(), Counter())
    assert len(tickets) == total["created"]
    assert sum(ticket["comment_count"] for ticket in tickets) == total["created"] + total["appended"]
    assert total["created"] + total["appended"] >= 40


def test_the_lines_to_paste_work_in_a_shell(run: Run):
    require(shutil.which("curl") is not None, "curl")
    pasted = [line for line in run.lines if line.startswith("  curl ")]

    answers = [json.loads(subprocess.check_output(["sh", "-c", line], text=True)) for line in pasted]

    health, tickets, ticket = answers
    assert {each["name"]: each["level"] for each in health["mailboxes"]} == {"Support": "ok", "Billing": "ok"}
    assert len(tickets["tickets"]) == 5
    assert ticket["tag"] == "SUP-1"
    assert ticket["comments"][0]["text"]


def test_eml_files_that_are_dropped_become_tickets_or_comments_or_are_known_which_is_told(run: Run):
    drops = run.folder / "drop"
    ticket = run.api.get("/api/tickets/SUP-1")
    requester, answered = ticket["requester"]["address"], ticket["comments"][0]["message"]["message_id"]
    shutil.copy(PROJECT / "local/mail/imap/01-plain-invoice-question.eml", drops / "billing" / "again.eml")
    (drops / "billing" / "new.EML").write_bytes(b"From: me@example.net\nSubject: The lift is stuck\n\nAgain.\n")
    (drops / "support" / "reply.eml").write_bytes(
        f"From: {requester}\nSubject: More\nIn-Reply-To: {answered}\n\nMore about it.\n".encode()
    )

    tag = run.until(r'(BIL-\d+) "The lift is stuck" was created from new.EML')[1]
    assert run.api.get(f"/api/tickets/{tag}")["requester"]["address"] == "me@example.net"
    assert run.until(r"(SUP-\d+) .* has a comment from reply.eml")[1] == "SUP-1"
    assert run.until(r"(BIL-\d+) .* has had this before: again.eml")[1] == "BIL-1"
    assert {path.name.partition("-")[2] for path in drops.glob("*/*/*.*")} == {"again.eml", "new.EML", "reply.eml"}
    assert [*drops.glob("*/*.*")] == []


def test_acknowledgements_are_told_and_kept(run: Run):
    (run.folder / "drop" / "billing" / "thanks.eml").write_bytes(
        b"From: thankful@example.net\nSubject: Thanks for the lift\n\nIt works again.\n"
    )

    def kept() -> list[str]:
        return [path.read_text("utf-8", "replace") for path in (run.folder / "sent").glob("*.eml")]

    def told() -> int:
        """Several that went out between two looks are one line."""
        lines = [line for line in run.lines if 'Sent "' in line]
        more = re.findall(r", and (\d+) more", "".join(lines))
        return len(lines) + sum(map(int, more))

    found = wait_for(lambda: [each for each in kept() if re.search(r"\[BIL-\d+\] Thanks for the lift", each)], run)
    assert len(found) == 1
    assert "thankful@example.net" in found[0]
    wait_for(lambda: told() >= len(kept()), run)


def test_a_second_run_beside_the_first_is_refused_and_says_where_the_first_is(run: Run):
    with started(run.folder) as second:
        assert second.process.wait(PATIENCE_SECONDS) == 1
        second.until(re.escape(f"running already, at {run.api.url}"))

    assert {each["level"] for each in run.api.get("/api/health")["mailboxes"]} == {"ok"}


def test_only_the_owner_can_read_the_key(run: Run):
    private = [run.folder.with_suffix(".json"), run.folder / "kept.json"]

    assert [path.stat().st_mode & 0o077 for path in private] == [0, 0]


def test_ctrl_c_ends_everything_and_leaves_nothing_running(run: Run):
    assert len(processes_of(run.folder)) >= 3

    assert run.end(signal.SIGINT) == 0

    assert processes_of(run.folder) == {}
    assert not run.folder.with_suffix(".json").exists()
    assert "Traceback" not in "".join(run.lines)


def test_the_next_run_goes_on_with_the_same_data_even_where_a_port_is_taken_meanwhile(run: Run, restarted: Run):
    for label in SAMPLES:
        restarted.until(re.escape(label) + "(: no new mail| can be polled again)")

    created = sum(int(number) for line in run.lines for number in re.findall(r"(\d+) created", line))
    assert len(tickets_of(restarted.api)) == created > 0


def test_when_the_functions_host_dies_it_is_told_and_everything_ends(restarted: Run):
    restarted.until("Ctrl-C")
    host = next(pid for pid, arguments in processes_of(restarted.folder).items() if "local.host" in arguments)

    os.kill(host, signal.SIGKILL)

    assert restarted.process.wait(PATIENCE_SECONDS) == 1
    restarted.until(r"functions host ended; its log .*host\.log tells why")
    assert processes_of(restarted.folder) == {}
