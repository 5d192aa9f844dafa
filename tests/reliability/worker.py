"""A worker process that polls once, and dies after a given side effect if it is told to.

A side effect is an answered HTTP request (storage, Graph, EWS, ...) or an answered IMAP or POP3 command, unless it is
known to be one that only reads: to die after that leaves the world as to die before it. They are counted where they
happen, so that a new one is a boundary by itself.
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
from shared.application import arrivals, poll
from shared.application.ports.platform import PollRequest
from shared.bootstrap import compose
from shared.settings import read_settings

DIED = 137
_SIGNING_IN = ("/oauth2/", "/token", "/secrets/", "/.well-known/")
_READING = (
    *("CAPABILITY", "LOGIN", "AUTHENTICATE", "SELECT", "EXAMINE", "LIST", "NAMESPACE", "NOOP", "ENABLE", "ID"),
    *("SEARCH", "FETCH", "USER", "PASS", "AUTH", "CAPA", "STAT", "UIDL", "RETR", "TOP", "GET", "HEAD"),
)
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    [
        __name__,
        "azure.identity",
        "azure.keyvault.secrets",
        "azure.storage.blob",
        "jwt",
        "shared.adapters.tokens.entra",
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
    assert arrivals.BATCH_MESSAGES > 2  # whoever moves it learns so here
    arrivals.BATCH_MESSAGES = 2
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

    def asking(original, *, place):
        """Remember on the connection what it asks for: the word at that place of the arguments."""

        def with_note(connection, *arguments, **options):
            words = " ".join(map(str, arguments[place : place + 2])).upper().removeprefix("UID ").split()
            signs_in = any(part in str(arguments) for part in _SIGNING_IN)
            connection.only_reads = signs_in or words[0].strip("'B") in _READING
            return original(connection, *arguments, **options)

        return with_note

    def answered(original):
        def with_count(connection, *arguments, **options):
            result = original(connection, *arguments, **options)
            if not getattr(connection, "only_reads", True):
                happened()
            return result

        return with_count

    HTTPConnection.putrequest = asking(HTTPConnection.putrequest, place=0)
    HTTPConnection.getresponse = answered(HTTPConnection.getresponse)
    Pop3Wire._putcmd = asking(Pop3Wire._putcmd, place=0)
    Pop3Wire._getresp = answered(Pop3Wire._getresp)
    imaplib.IMAP4._command = asking(imaplib.IMAP4._command, place=0)
    imaplib.IMAP4._get_tagged_response = answered(imaplib.IMAP4._get_tagged_response)
    return lambda: counted
