import itertools
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from local.host import FunctionsHost
from local.host.engine import FunctionFailed, HostError
from tests.host.conftest import StartHost
from tests.host.sample import SAMPLE, recorded, until, write_app


def test_a_timer_runs_when_it_is_due_again_and_again(start_host: StartHost, record: Path, monkeypatch, engine):
    monkeypatch.setenv("SCHEDULE", "* * * * * *")
    start_host(engine=engine)

    ticks = until(lambda: recorded(record)[2:] and recorded(record))

    assert {tick["past_due"] for tick in ticks} == {False}
    for before, tick in itertools.pairwise(ticks):
        assert datetime.fromisoformat(tick["status"]["Last"]) >= datetime.fromisoformat(before["status"]["Next"])


def test_a_timer_that_failed_runs_again_when_it_is_due(start_host: StartHost, record: Path, monkeypatch):
    monkeypatch.setenv("SCHEDULE", "* * * * * *")
    monkeypatch.setenv("TICK_FAILS", "yes")
    start_host()

    until(lambda: len(recorded(record)) >= 2)


def test_an_occurrence_missed_while_the_host_was_down_is_run_at_the_start_as_past_due(
    start_host: StartHost, record: Path, tmp_path: Path
):
    start_host().stop()
    assert recorded(record) == []
    status = tmp_path / "state" / "tick.timer.json"
    kept = json.loads(status.read_text())
    status.write_text(json.dumps({**kept, "LastUpdated": "2020-01-01T00:00:00+00:00"}))

    start_host()

    (tick,) = until(lambda: recorded(record))
    assert tick["past_due"]
    assert tick["status"]["Next"] == "2020-02-29T00:00:00+00:00"
    until(lambda: datetime.fromisoformat(json.loads(status.read_text())["Next"]) > datetime.now(UTC))


def test_a_restart_in_time_runs_nothing(start_host: StartHost, record: Path):
    start_host().stop()
    start_host().stop()

    assert recorded(record) == []


def test_a_timer_without_a_monitor_keeps_nothing_and_is_never_past_due(start_host: StartHost, record, tmp_path: Path):
    app = write_app(tmp_path / "app", SAMPLE.replace('arg_name="timer"', 'arg_name="timer", use_monitor=False'))
    host = start_host(app)

    host.run_timer("tick")

    assert recorded(record) == [{"past_due": False, "status": {}}]
    assert list((tmp_path / "state").iterdir()) == []


def test_a_timer_can_be_run_now(start_host: StartHost, record: Path, monkeypatch, engine):
    host = start_host(engine=engine)

    host.run_timer("tick")

    assert len(recorded(record)) == 1
    monkeypatch.setenv("TICK_FAILS", "yes")
    with pytest.raises(FunctionFailed):
        host.run_timer("tick")


def admin(host: FunctionsHost, client: httpx.Client, function: str, key: str, body: str = "") -> int:
    answer = client.post(f"{host.url}/admin/functions/{function}", content=body, headers={"x-functions-key": key})
    return answer.status_code


def test_the_master_key_runs_a_timer_or_queue_function_now(start_host: StartHost, client, record: Path):
    host = start_host()

    assert admin(host, client, "tick", host.master_key) == 202
    until(lambda: len(recorded(record)) == 1)
    assert admin(host, client, "work", host.master_key, '{"input": "by hand"}') == 202
    by_hand = until(lambda: recorded(record)[1:])
    assert by_hand == [{"body": "by hand", "attempt": 1, "has_id": False, "inserted_in_utc": None}]


def test_only_the_master_key_runs_functions_and_only_those_that_exist(start_host: StartHost, client, record: Path):
    host = start_host()

    assert admin(host, client, "tick", host.key) == 401
    assert admin(host, client, "tick", "") == 401
    assert admin(host, client, "nobody", host.master_key) == 404
    assert admin(host, client, "work", host.master_key, "[]") == 400
    assert recorded(record) == []


@pytest.mark.parametrize("schedule", ["every minute", "0 0 0 31 4 *"])
def test_a_schedule_that_cannot_run_is_refused_at_the_start(start_host: StartHost, monkeypatch, schedule: str):
    monkeypatch.setenv("SCHEDULE", schedule)

    with pytest.raises(HostError, match="tick: "):
        start_host()


OVERLAPPING = """
import os, time
import azure.functions as func

app = func.FunctionApp()


@app.timer_trigger(schedule="* * * * * *", arg_name="timer")
def slow(timer: func.TimerRequest) -> None:
    for word in ("begin", "end"):
        with open(os.environ["RECORD"], "a") as lines:
            lines.write(f'{{"word": "{word}"}}\\n')
        time.sleep(0.7)
"""


def test_runs_of_one_timer_never_overlap(start_host: StartHost, record: Path, tmp_path: Path):
    host = start_host(write_app(tmp_path / "app", OVERLAPPING))
    host.run_timer("slow")
    host.run_timer("slow")

    words = [line["word"] for line in recorded(record)]

    assert words[:4] == ["begin", "end", "begin", "end"]
