"""Configured senders: which one is the primary, and which must stay."""

from collections.abc import Iterator

from shared.application.configuration import Kind, find, put
from shared.application.ports.stores import Versioned
from shared.application.services import Services
from shared.domain.errors import Invalid, Problem
from shared.domain.senders import Sender, SenderSettings


def find_sender(services: Services, sender_id: str) -> Versioned[Sender]:
    """:raises NotFound:"""
    return find(services, SENDERS, sender_id)


def make_primary(services: Services, current: Versioned[Sender]) -> Versioned[Sender]:
    """Have it stand in for all others.

    :raises Invalid: it is not enabled.
    :raises PreconditionFailed: it is not the current version any more.
    """
    if not current.value.enabled:
        raise Invalid([Problem("$.enabled", "must be true before the sender can be the primary one")])
    chosen = current.value.model_copy(update={"made_primary_at": services.clock()})
    return put(services, SENDERS, current, chosen, "made primary")


def _needed_by(services: Services, sender: Sender) -> Iterator[str]:
    """Without any sender nothing would ever be done about what is owed."""
    for mailbox in services.mailboxes.all():
        if mailbox.value.notices.sender_id == sender.id:
            yield f"mailbox {mailbox.value.id}"
    for rule in services.outgoing_rules.all():
        if rule.value.sender_id == sender.id:
            yield f"outgoing rule {rule.value.id}"
    if all(each.value.id == sender.id for each in services.senders.all()):
        for mailbox in services.mailboxes.all():
            if services.tickets.owed(mailbox.value.id, "email", 1):
                yield f"what waits to be sent in mailbox {mailbox.value.id}"


SENDERS = Kind(
    noun="sender",
    settings=SenderSettings,
    stored=Sender,
    store=lambda services: services.senders,
    read_only=("primary", "warnings"),
    exported=("made_primary_at",),
    needed_by=_needed_by,
)
