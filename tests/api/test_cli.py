"""The command-line client, over HTTP against the API itself."""

import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from fastapi.testclient import TestClient

from shared.application import imports
from shared.application.ports.platform import PollRequest
from shared.application.ports.tickets import Commit
from shared.application.services import Services
from shared.cli.__main__ import main
from shared.domain.intake import QuarantineEntry
from shared.domain.message import MessageRef
from tests.api.desk import Desk, mail

Run = Callable[..., int]


@pytest.fixture
def url(api: TestClient) -> Iterator[str]:
    """Where the API is served, to those who have the key."""

    class Handler(BaseHTTPRequestHandler):
        def do_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers["x-functions-key"] != "the-key":
                self.send_error(401)
                return
            answer = api.request(self.command, self.path, content=body, headers=dict(self.headers))
            self.send_response(answer.status_code)
            for name in ("content-type", "etag"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_DELETE = do_any  # noqa: N815 - so the library calls them

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def run(url: str) -> Run:
    return lambda *arguments: main(arguments, {"MAILROOM_URL": url, "MAILROOM_KEY": "the-key"})


def test_mailboxes_are_listed_with_their_health(run: Run, desks: tuple[Desk, Desk], capsys):
    assert run("mailboxes") == 0

    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["id", "ticket_prefix", "name", "address", "enabled", "health", "last_polled_at"]
    assert {line.split()[1] for line in lines} == {"SUP", "BIL"}


def test_answers_are_json_for_programs(run: Run, desk: Desk, capsys):
    assert run("--json", "mailboxes") == 0

    assert desk.id in [each["id"] for each in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize("named", ["SUP", "sup", "Support"])
def test_a_mailbox_is_named_by_its_prefix_or_its_name(run: Run, desk: Desk, queued, named: str):
    assert run("poll", named) == 0

    assert [each["mailbox_id"] for each in queued()] == [desk.id]


def test_a_mailbox_that_is_not_there_is_a_failure(run: Run, capsys):
    assert run("poll", "SUP") == 1
    assert capsys.readouterr().err == "there is no mailbox SUP\n"


def test_a_connection_test_that_fails_exits_with_1_and_tells_what_to_do(run: Run, api: TestClient, support, capsys):
    support["source"]["host"] = "mail.invalid"
    api.post("/api/mailboxes", json=support).raise_for_status()

    assert run("test", "SUP") == 1

    out = capsys.readouterr().out
    assert "FAILED" in out
    assert "name: " in out


def test_messages_are_explained_one_by_one_or_from_an_mbox(run: Run, desk: Desk, tmp_path: Path, capsys):
    (tmp_path / "one.eml").write_bytes(mail("Printer jams").as_bytes())
    many = b"".join(b"From x\n" + mail(subject).as_bytes() + b"\n" for subject in ("First", "Second"))
    (tmp_path / "many.mbox").write_bytes(many)

    assert run("explain", "SUP", str(tmp_path / "one.eml")) == 0
    assert capsys.readouterr().out.startswith("Printer jams: created")
    assert run("--json", "explain", "SUP", str(tmp_path / "many.mbox")) == 0
    assert [each["subject"] for each in json.loads(capsys.readouterr().out)] == ["First", "Second"]


def test_tickets_are_listed_up_to_a_limit(run: Run, desk: Desk, capsys):
    desk.take_in(*(mail(f"Number {index}").as_bytes() for index in range(3)))

    assert run("tickets", "--mailbox", "SUP", "--limit", "2") == 0

    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["SUP-3", "SUP-2"]
    assert all("ann@example.org" in line for line in lines)


def test_nothing_that_mail_says_steers_the_terminal(run: Run, desk: Desk, capsys):
    desk.take_in(mail("=?utf-8?q?=1B]0;owned=07=C2=9B31m?=").as_bytes())

    run("tickets")

    assert {"\x1b", "\x07", "\x9b"}.isdisjoint(capsys.readouterr().out)


@pytest.fixture
def stuck(desk: Desk) -> list[str]:
    """The ids of two messages in quarantine."""
    desk.provider.unfetchable |= {1, 2}
    for messages in ([mail("First").as_bytes(), mail("Second").as_bytes()], [], []):
        desk.take_in(*messages)
    return [each.id for each in desk.services.tickets.quarantine(desk.id)]


def test_a_person_is_erased_once_somebody_confirms(run: Run, desk: Desk, monkeypatch, capsys):
    desk.take_in(mail().as_bytes())
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    refused = run("erase", "ann@example.org")
    assert (refused, desk.services.tickets.ticket(desk.id, 1).value.subject) == (2, "Printer jams")

    assert run("erase", "ann@example.org", "--yes") == 0
    assert desk.services.tickets.ticket(desk.id, 1).value.subject == "[erased]"
    assert re.search(r"^tickets +1$", capsys.readouterr().out, re.MULTILINE)


def test_quarantine_is_listed_and_all_of_it_retried(run: Run, desk: Desk, stuck: list[str], capsys):
    assert run("quarantine", "list", "SUP") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == stuck

    assert run("quarantine", "retry", "SUP") == 0

    told = capsys.readouterr()
    assert [line.split()[:2] for line in told.out.splitlines()[1:]] == [[each, "deferred"] for each in stuck]
    assert told.err.endswith("2/2\n")
    assert desk.services.tickets.quarantine(desk.id) == []


def test_one_message_is_retried_by_its_id(run: Run, desk: Desk, stuck: list[str], capsys):
    assert run("--json", "quarantine", "retry", "SUP", stuck[1]) == 0

    assert [each["id"] for each in json.loads(capsys.readouterr().out)] == [stuck[1]]
    assert [each.id for each in desk.services.tickets.quarantine(desk.id)] == [stuck[0]]


def test_what_was_never_fetched_is_counted_and_not_exported(run: Run, stuck: list[str], tmp_path: Path, capsys):
    assert run("quarantine", "export", "SUP", "--to", str(tmp_path / "out")) == 0
    assert capsys.readouterr().out == f"0 exported to {tmp_path / 'out'}; 2 could never be fetched\n"
    assert run("quarantine", "export", "SUP", "0" * 32, "--to", str(tmp_path)) == 1


def test_what_is_in_quarantine_is_exported_as_it_was_received(run: Run, desk: Desk, tmp_path: Path):
    content = mail("Refused").as_bytes()
    raw = desk.services.raws.keep(desk.id, content)
    entry = QuarantineEntry(MessageRef("INBOX", "1"), desk.services.clock(), 3, "store_rejected", "refused", raw)
    desk.services.tickets.commit(desk.id, Commit(quarantined=[entry]))

    assert run("quarantine", "export", "SUP", "--to", str(tmp_path)) == 0
    assert [each.read_bytes() for each in tmp_path.glob("*.eml")] == [content]


@pytest.fixture
def worked_off(desk: Desk, queued, monkeypatch) -> None:
    """While the client waits, the function that reads the queue does what is on it."""

    def work_off(_: float) -> None:
        for message in queued():
            imports.work(replace(desk.services, open_source=desk.provider.open), PollRequest(**message))

    monkeypatch.setattr("shared.cli.imports.sleep", work_off)


def test_older_mail_is_counted_and_taken_in_while_a_bar_tells(run: Run, desk: Desk, worked_off, capsys):
    desk.take_in(mail("Old").as_bytes(), mail("Older").as_bytes())

    assert run("import", "SUP", "--since", "2020-01-01", "--yes") == 0

    told = capsys.readouterr()
    assert told.out == "at most 2 messages, silently\nduplicate: 2\n"
    assert told.err.splitlines()[-1] == f"import [{'#' * 30}] 2/2"


def test_an_import_that_nobody_confirms_is_cancelled(run: Run, desk: Desk, worked_off, api: TestClient, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())

    assert run("import", "SUP", "--since", "2020-01-01") == 2
    assert [each["state"] for each in api.get(f"/api/mailboxes/{desk.id}/imports").json()["imports"]] == ["cancelled"]


def test_an_import_from_the_future_is_refused(run: Run, desk: Desk, worked_off, capsys):
    assert run("import", "SUP", "--since", "2126-01-01") == 1
    assert "$.since" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_a_file_of_the_configuration_changes_nothing_until_it_is_edited(
    run: Run, desk: Desk, tmp_path: Path, suffix: str, capsys
):
    file = tmp_path / f"mailroom.{suffix}"
    assert run("config", "export", str(file)) == 0
    assert run("config", "plan", str(file), "--check") == 0
    assert capsys.readouterr().out == "nothing to change\n"

    file.write_text(file.read_text().replace("Support", "Help"))

    assert run("config", "plan", str(file)) == 0
    assert run("config", "plan", str(file), "--check") == 4
    assert f"~ mailboxes {desk.id} (Help)\n    name: Support -> Help\n" in capsys.readouterr().out
    assert run("config", "apply", str(file), "--yes") == 0
    assert desk.services.mailboxes.get(desk.id).value.name == "Help"
    assert run("config", "apply", str(file)) == 0, "there is nothing to confirm any more"


def test_nothing_is_applied_that_nobody_confirms(run: Run, desk: Desk, tmp_path: Path, monkeypatch):
    file = tmp_path / "mailroom.yaml"
    run("config", "export", str(file))
    file.write_text(file.read_text().replace("Support", "Help"))
    monkeypatch.setattr("sys.stdin", io.StringIO())

    assert run("config", "apply", str(file)) == 2
    assert desk.services.mailboxes.get(desk.id).value.name == "Support"


def test_dates_that_yaml_reads_as_dates_are_understood(run: Run, desk: Desk, tmp_path: Path, capsys):
    file = tmp_path / "mailroom.yaml"
    run("config", "export", str(file))
    document = yaml.safe_load(file.read_text())
    file.write_text(file.read_text().replace("start_from: now", "start_from: 2026-01-31T00:00:00Z"))

    assert document["mailboxes"][0]["intake"]["start_from"] == "now"
    assert run("config", "plan", str(file)) == 0
    assert "intake.start_from: now -> 2026-01-31T00:00:00" in capsys.readouterr().out


def test_every_problem_of_a_document_is_told(run: Run, tmp_path: Path, capsys):
    file = tmp_path / "mailroom.json"
    file.write_text('{"schema_version": 2, "mailboxen": []}')

    assert run("config", "plan", str(file)) == 1

    told = capsys.readouterr().err
    assert "  $.mailboxen: is not known here\n" in told
    assert "  $.schema_version: is that of a newer Mailroom; this one knows 1\n" in told


@pytest.mark.parametrize(
    ("name", "text"), [("a.json", "{"), ("a.yaml", "a: [1"), ("a.yaml", "a: !!python/none"), ("b", "")]
)
def test_a_file_that_cannot_be_read_is_told(run: Run, tmp_path: Path, name: str, text: str, capsys):
    (tmp_path / name).write_text(text)

    assert run("config", "plan", str(tmp_path / name)) == 1
    assert name in capsys.readouterr().err


def test_an_api_that_is_out_of_reach_exits_with_3(capsys):
    environment = {"MAILROOM_URL": "http://127.0.0.1:9", "MAILROOM_KEY": "the-key"}

    assert main(["mailboxes"], environment) == 3
    assert capsys.readouterr().err == "http://127.0.0.1:9 cannot be reached: ConnectionError\n"


def test_what_is_not_mailroom_is_told_from_it(capsys):
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<h1>Welcome</h1>")

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert main(["mailboxes"], {"MAILROOM_URL": url, "MAILROOM_KEY": "the-key"}) == 3
        server.shutdown()

    assert capsys.readouterr().err == f"127.0.0.1:{server.server_port} answers with no JSON: is that Mailroom?\n"


def test_a_file_that_cannot_be_written_is_told(run: Run, desk: Desk, tmp_path: Path, capsys):
    (tmp_path / "taken").write_text("")
    file = tmp_path / "missing" / "mailroom.json"

    assert run("config", "export", str(file)) == 1
    assert capsys.readouterr().err == f"{file}: No such file or directory\n"
    assert run("quarantine", "export", "SUP", "--to", str(tmp_path / "taken")) == 1
    assert "taken" in capsys.readouterr().err


def test_a_plan_and_a_poll_are_json_for_programs_too(run: Run, desk: Desk, tmp_path: Path, capsys):
    (tmp_path / "none.json").write_text('{"schema_version": 1, "mailboxes": []}')

    assert run("--json", "config", "plan", str(tmp_path / "none.json")) == 0
    assert [each["action"] for each in json.loads(capsys.readouterr().out)["steps"]] == ["remove", "remove"]
    assert run("--json", "poll", "SUP") == 0
    assert set(json.loads(capsys.readouterr().out)) == {"correlation_id"}
    assert run("--json", "config", "apply", str(tmp_path / "none.json"), "--yes") == 0
    assert len(json.loads(capsys.readouterr().out)["digest"]) == 64


def test_a_wrong_key_is_a_refusal(url: str, capsys):
    assert main(["mailboxes"], {"MAILROOM_URL": url, "MAILROOM_KEY": "another"}) == 1
    assert capsys.readouterr().err == "401 Unauthorized\n"


@pytest.mark.parametrize(
    "environment",
    [{}, {"MAILROOM_URL": "https://example.com"}, {"MAILROOM_URL": "http://example.com", "MAILROOM_KEY": "the-key"}],
)
def test_no_key_goes_over_the_network_in_clear(environment: dict[str, str], tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    assert main(["mailboxes"], environment) == 2
    assert "MAILROOM_URL" in capsys.readouterr().err


def test_it_finds_the_api_that_make_run_has_started(url: str, tmp_path: Path, monkeypatch, services: Services, capsys):
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "run.json").write_text(json.dumps({"url": url, "key": "the-key"}))
    monkeypatch.chdir(tmp_path)

    assert main(["--json", "mailboxes"], {}) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_it_runs_as_a_program_of_its_own_without_the_rest_of_mailroom(url: str):
    environment = {**os.environ, "MAILROOM_URL": url, "MAILROOM_KEY": "the-key"}
    code = "import sys, runpy; sys.argv[1:] = ['mailboxes']; runpy.run_module('shared.cli', run_name='__main__')"
    listing = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); {code}"

    done = subprocess.run([sys.executable, "-c", listing], env=environment, capture_output=True, text=True, check=False)

    loaded = set(done.stderr.split())
    assert done.returncode == 0, done.stderr
    assert {name for name in loaded if name.startswith("shared.") and not name.startswith("shared.cli")} == set()
