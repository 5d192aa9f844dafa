"""The sources: one adapter for each kind of provider, imported when the first mailbox of its kind is opened."""

from dataclasses import replace
from importlib import import_module

from shared.adapters.proxy import ProxyAccess
from shared.adapters.sources.services import SourceServices
from shared.application.ports import Source
from shared.domain.mailbox import Mailbox

SOURCES = {
    "ews": "shared.adapters.sources.ews:EwsSource",
    "gmail": "shared.adapters.sources.gmail:GmailSource",
    "graph": "shared.adapters.sources.graph:GraphSource",
    "imap": "shared.adapters.sources.imap:ImapSource",
    "pop3": "shared.adapters.sources.pop3:Pop3Source",
}
"""The adapter for each `kind` of source settings."""


def open_source(mailbox: Mailbox, services: SourceServices) -> Source:
    """The source that reads this mailbox; it connects on first use."""
    module, _, name = SOURCES[mailbox.source.kind].partition(":")
    proxy = ProxyAccess(mailbox.proxy, services.secrets) if mailbox.proxy else None
    source: Source = getattr(import_module(module), name)(mailbox, replace(services, proxy=proxy))
    return source
