"""Mailroom itself under both engines, each of its functions run for real: from the timer to the answer of the API."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local import azurite, dovecot
from local.run.host_process import run_host
from local.run.kept import free_port
from local.world import World, run_world
from tests.host.sample import until
from tests.servers import require

MESSAGE = (
    b"From: ann@example.org\r\nTo: support@example.com\r\nSubject: It works\r\nMessage-ID: <1@x>\r\n\r\nHello.\r\n"
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    require(azurite.COMMAND.exists(), "Azurite (npm ci --prefix local)")
    require(dovecot.COMMAND is not None, "Dovecot (dovecot-imapd)")
    with run_world() as world:
        yield world


@pytest.mark.parametrize("kind", ["imap", "graph"])
def test_a_message_becomes_a_ticket(world: World, engine: str, kind: str, tmp_path: Path):
    make = world.imap_mailbox if kind == "imap" else world.graph_mailbox
    configured = make([MESSAGE]).model_dump(mode="json", exclude={"id", "created_at"})
    settings = {**configured, "ticket_prefix": f"{kind}{engine[0]}".upper()}
    environment = {**world.environment, "POLL_SCHEDULE": "* * * * * *"}
    port = free_port(0)
    base, headers = f"http://127.0.0.1:{port}/api", {"x-functions-key": "key"}
    with (
        run_host(tmp_path, port, "key", environment, engine=engine),
        httpx.Client(base_url=base, headers=headers, timeout=30) as client,
    ):
        until(lambda: _is_up(client))

        created = client.post("/mailboxes", json=settings)
        assert created.status_code == 201, created.text
        mailbox = created.json()["id"]
        (ticket,) = until(lambda: client.get(f"/tickets?mailbox={mailbox}").json()["tickets"])
        stopped = {**settings, "enabled": False}
        disabled = client.put(f"/mailboxes/{mailbox}", json=stopped, headers={"If-Match": created.headers["ETag"]})
        assert disabled.status_code == 200, disabled.text

    assert ticket["subject"] == "It works"
    log = (tmp_path / "host.log").read_text()
    assert '"event": "poll.finished"' in log
    assert not [private for private in ("ann@example.org", "It works", "Hello.", dovecot.PASSWORD) if private in log]


def _is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False
