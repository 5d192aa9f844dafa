import threading
from datetime import timedelta
from pathlib import Path

import pytest

from local.host.engine import HostError
from tests.host.conftest import Messages, StartHost
from tests.host.sample import HOST, recorded, until, write_app


def attempts(record: Path) -> list[tuple[object, object]]:
    return [(line["body"], line["attempt"]) for line in recorded(record)]


def test_a_message_is_given_to_the_function_once_and_deleted(start_host: StartHost, messages: Messages, record, engine):
    start_host(engine=engine)

    messages.send("first", "zweite, äöü")

    until(lambda: messages.left() == 0)
    assert sorted(attempts(record)) == [("first", 1), ("zweite, äöü", 1)]
    assert all(line["has_id"] and line["inserted_in_utc"] for line in recorded(record))


def test_queues_are_created_and_messages_that_waited_are_taken(start_host: StartHost, messages: Messages, record: Path):
    start_host().stop()
    messages.send("waiting")

    start_host()

    until(lambda: messages.left() == 0)
    assert attempts(record) == [("waiting", 1)]
    assert messages.poisoned() == []


def test_a_failed_message_comes_again_after_the_visibility_timeout(
    start_host, messages: Messages, record: Path, engine
):
    start_host(engine=engine)

    messages.send("fail once")

    until(lambda: messages.left() == 0)
    assert attempts(record) == [("fail once", 1), ("fail once", 2)]


def test_a_failed_message_is_hidden_for_the_visibility_timeout(start_host, messages: Messages, record, tmp_path: Path):
    slow = {"version": "2.0", "extensions": {"queues": {"visibilityTimeout": "01:00:00"}}}
    host = start_host(write_app(tmp_path / "app", host=slow))
    messages.send("fail")
    until(lambda: recorded(record))

    assert host.stop()

    assert messages.left() == 1
    assert list(messages.queue.receive_messages()) == []


def test_a_message_that_fails_as_often_as_allowed_becomes_poison(start_host, messages: Messages, record: Path, engine):
    start_host(engine=engine)

    messages.send("fail")

    assert until(messages.poisoned) == ["fail"]
    assert attempts(record) == [("fail", 1), ("fail", 2), ("fail", 3)]
    until(lambda: messages.left() == 0)


def test_a_message_becomes_poison_right_after_its_last_attempt(start_host, messages: Messages, tmp_path: Path):
    once = {"version": "2.0", "extensions": {"queues": {"maxDequeueCount": 1, "visibilityTimeout": "01:00:00"}}}
    start_host(write_app(tmp_path / "app", host=once))

    messages.send("fail")

    assert until(messages.poisoned) == ["fail"]


def test_a_message_taken_too_often_by_hosts_that_crashed_becomes_poison_without_a_run(
    start_host: StartHost, messages: Messages, record: Path
):
    start_host().stop()
    messages.send("unlucky")
    for _ in range(3):
        (message,) = messages.queue.receive_messages(visibility_timeout=60)
        messages.queue.update_message(message.id, message.pop_receipt, visibility_timeout=0)

    start_host()

    assert until(messages.poisoned) == ["unlucky"]
    assert recorded(record) == []


def test_a_message_that_is_not_base64_becomes_poison(start_host: StartHost, messages: Messages, record: Path):
    start_host()

    messages.queue.send_message("not base64!")

    (poison,) = until(messages.poison.peek_messages)
    assert poison.content == "not base64!"
    assert recorded(record) == []


def test_messages_may_be_plain_where_host_json_says_so(
    start_host: StartHost, messages: Messages, record, tmp_path: Path
):
    start_host(
        write_app(tmp_path / "app", host={"version": "2.0", "extensions": {"queues": {"messageEncoding": "none"}}})
    )

    messages.queue.send_message("not base64!")

    assert until(lambda: attempts(record)) == [("not base64!", 1)]


HELD = """
import os, pathlib, threading, time
import azure.functions as func

app = func.FunctionApp()
lock, running, most = threading.Lock(), 0, 0


@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="STORAGE")
def work(message: func.QueueMessage) -> None:
    global running
    with lock:
        running += 1
        with open(os.environ["RECORD"], "a") as lines:
            lines.write(f'{{"running": {running}, "attempt": {message.dequeue_count}}}\\n')
    while not pathlib.Path(os.environ["RECORD"] + ".go").exists():
        time.sleep(0.01)
    with lock:
        running -= 1
"""


def test_as_many_messages_run_at_a_time_as_batch_size_and_threshold_allow(
    start_host: StartHost, messages: Messages, record: Path, tmp_path: Path
):
    few = {"version": "2.0", "extensions": {"queues": {"batchSize": 2, "newBatchThreshold": 1}}}
    start_host(write_app(tmp_path / "app", HELD, few))

    messages.send(*"abcde")

    until(lambda: len(recorded(record)) >= 2)
    assert messages.queue.peek_messages(max_messages=5), "the rest waits in the queue for another instance"
    record.with_suffix(".go").touch()
    until(lambda: messages.left() == 0)
    assert max(line["running"] for line in recorded(record)) <= 3


def test_a_message_stays_hidden_while_its_function_runs_longer_than_the_lease(
    start_host: StartHost, messages: Messages, record: Path, tmp_path: Path
):
    start_host(write_app(tmp_path / "app", HELD, HOST), message_lease=timedelta(seconds=2))
    messages.send("long")
    until(lambda: recorded(record))
    let_storage_time_pass(messages, seconds=4)

    record.with_suffix(".go").touch()

    until(lambda: messages.left() == 0)
    assert [line["attempt"] for line in recorded(record)] == [1]


def let_storage_time_pass(messages: Messages, seconds: int) -> None:
    """Let time pass by the storage's clock, which decides when a message is visible: a marker comes into sight."""
    marker = messages.poison.send_message("marker", visibility_timeout=seconds)
    until(lambda: [each for each in messages.poison.peek_messages(max_messages=32) if each.id == marker.id])


def test_stopping_waits_for_functions_that_run_and_says_when_they_take_too_long(
    start_host: StartHost, messages: Messages, record: Path, tmp_path: Path
):
    patient = start_host(write_app(tmp_path / "app", HELD, HOST))
    messages.send("long")
    until(lambda: recorded(record))
    threading.Timer(0.3, record.with_suffix(".go").touch).start()

    assert patient.stop()
    assert messages.left() == 0

    record.with_suffix(".go").unlink()
    hasty = start_host(tmp_path / "app")
    messages.send("longer")
    until(lambda: len(recorded(record)) == 2)

    assert not hasty.stop(patience=timedelta(seconds=0.1))
    record.with_suffix(".go").touch()
    assert messages.left() == 1


def test_a_connection_without_a_setting_is_refused_at_the_start(start_host: StartHost, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("STORAGE")

    with pytest.raises(HostError, match="work needs the setting STORAGE"):
        start_host()
