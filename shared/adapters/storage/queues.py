"""The queues, in the encoding that the Functions host reads."""

import json
from dataclasses import asdict
from datetime import timedelta
from math import ceil

from shared.adapters.storage.clients import StorageClients, translated
from shared.application.ports.platform import DeliveryRequest, PollRequest


class StorageQueue:
    def __init__(self, clients: StorageClients, name: str) -> None:
        self._clients = clients
        self._name = name

    def put(self, request: PollRequest | DeliveryRequest, delay: timedelta = timedelta()) -> None:
        with translated():
            self._clients.queue(self._name).send_message(
                json.dumps(asdict(request)), visibility_timeout=ceil(delay.total_seconds())
            )
