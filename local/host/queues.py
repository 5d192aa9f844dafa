"""Queue triggers: one poller for each, over Storage queues, with retries and a poison queue as Azure has them."""

import base64
import binascii
import logging
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import timedelta
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.queue import QueueClient

from local.host.engine import Function, FunctionFailed, HttpResponse, Invoke, Payload
from local.host.settings import QueueSettings, setting

_log = logging.getLogger("host.queues")
_FIRST_PAUSE = 0.1


class QueuePoller:
    """`lease` is how long a message stays hidden before that is renewed while its function runs."""

    def __init__(self, function: Function, settings: QueueSettings, lease: timedelta, invoke: Invoke) -> None:
        """:raises HostError: the connection's setting is missing."""
        self._function = function
        self._settings = settings
        self._lease = int(lease.total_seconds())
        self._invoke = invoke
        account = setting(function.name, function.trigger["connection"])
        self._queue = QueueClient.from_connection_string(account, function.trigger["queueName"])
        self._poison = QueueClient.from_connection_string(account, f"{function.trigger['queueName']}-poison")
        self._pool = ThreadPoolExecutor(settings.batch_size + settings.new_batch_threshold, function.name)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name=function.name, daemon=True)

    def start(self) -> None:
        for queue in (self._queue, self._poison):
            with suppress(ResourceExistsError):
                queue.create_queue()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def wait(self, seconds: float) -> bool:
        self._thread.join(seconds)
        self._pool.shutdown(wait=False)
        if self._thread.is_alive():
            return False
        self._queue.close()
        self._poison.close()
        return True

    def run(self, body: str) -> None:
        """Run the function now, on a message that is in no queue. :raises FunctionFailed:"""
        self._invoke(self._function, Payload("string", body, {"DequeueCount": 1})).result()

    def _listen(self) -> None:
        """Take the next batch as soon as no more than the threshold is under way; look less often while idle."""
        pause, busy = _FIRST_PAUSE, set[Future[None]]()
        while not self._stopping.is_set():
            if len(busy) > self._settings.new_batch_threshold:
                busy = wait(busy, return_when=FIRST_COMPLETED).not_done
                continue
            messages = self._receive()
            busy |= {self._pool.submit(self._handle, message) for message in messages}
            if messages:
                pause = _FIRST_PAUSE
                continue
            self._stopping.wait(pause)
            pause = min(2 * pause, self._settings.max_polling_interval.total_seconds())
        wait(busy)

    def _receive(self) -> list[Any]:
        """The SDK's messages, in whose type everything might be missing that here never is."""
        size = self._settings.batch_size
        try:
            pages = self._queue.receive_messages(messages_per_page=size, visibility_timeout=self._lease).by_page()
            return list(next(pages, ()))
        except AzureError as error:
            _log.warning("%s cannot read its queue: %s", self._function.name, error)
            return []

    def _handle(self, message: Any) -> None:
        try:
            if message.dequeue_count > self._settings.max_dequeue_count:
                self._poisoned(message, message.pop_receipt)
            else:
                self._process(message)
        except AzureError as error:
            _log.warning("%s will see message %s again: %s", self._function.name, message.id, error)

    def _process(self, message: Any) -> None:
        try:
            run = self._invoke(self._function, _payload(message, self._settings.message_encoding))
        except binascii.Error:
            _log.warning("message %s is not base64", message.id)
            self._poisoned(message, message.pop_receipt)
            return
        receipt = self._hidden_until_done(run, message)
        try:
            run.result()
        except FunctionFailed:
            self._retried(message, receipt)
        else:
            self._queue.delete_message(message.id, receipt)

    def _hidden_until_done(self, run: Future[HttpResponse | None], message: Any) -> Any:
        """Keep the message hidden while its function runs. The last receipt, which changing the message now takes."""
        receipt = message.pop_receipt
        while not wait({run}, timeout=self._lease / 2).done:
            receipt = self._queue.update_message(message.id, receipt, visibility_timeout=self._lease).pop_receipt
        return receipt

    def _retried(self, message: Any, receipt: Any) -> None:
        if message.dequeue_count >= self._settings.max_dequeue_count:
            self._poisoned(message, receipt)
            return
        pause = int(self._settings.visibility_timeout.total_seconds())
        self._queue.update_message(message.id, receipt, visibility_timeout=pause)

    def _poisoned(self, message: Any, receipt: Any) -> None:
        self._poison.send_message(message.content)
        self._queue.delete_message(message.id, receipt)
        _log.warning("message %s of %s is moved to %s", message.id, self._function.name, self._poison.queue_name)


def _payload(message: Any, encoding: str) -> Payload:
    """:raises binascii.Error: it is not encoded as host.json says."""
    content = message.content.encode()
    body = base64.b64decode(content, validate=True) if encoding == "base64" else content
    metadata = {
        "Id": message.id,
        "DequeueCount": message.dequeue_count,
        "InsertionTime": message.inserted_on.isoformat(),
        "ExpirationTime": message.expires_on.isoformat(),
        "NextVisibleTime": message.next_visible_on.isoformat(),
        "PopReceipt": message.pop_receipt,
    }
    try:
        return Payload("string", body.decode(), metadata)
    except UnicodeDecodeError:
        return Payload("bytes", body, metadata)
