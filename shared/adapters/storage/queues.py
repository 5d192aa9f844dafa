"""The `polls` queue, in the encoding that the Functions host reads."""

import json
from dataclasses import asdict

from shared.adapters.storage.clients import StorageClients, translated
from shared.application.ports import PollRequest


class StoragePollQueue:
    def __init__(self, clients: StorageClients) -> None:
        self._clients = clients

    def put(self, request: PollRequest) -> None:
        with translated():
            self._clients.polls_queue.send_message(json.dumps(asdict(request)))
