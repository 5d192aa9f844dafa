"""Pick up what was left behind: entries whose request got lost, or whose worker died."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from shared.application.ports.platform import DeliveryRequest
from shared.application.ports.stores import Versioned
from shared.application.services import Services
from shared.domain.outbox import OutboxEntry

_SIDE_BY_SIDE = 16
_MOST_OF_A_MAILBOX = 100
_GRACE = timedelta(minutes=1)
"""What became due just now has a request on its way."""


def sweep(services: Services) -> None:
    """One request for all events and e-mails of a mailbox, and one for each webhook."""
    if not (services.senders.cached() or services.subscriptions.cached()):
        return
    mailbox_ids = [each.id for each in services.mailboxes.cached()]
    due_by = services.clock() - _GRACE

    def due(mailbox_id: str) -> Sequence[Versioned[OutboxEntry]]:
        return services.tickets.owed(mailbox_id, None, _MOST_OF_A_MAILBOX, due_by=due_by)

    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        for mailbox_id, entries in zip(mailbox_ids, pool.map(due, mailbox_ids), strict=True):
            webhooks = {each.value.id for each in entries if each.value.kind == "webhook"}
            others = {None} if len(webhooks) < len(entries) else set[None]()
            for entry_id in webhooks | others:
                services.deliveries.put(DeliveryRequest(mailbox_id, entry_id))
