"""`python -m bench.sending`: what an acknowledgement and an answer cost, beside a bare loop of `smtplib`."""

import json
import os
import smtplib
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

from bench.counting import counted
from bench.mail import messages
from local.smtp_server import HOST, SmtpServer, run_smtp_server
from local.world import World, run_world
from shared.application.deliver import deliver
from shared.application.poll import poll
from shared.application.ports.platform import DeliveryRequest, PollRequest
from shared.application.ports.tickets import ChangedTicket, Commit
from shared.application.services import Services
from shared.bootstrap import compose
from shared.domain.fields import Tls
from shared.domain.message import Address
from shared.domain.notices import AutomaticLimits, Notices
from shared.domain.outbox import EventType, event
from shared.domain.senders import Limits, Sender, SmtpTransport
from shared.domain.ticket import Comment, CommentKind
from shared.settings import read_settings

FIGURES = Path(".local/figures/sending.json")
_MESSAGES = 300
_ANSWERS = 50
_ROUNDS = 3
_NO_LIMITS = AutomaticLimits(
    per_address_per_hour=1_000, per_address_per_day=10_000, per_ticket_per_hour=1_000, per_ticket_per_day=10_000
)


def main() -> None:
    with run_world() as world, _server() as (port, authority):
        os.environ.update(world.environment)
        services = compose(read_settings(world.environment))
        sender = _sender(port, authority)
        services.senders.add(sender)
        rounds = [_round(world, services, port, authority) for _ in range(_ROUNDS)]
    figures = {name: median(each[name] for each in rounds) for name in rounds[0]}
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps(figures, indent=2))
    print("sending")
    for name, figure in figures.items():
        print(f"  {name:42}{figure:10.2f}")
    print(f"written to {FIGURES}")


def _round(world: World, services: Services, port: int, authority: bytes) -> dict[str, float]:
    mailbox = world.imap_mailbox(messages(_MESSAGES), notices=Notices(limits=_NO_LIMITS))
    services.mailboxes.add(mailbox)
    poll(services, PollRequest(mailbox.id, "demand", "bench"))
    with counted(world.kinds) as counts:
        started = time.perf_counter()
        deliver(services, DeliveryRequest(mailbox.id))
        seconds = time.perf_counter() - started
    assert services.tickets.outbox(mailbox.id) == [], "all of them are sent"
    with counted(world.kinds) as of_answers:
        for number in range(1, _ANSWERS + 1):
            _answer(services, mailbox.id, number)
            deliver(services, DeliveryRequest(mailbox.id))
    floor = _bare_loop(port, authority)
    return {
        "storage_transactions_per_acknowledgement": counts["storage"] / _MESSAGES,
        "storage_transactions_per_answer": of_answers["storage"] / _ANSWERS - _OF_THE_API,
        "acknowledgements_per_second": _MESSAGES / seconds,
        "bare_smtplib_per_second": floor,
        "ratio_to_bare_smtplib": _MESSAGES / seconds / floor,
    }


_OF_THE_API = 2
"""What `_answer` reads and stores."""


def _answer(services: Services, mailbox_id: str, number: int) -> None:
    before = services.tickets.ticket(mailbox_id, number)
    assert before, "it was made of one of the messages"
    seq, now = before.value.comment_count + 1, datetime.now(UTC)
    details = {"ticket": number, "seq": seq, "technician": True}
    commit = Commit(
        changed_tickets=[ChangedTicket(before, replace(before.value, comment_count=seq))],
        comments=[Comment(number, seq, CommentKind.PUBLIC, Address("tess@example.com"), now, "Have you tried sand?")],
        outbox=[event(EventType.TICKET_COMMENTED, f"{number}-{seq}", now, **details)],
    )
    services.tickets.commit(mailbox_id, commit)


def _bare_loop(port: int, authority: bytes) -> float:
    """Messages of the same size, through one connection; nothing is kept of them."""
    content = b"From: support@example.com\r\nTo: ann@example.org\r\nSubject: Re: [SUP-1]\r\n\r\n" + b"Hello. " * 200
    started = time.perf_counter()
    with smtplib.SMTP_SSL(HOST, port, context=ssl.create_default_context(cadata=authority.decode())) as server:
        for _ in range(_MESSAGES):
            server.sendmail("support@example.com", ["ann@example.org"], content)
    return _MESSAGES / (time.perf_counter() - started)


def _sender(port: int, authority: bytes) -> Sender:
    return Sender(
        id="bench",
        name="Bench",
        created_at=datetime.now(UTC),
        from_address="desk@example.com",
        transport=SmtpTransport(host=HOST, port=port, tls=Tls(ca_certificate=authority.decode())),
        limits=Limits(messages_per_minute=10_000),
    )


@contextmanager
def _server() -> Iterator[tuple[int, bytes]]:
    """In a process of its own, as servers are."""
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        here.send(None)
        process.join()


def _serve(connection: "Connection[Any, Any]") -> None:
    with run_smtp_server("tls", SmtpServer()) as server:
        connection.send((server.port, server.ca_certificate))
        connection.recv()


if __name__ == "__main__":
    main()
