from datetime import UTC, datetime

from local.dovecot import PASSWORD
from local.world import World
from shared.application.poll import poll
from shared.application.ports.platform import PollRequest
from shared.application.services import Services


def test_a_poll_notes_when_the_secret_of_its_mailbox_expires(world: World, services: Services, monkeypatch):
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    expires_at = datetime(2027, 1, 31, tzinfo=UTC)
    world.simulators.vault.put("imap-password", PASSWORD, exp=int(expires_at.timestamp()))
    mailbox = world.imap_mailbox([])
    services.mailboxes.add(mailbox)

    poll(services, PollRequest(mailbox.id, "demand", "expiry"))

    health = services.schedule.get(mailbox.id)
    assert health.error_code is None
    assert health.secret_expires_at == expires_at
