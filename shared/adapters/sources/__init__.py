"""The sources: one adapter for each kind of provider, imported when the first mailbox of its kind is opened."""

from importlib import import_module

from shared.adapters.services import SourceServices
from shared.application.ports.connections import Source, Watcher
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
    source: Source = getattr(import_module(module), name)(mailbox, services.through(mailbox.proxy))
    return source


def open_watcher(mailbox: Mailbox, services: SourceServices) -> Watcher:
    """Of a mailbox that has push; it connects on first use."""
    from shared.adapters.sources.graph_subscriptions import GraphWatcher

    return GraphWatcher(mailbox, services.through(mailbox.proxy))
