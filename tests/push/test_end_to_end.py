"""From a message in Exchange to its ticket in seconds, in the real functions, by notifications alone (req C14)."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local import azurite, dovecot
from local.run.host_process import run_host
from local.run.kept import free_port
from local.world import World, run_world
from shared.domain.schedule import Schedule
from tests.host.sample import until
from tests.push.conftest import PUBLIC_URL
from tests.servers import require

MESSAGE = b"From: ann@example.org\r\nTo: s@example.com\r\nSubject: At once\r\nMessage-ID: <1@x>\r\n\r\nHello.\r\n"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    require(azurite.COMMAND.exists(), "Azurite (npm ci --prefix local)")
    require(dovecot.COMMAND is not None, "Dovecot (dovecot-imapd)")
    with run_world() as world:
        yield world


def test_a_message_is_a_ticket_long_before_the_next_poll(world: World, tmp_path: Path):
    mailbox = world.graph_mailbox([], schedule=Schedule(interval_seconds=86_400))
    settings = mailbox.model_dump(mode="json", exclude={"id", "created_at"})
    settings["source"]["push"] = True
    port = free_port(0)
    world.simulators.graph.subscriptions.fronts[PUBLIC_URL] = f"http://127.0.0.1:{port}"
    environment = {**world.environment, "PUBLIC_URL": PUBLIC_URL}
    with (
        run_host(tmp_path, port, "key", environment, master_key="master"),
        httpx.Client(base_url=f"http://127.0.0.1:{port}/api", headers={"x-functions-key": "key"}, timeout=30) as client,
    ):
        until(lambda: _is_up(client))
        created = client.post("/mailboxes", json=settings)
        assert created.status_code == 201, created.text
        found = created.json()["id"]
        sweep = f"http://127.0.0.1:{port}/admin/functions/sweep"
        assert httpx.post(sweep, headers={"x-functions-key": "master"}, json={}, trust_env=False).status_code == 202
        until(lambda: world.simulators.graph.subscriptions.of(mailbox.address))

        world.simulators.graph.deliver(mailbox.address, MESSAGE)

        (ticket,) = until(lambda: client.get(f"/tickets?mailbox={found}").json()["tickets"])
        (run,) = until(lambda: client.get(f"/mailboxes/{found}/runs").json()["runs"])  # the poll ends after the commit
    assert (ticket["subject"], run["reason"]) == ("At once", "push")


def _is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False
