"""What the guide on webhooks says is so, and its receiver works."""

import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from shared.application.webhooks import deliver_webhook, webhook_entries
from shared.bootstrap import utc_now
from shared.domain.outbox import Delivered, EventType, Later
from shared.domain.webhooks import _WAITS, SubscriptionSettings
from tests.webhooks.conftest import SECRET

PAGE = Path("docs/webhooks.md").read_text()
SETTINGS, EVENT = (json.loads(each) for each in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(application, authority) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with make_server("127.0.0.1", 0, application, handler_class=_Quiet) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"https://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def example(authority, monkeypatch):
    """The receiver of the guide, with its address and the events that it has handled."""
    monkeypatch.setenv("SIGNING_SECRET", SECRET)
    names: dict = {}
    exec(compile(EXAMPLE, "docs/webhooks.md", "exec"), names)  # noqa: S102 - our own guide
    handled: list = []
    names["handle"] = handled.append
    with served(names["application"], authority) as url:
        yield url, handled


@pytest.fixture
def deliver(desk, example):
    """Posts an event to the receiver of the guide as often as it is called."""
    desk.subscribe(url=example[0])
    desk.ticket()
    (entry,) = webhook_entries(desk.services, desk.mailbox.id, desk.event(EventType.TICKET_COMMENTED, by="a@b.example"))
    return lambda clock=utc_now: deliver_webhook(replace(desk.services, clock=clock), desk.mailbox.id, entry)


def test_the_receiver_of_the_guide_handles_an_event_once_however_often_it_comes(example, deliver):
    assert [deliver(), deliver()] == [Delivered()] * 2

    (event,) = example[1]
    assert event["data"]["ticket"]["tag"] == "SUP-1"
    assert shape(event) == shape(EVENT)


def shape(value):
    if isinstance(value, dict) and value:
        return {name: shape(each) for name, each in value.items()}
    return type(value)


def test_the_receiver_of_the_guide_lets_a_secret_be_replaced(desk, example, deliver):
    desk.secrets.values["hook"] = f"whsec_{'A' * 32},{SECRET}"

    assert deliver() == Delivered()


def test_the_receiver_of_the_guide_refuses_what_is_forged(desk, example, deliver):
    desk.secrets.values["hook"] = f"whsec_{'A' * 32}"

    assert isinstance(deliver(), Later)
    assert example[1] == []


def test_the_receiver_of_the_guide_refuses_what_is_old(desk, example, deliver):
    assert isinstance(deliver(clock=lambda: utc_now() - timedelta(minutes=6)), Later)
    assert example[1] == []


def test_the_settings_of_the_guide_are_accepted_and_all_are_told():
    SubscriptionSettings.model_validate({**SETTINGS, "schema_version": 1})

    for name in SubscriptionSettings.model_fields.keys() - {"schema_version", "name"}:
        assert f"| `{name}` |" in PAGE


def test_every_event_is_in_the_guide():
    told = set(re.findall(r"^\| `mailroom\.([a-z_.]+)` \|", PAGE, re.MULTILINE))

    assert told == {*EventType, "test"} - {EventType.MESSAGE_REFUSED, EventType.MAIL_RETURNED}


def test_the_waits_are_those_of_the_guide():
    seconds, minutes, hours = re.search(
        r"again after (\d+) seconds, ([\d, and]+) minutes, ([\d, and]+) hours", PAGE
    ).groups()

    told = [int(seconds), *(60 * int(each) for each in re.findall(r"\d+", minutes))]
    assert (*told, *(3600 * int(each) for each in re.findall(r"\d+", hours))) == _WAITS
