"""The senders: one adapter for each kind of outgoing server, imported when the first sender of its kind is opened."""

from importlib import import_module

from shared.adapters.services import SourceServices
from shared.application.ports.connections import SenderConnection
from shared.domain.senders import Sender

SENDERS = {
    "ews": "shared.adapters.senders.ews:EwsSender",
    "gmail": "shared.adapters.senders.gmail:GmailSender",
    "graph": "shared.adapters.senders.graph:GraphSender",
    "smtp": "shared.adapters.senders.smtp:SmtpSender",
}
"""The adapter for each `kind` of transport."""


def open_sender(sender: Sender, services: SourceServices) -> SenderConnection:
    """The connection that sends through it; it connects on first use."""
    module, _, name = SENDERS[sender.transport.kind].partition(":")
    connection: SenderConnection = getattr(import_module(module), name)(sender, services.through(sender.proxy))
    return connection
