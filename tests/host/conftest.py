import base64
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from azure.storage.queue import QueueClient

from local.azurite import Azurite
from local.host import FunctionsHost
from tests.host.sample import write_app


@pytest.fixture(params=["converters", "runtime"])
def engine(request: pytest.FixtureRequest) -> str:
    if request.param == "runtime" and sys.version_info < (3, 13):
        pytest.skip("azure-functions-runtime needs Python 3.13")
    return request.param


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Where the sample app writes down what it was given."""
    return tmp_path / "record"


@pytest.fixture
def queue_name() -> str:
    return f"work-{uuid.uuid4().hex}"


@pytest.fixture(autouse=True)
def settings(azurite: Azurite, record: Path, queue_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the sample app needs. Its timer is due once in four years unless a test says otherwise."""
    monkeypatch.setenv("RECORD", str(record))
    monkeypatch.setenv("SCHEDULE", "0 0 0 29 2 *")
    monkeypatch.setenv("QUEUE", queue_name)
    monkeypatch.setenv("STORAGE", azurite.connection_string)


class Messages:
    """A queue as a sender sees it, with its poison queue."""

    def __init__(self, storage: Azurite, name: str) -> None:
        self.queue = QueueClient.from_connection_string(storage.connection_string, name)
        self.poison = QueueClient.from_connection_string(storage.connection_string, f"{name}-poison")

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.queue.send_message(base64.b64encode(body.encode()).decode())

    def left(self) -> int:
        return self.queue.get_queue_properties().approximate_message_count

    def poisoned(self) -> list[str]:
        return [base64.b64decode(message.content).decode() for message in self.poison.peek_messages(max_messages=32)]


@pytest.fixture
def messages(azurite: Azurite, queue_name: str) -> Iterator[Messages]:
    messages = Messages(azurite, queue_name)
    with messages.queue, messages.poison:
        yield messages


StartHost = Callable[..., FunctionsHost]


@pytest.fixture
def start_host(tmp_path: Path) -> Iterator[StartHost]:
    """Start a host with the sample app, or with the app in the folder given; it is stopped after the test."""
    with ExitStack() as stops:

        def start(app: Path | None = None, **options: object) -> FunctionsHost:
            host = FunctionsHost(app or write_app(tmp_path / "app"), tmp_path / "state", **options)
            host.start()
            stops.callback(host.stop)
            return host

        yield start


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client
