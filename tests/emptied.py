"""Storage as a new deployment finds it, whatever the tests before have left there."""

from dataclasses import fields
from itertools import groupby
from operator import itemgetter

from shared.adapters.storage.clients import TABLES, StorageClients
from shared.adapters.storage.documents import TableDocuments
from shared.application.services import Services
from tests import privacy

_TRANSACTION = 100


def empty(services: Services) -> None:
    """All but tickets, which are in partitions of mailboxes that no other test has, and what is cached of it."""
    clients = services.polls._clients
    for name in TABLES:
        if name != "tickets":
            _empty(clients, name)
    clients.queue("polls").clear_messages()
    clients.queue("deliveries").clear_messages()
    for each in (getattr(services, field.name) for field in fields(services)):
        if isinstance(each, TableDocuments):
            each._cache = None
    services.contacts._forget()
    services.secrets._known.clear()


def _empty(clients: StorageClients, name: str) -> None:
    table = clients.table(name)
    rows = [*table.list_entities()]
    assert [*privacy.rows_with_secrets(name, rows)] == []
    for _, partition in groupby(rows, key=itemgetter("PartitionKey")):
        deletions = [("delete", row) for row in partition]
        for start in range(0, len(deletions), _TRANSACTION):
            table.submit_transaction(deletions[start : start + _TRANSACTION])
