"""The queues, in the encoding that the Functions host reads."""

import json
from dataclasses import asdict
from datetime import timedelta
from math import ceil
from typing import Any

from shared.adapters.storage.clients import StorageClients, translated
from shared.application.ports.platform import DeliveryRequest, PollRequest


class StoragePollQueue:
    def __init__(self, clients: StorageClients) -> None:
        self._clients = clients

    def put(self, request: PollRequest, delay: timedelta = timedelta()) -> None:
        _put(self._clients.polls_queue, request, delay)


class StorageDeliveryQueue:
    def __init__(self, clients: StorageClients) -> None:
        self._clients = clients

    def put(self, request: DeliveryRequest, delay: timedelta = timedelta()) -> None:
        _put(self._clients.deliveries_queue, request, delay)


def _put(queue: Any, request: PollRequest | DeliveryRequest, delay: timedelta) -> None:
    with translated():
        queue.send_message(json.dumps(asdict(request)), visibility_timeout=ceil(delay.total_seconds()))
