"""The queues, in the encoding that the Functions host reads."""

import json
from dataclasses import asdict
from datetime import timedelta

from shared.adapters.storage.clients import StorageClients, translated
from shared.application.ports import DeliveryRequest, PollRequest


class StoragePollQueue:
    def __init__(self, clients: StorageClients) -> None:
        self._clients = clients

    def put(self, request: PollRequest) -> None:
        with translated():
            self._clients.polls_queue.send_message(json.dumps(asdict(request)))


class StorageDeliveryQueue:
    def __init__(self, clients: StorageClients) -> None:
        self._clients = clients

    def put(self, request: DeliveryRequest, delay: timedelta = timedelta()) -> None:
        seconds = int(delay.total_seconds())
        with translated():
            self._clients.deliveries_queue.send_message(json.dumps(asdict(request)), visibility_timeout=seconds)
