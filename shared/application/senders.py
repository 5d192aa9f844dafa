"""Configured senders: which one is the primary, and what about one deserves a warning."""

from collections.abc import Iterator

from shared.application.configuration import Kind, find, put
from shared.application.health import tls_risks
from shared.application.ports.stores import Versioned
from shared.application.services import Services
from shared.domain.errors import Invalid, Problem
from shared.domain.retirements import sender_retirement
from shared.domain.senders import EwsTransport, Sender, SenderSettings, SmtpTransport


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


def warnings(sender: Sender) -> Iterator[str]:
    if advice := sender_retirement(sender.transport):
        yield advice
    if isinstance(sender.transport, SmtpTransport | EwsTransport):
        yield from tls_risks(sender.transport.tls)


SENDERS = Kind(
    noun="sender",
    settings=SenderSettings,
    stored=Sender,
    store=lambda services: services.senders,
    read_only=("primary", "warnings"),
    exported=("made_primary_at",),
)
