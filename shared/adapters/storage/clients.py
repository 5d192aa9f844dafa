"""The Azure Storage clients of the process, and the one place where their errors become ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

import requests
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ResourceExistsError
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableClient, TableServiceClient
from requests.adapters import HTTPAdapter

from shared.domain.errors import StoreRejected, StoreUnavailable
from shared.settings import StorageSettings

TABLES = ("tickets", "mailboxes", "senders", "schedule", "signins", "contacts", "audit")
RAW_CONTAINER = "raw-mail"
POLLS_QUEUE, DELIVERIES_QUEUE = "polls", "deliveries"

_SECONDS = 30
"""For a connection, and for an answer: a service that hangs must not hold a poll until its function is ended."""

_TRANSIENT = (401, 403, 404, 408, 429)
"""Statuses below 500 that a correct deployment outgrows: roles and resources take minutes to appear."""


class StorageClients:
    """One client per service, all on one pool of connections, opened on first use.

    With a connection string (never in Azure) tables, container and queue are created where they are missing;
    in Azure the deployment makes them.
    """

    def __init__(self, settings: StorageSettings, credential: Any) -> None:
        self._settings = settings
        self._credential = credential

    @cached_property
    def session(self) -> requests.Session:
        session = requests.Session()
        adapter = HTTPAdapter(pool_maxsize=64)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session

    @cached_property
    def _tables(self) -> TableServiceClient:
        service: TableServiceClient = self._open(TableServiceClient, self._settings.table_endpoint)
        for name in TABLES if self._settings.connection_string else ():
            service.create_table_if_not_exists(name)
        return service

    def table(self, name: str) -> TableClient:
        return self._tables.get_table_client(name)

    @cached_property
    def raw_container(self) -> Any:
        from azure.storage.blob import ContainerClient

        container = self._open(ContainerClient, self._settings.blob_endpoint, RAW_CONTAINER)
        return self._created(container, container.create_container)

    @cached_property
    def _queues(self) -> dict[str, Any]:
        from azure.storage.queue import QueueClient, TextBase64EncodePolicy

        policy = TextBase64EncodePolicy()  # what the Functions host decodes
        endpoint, names = self._settings.queue_endpoint, (POLLS_QUEUE, DELIVERIES_QUEUE)
        opened = {name: self._open(QueueClient, endpoint, name, message_encode_policy=policy) for name in names}
        return {name: self._created(queue, queue.create_queue) for name, queue in opened.items()}

    def queue(self, name: str) -> Any:
        return self._queues[name]

    def _open(self, kind: Any, endpoint: str, *name: str, **options: Any) -> Any:
        if connection_string := self._settings.connection_string:
            return kind.from_connection_string(connection_string, *name, transport=self._transport(), **options)
        return kind(endpoint, *name, credential=self._credential, transport=self._transport(), **options)

    def _created(self, client: Any, create: Callable[[], object]) -> Any:
        if self._settings.connection_string:
            with suppress(ResourceExistsError):
                create()
        return client

    def _transport(self) -> RequestsTransport:
        return RequestsTransport(
            session=self.session, session_owner=False, connection_timeout=_SECONDS, read_timeout=_SECONDS
        )


@contextmanager
def translated() -> Iterator[None]:
    """Azure errors to ours. Conflicts have a meaning only their caller knows, so they are caught there, first."""
    try:
        yield
    except ClientAuthenticationError as error:
        raise StoreUnavailable(
            "storage refuses the app's identity", advice="Check the role assignments of the app's identity."
        ) from error
    except HttpResponseError as error:
        status = error.status_code
        if status is None or status >= 500 or status in _TRANSIENT:
            raise StoreUnavailable(f"storage answered {status}") from error
        raise StoreRejected(f"storage refused the data with {status}") from error
    except AzureError as error:
        raise StoreUnavailable(f"storage is not reachable: {type(error).__name__}") from error
