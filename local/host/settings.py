"""host.json, and the settings that bindings name."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, cast

from local.host.engine import Function, HostError

_SETTING = re.compile(r"%(\w+)%")
_TIMESPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})")
# The longest pause between two looks at an empty queue that Azure takes on a developer's machine.
_LOCAL_POLLING = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class QueueSettings:
    batch_size: int
    new_batch_threshold: int
    max_dequeue_count: int
    visibility_timeout: timedelta
    max_polling_interval: timedelta
    message_encoding: Literal["base64", "none"]


@dataclass(frozen=True, slots=True)
class HostSettings:
    route_prefix: str
    function_timeout: str
    queues: QueueSettings


def read_host_json(folder: Path) -> HostSettings:
    """With Azure's defaults for what is not set. :raises HostError: a value cannot be read."""
    document = json.loads((folder / "host.json").read_text())
    extensions = document.get("extensions", {})
    return HostSettings(
        route_prefix=extensions.get("http", {}).get("routePrefix", "api"),
        function_timeout=document.get("functionTimeout", "not limited"),
        queues=_queues(extensions.get("queues", {})),
    )


def _queues(section: Mapping[str, Any]) -> QueueSettings:
    batch_size = int(section.get("batchSize", 16))
    encoding = section.get("messageEncoding", "base64")
    if encoding not in ("base64", "none"):
        raise HostError(f"host.json: messageEncoding {encoding!r} is neither base64 nor none")
    return QueueSettings(
        batch_size=batch_size,
        new_batch_threshold=int(section.get("newBatchThreshold", batch_size // 2)),
        max_dequeue_count=int(section.get("maxDequeueCount", 5)),
        visibility_timeout=_timespan(section.get("visibilityTimeout", "00:00:00")),
        max_polling_interval=min(_timespan(section.get("maxPollingInterval", "00:01:00")), _LOCAL_POLLING),
        message_encoding=cast("Literal['base64', 'none']", encoding),
    )


def _timespan(text: str) -> timedelta:
    found = _TIMESPAN.fullmatch(text)
    if found is None:
        raise HostError(f"host.json: {text!r} is not a time span such as 00:01:00")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def expand(function: Function) -> Function:
    """Put the environment's values where bindings say `%NAME%`. :raises HostError: a setting is missing."""
    bindings = tuple(
        {key: _expanded(function.name, value) for key, value in each.items()} for each in function.bindings
    )
    return Function(function.name, bindings)


def _expanded(function: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _SETTING.sub(lambda found: setting(function, found[1]), value)


def setting(function: str, name: str) -> str:
    """The value of an app setting that a function needs. :raises HostError: it is missing."""
    value = os.environ.get(name)
    if not value:
        raise HostError(f"{function} needs the setting {name}, which is not set")
    return value
