import json
from datetime import timedelta
from pathlib import Path

import pytest

from local.host.engine import Function, HostError
from local.host.settings import HostSettings, expand, read_host_json


def read(folder: Path, **document: object) -> HostSettings:
    (folder / "host.json").write_text(json.dumps({"version": "2.0", **document}))
    return read_host_json(folder)


def test_what_host_json_leaves_out_is_as_on_azure(tmp_path: Path):
    settings = read(tmp_path)

    assert settings.route_prefix == "api"
    assert settings.queues.batch_size == 16
    assert settings.queues.new_batch_threshold == 8
    assert settings.queues.max_dequeue_count == 5
    assert settings.queues.visibility_timeout == timedelta()
    assert settings.queues.message_encoding == "base64"


def test_host_json_is_read(tmp_path: Path):
    queues = {"batchSize": 4, "newBatchThreshold": 0, "visibilityTimeout": "1.02:03:04", "messageEncoding": "none"}

    settings = read(tmp_path, functionTimeout="00:10:00", extensions={"http": {"routePrefix": ""}, "queues": queues})

    assert (settings.route_prefix, settings.function_timeout) == ("", "00:10:00")
    assert (settings.queues.batch_size, settings.queues.new_batch_threshold) == (4, 0)
    assert settings.queues.visibility_timeout == timedelta(days=1, hours=2, minutes=3, seconds=4)
    assert settings.queues.message_encoding == "none"


def test_an_empty_queue_is_looked_at_every_two_seconds_at_least(tmp_path: Path):
    settings = read(tmp_path, extensions={"queues": {"maxPollingInterval": "00:00:30"}})

    assert settings.queues.max_polling_interval == timedelta(seconds=2)


@pytest.mark.parametrize("queues", [{"visibilityTimeout": "60"}, {"messageEncoding": "utf-8"}])
def test_what_cannot_be_read_in_host_json_is_refused(tmp_path: Path, queues: dict[str, str]):
    with pytest.raises(HostError, match=r"host\.json"):
        read(tmp_path, extensions={"queues": queues})


def test_settings_named_in_a_binding_are_replaced(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STAGE", "blue")
    function = Function("f", ({"type": "queueTrigger", "queueName": "work-%STAGE%-%STAGE%", "useMonitor": True},))

    expanded = expand(function)

    assert expanded.trigger == {"type": "queueTrigger", "queueName": "work-blue-blue", "useMonitor": True}


def test_a_missing_setting_is_named_with_the_function_that_needs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("STAGE", raising=False)

    with pytest.raises(HostError, match="poll_mailbox needs the setting STAGE"):
        expand(Function("poll_mailbox", ({"type": "queueTrigger", "queueName": "%STAGE%"},)))
