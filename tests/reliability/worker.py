"""A worker process that polls once, and dies after a given side effect if it is told to.

A side effect is an answered HTTP request (storage, vault, Entra, Graph, EWS, ...) or an answered IMAP or POP3 command.
They are counted where they happen, so that a new one is a boundary by itself. Reading secrets and getting tokens
changes nothing and is left out.
"""

import imaplib
import multiprocessing
import os
import threading
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from shared.adapters.sources.pop3_wire import Pop3Wire
from shared.application import intake, poll
from shared.application.ports import PollRequest
from shared.bootstrap import compose
from shared.settings import read_settings

DIED = 137
_SIGNING_IN = ("/oauth2/", "/token", "/secrets/", "/.well-known/")
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    [
        __name__,
        "azure.identity",
        "azure.keyvault.secrets",
        "azure.storage.blob",
        "jwt",
        "shared.adapters.tokens.grants",
        "shared.adapters.sources.gmail",
        "shared.adapters.sources.ews",
        "shared.adapters.sources.graph",
        "shared.adapters.sources.imap",
    ]
)


def start_poll(
    environment: dict[str, str], mailbox_id: str, *, die_after: int = 0, later: timedelta = timedelta()
) -> tuple[BaseProcess, Connection]:
    """Poll in a process of its own, with a clock that is ahead by `later`; it sends the number of side effects."""
    receiver, sender = _PROCESSES.Pipe(duplex=False)
    arguments = (environment, mailbox_id, die_after, later, sender)
    process = _PROCESSES.Process(target=_poll, args=arguments, daemon=True)
    process.start()
    sender.close()
    return process, receiver


def run_poll(
    environment: dict[str, str], mailbox_id: str, *, die_after: int = 0, later: timedelta = timedelta()
) -> int | None:
    """Poll to the end and return the number of side effects; None where the worker died."""
    process, receiver = start_poll(environment, mailbox_id, die_after=die_after, later=later)
    process.join(60)
    assert process.exitcode in (0, DIED), f"the worker ended with {process.exitcode}"
    with receiver:
        return receiver.recv() if process.exitcode == 0 else None


def _poll(environment: dict[str, str], mailbox_id: str, die_after: int, later: timedelta, sender: Connection) -> None:
    os.environ.update(environment)
    # Small batches and pages, so that a handful of messages crosses all the boundaries between them.
    poll.PAGE_MESSAGES = 4
    poll.BATCH_MESSAGES = 2
    assert intake.BATCH_MESSAGES > poll.BATCH_MESSAGES
    services = compose(read_settings(environment), clock=lambda: datetime.now(UTC) + later)
    services.mailboxes.cached()
    count = _count_side_effects(die_after)
    poll.poll(services, PollRequest(mailbox_id, "schedule", "crash"))
    sender.send(count())


def _count_side_effects(die_after: int):
    counted = 0
    lock = threading.Lock()

    def happened() -> None:
        nonlocal counted
        with lock:
            counted += 1
            if counted == die_after:
                os._exit(DIED)

    def after(original):
        def with_count(connection, *arguments, **options):
            result = original(connection, *arguments, **options)
            if not getattr(connection, "signs_in", False):
                happened()
            return result

        return with_count

    def requesting(connection, method, url, *arguments, **options):
        connection.signs_in = any(part in url for part in _SIGNING_IN)
        return put_request(connection, method, url, *arguments, **options)

    put_request = HTTPConnection.putrequest
    HTTPConnection.putrequest = requesting
    HTTPConnection.getresponse = after(HTTPConnection.getresponse)
    Pop3Wire._getresp = after(Pop3Wire._getresp)
    imaplib.IMAP4._get_tagged_response = after(imaplib.IMAP4._get_tagged_response)
    return lambda: counted
