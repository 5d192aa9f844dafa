"""The Azure Storage clients of the process, and the one place where their errors become ours."""

from collections.abc import Iterator
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
        if connection_string := self._settings.connection_string:
            service = TableServiceClient.from_connection_string(connection_string, transport=self._transport())
            for name in TABLES:
                service.create_table_if_not_exists(name)
            return service
        return TableServiceClient(
            self._settings.table_endpoint, credential=self._credential, transport=self._transport()
        )

    def table(self, name: str) -> TableClient:
        return self._tables.get_table_client(name)

    @cached_property
    def raw_container(self) -> Any:
        from azure.storage.blob import ContainerClient

        if connection_string := self._settings.connection_string:
            container = ContainerClient.from_connection_string(
                connection_string, RAW_CONTAINER, transport=self._transport()
            )
            return _created(container, container.create_container)
        return ContainerClient(
            self._settings.blob_endpoint, RAW_CONTAINER, credential=self._credential, transport=self._transport()
        )

    @cached_property
    def polls_queue(self) -> Any:
        return self._queue(POLLS_QUEUE)

    @cached_property
    def deliveries_queue(self) -> Any:
        return self._queue(DELIVERIES_QUEUE)

    def _queue(self, name: str) -> Any:
        from azure.storage.queue import QueueClient, TextBase64EncodePolicy

        options: dict[str, Any] = {
            "transport": self._transport(),
            "message_encode_policy": TextBase64EncodePolicy(),  # what the Functions host decodes
        }
        if connection_string := self._settings.connection_string:
            queue = QueueClient.from_connection_string(connection_string, name, **options)
            return _created(queue, queue.create_queue)
        return QueueClient(self._settings.queue_endpoint, name, credential=self._credential, **options)

    def _transport(self) -> RequestsTransport:
        return RequestsTransport(
            session=self.session, session_owner=False, connection_timeout=_SECONDS, read_timeout=_SECONDS
        )


def _created(client: Any, create: Any) -> Any:
    with suppress(ResourceExistsError):
        create()
    return client


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
