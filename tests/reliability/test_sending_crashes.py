"""A worker that dies while it sends loses nothing, and sends nothing twice where the provider tells what it has sent.

Death is simulated: after the answer to any one command or request that changes something, this process asks nobody
anything any more.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from unittest.mock import patch

import pytest

from local.simulators import Simulators
from local.smtp_server import SmtpServer, run_smtp_server
from shared.adapters.senders.smtp_wire import SmtpWire
from shared.application.outbox import sweep
from shared.application.poll import poll
from shared.application.ports.platform import PollRequest
from shared.domain.ticket import CommentKind
from tests.intake.conftest import storage_services
from tests.intake.mail import mail
from tests.senders.api_providers import EwsProvider, GmailProvider, GraphProvider
from tests.senders.contract import FROM
from tests.senders.smtp_provider import SmtpProvider
from tests.sending.conftest import Office, make_office

__all__ = ["storage_services"]

FIGURES = Path(".local/figures/sending-crashes.json")
_SIGNING_IN = ("/oauth2/", "/token", "/secrets/", "/.well-known/")
_PEOPLE = ("ann@customer.example", "bob@customer.example")


class Died(BaseException):
    """Nothing that ends a process can be caught by it."""


@contextmanager
def dying_after(boundary: int) -> Iterator[Counter[str]]:
    """Within the block, die after so many answers; counts them."""
    seen: Counter[str] = Counter()

    def ask(original):
        def guarded(connection, command, *arguments, **options):
            if seen["answers"] >= boundary and str(command).upper() != "QUIT":
                raise Died
            connection.counts = command not in ("GET", "HEAD") and not any(
                each in str(arguments) for each in _SIGNING_IN
            )
            return original(connection, command, *arguments, **options)

        return guarded

    def answered(original):
        def counted(connection, *arguments, **options):
            result = original(connection, *arguments, **options)
            if getattr(connection, "counts", True):
                seen["answers"] += 1
                if seen["answers"] == boundary:
                    raise Died
            return result

        return counted

    with (
        _sockets_closed(),
        patch.object(HTTPConnection, "putrequest", ask(HTTPConnection.putrequest)),
        patch.object(HTTPConnection, "getresponse", answered(HTTPConnection.getresponse)),
        patch.object(SmtpWire, "putcmd", ask(SmtpWire.putcmd)),
        patch.object(SmtpWire, "getreply", answered(SmtpWire.getreply)),
    ):
        yield seen


@contextmanager
def _sockets_closed() -> Iterator[None]:
    """As the end of a process does."""
    wires: list[SmtpWire] = []
    use_socket = SmtpWire._use

    def use(wire, sock):
        wires.append(wire)
        use_socket(wire, sock)

    with patch.object(SmtpWire, "_use", use):
        yield
    for each in wires:
        for held in filter(None, (each.file, each.sock)):
            held.close()


@pytest.fixture(params=["smtp", "graph", "gmail", "ews"])
def provider(request, simulators: Simulators):
    kind = request.param
    if kind == "smtp":
        with run_smtp_server("none", SmtpServer()) as server:
            yield SmtpProvider(server, "none")
    else:
        yield {"graph": GraphProvider, "gmail": GmailProvider, "ews": EwsProvider}[kind](simulators)


def office_at(provider, storage_services) -> Office:
    """With two acknowledgements owed, and nothing delivered."""
    office = make_office(storage_services, SmtpServer(), address=FROM)
    office.services = replace(office.services, open_sender=lambda sender, secrets=None: provider.open(sender))  # noqa: ARG005
    office.services.senders.add(provider.sender(id=f"out-{office.mailbox.id}", limits={"messages_per_minute": 1000}))
    office.provider.deliver(*(mail("Printer", id_=f"<{person}>", sender=person, To=FROM) for person in _PEOPLE))
    poll(office.services, PollRequest(office.mailbox.id, "schedule", "crash"))
    return office


@pytest.mark.timeout(120)
def test_a_worker_may_die_after_every_answer(provider, storage_services):
    found: Counter[str] = Counter()
    before = len(provider.delivered())
    while True:
        office = office_at(provider, storage_services)
        with dying_after(found["boundaries"] + 1) as seen, suppress(Died):
            office.deliver()
        if seen["answers"] <= found["boundaries"]:
            break
        _go_on(office)
        now = len(provider.delivered())
        found.update(_damage(office, now - before))
        before, found["boundaries"] = now, found["boundaries"] + 1

    _write_figures(type(provider).__name__.removesuffix("Provider").lower(), found)
    assert found["boundaries"] > 5
    assert (found["lost"], found["twice"]) == (0, 0)
    assert provider.keeps_what_was_sent is (found["for_a_person"] == 0)


def test_an_answer_that_is_lost_loses_nothing_and_sends_nothing_twice(provider, storage_services):
    office = office_at(provider, storage_services)
    provider.lose_answer()

    office.deliver()
    _go_on(office)

    found = _damage(office, len(provider.delivered()))
    assert (found["lost"], found["twice"]) == (0, 0)
    assert provider.keeps_what_was_sent is (found["for_a_person"] == 0)


def _go_on(office: Office) -> None:
    """As the sweep does when nobody is at it any more."""
    for _ in range(2):
        office.clock.advance(minutes=11)
        sweep(office.services)
        office.deliver()


def _damage(office: Office, delivered: int) -> Counter[str]:
    """What is left for a person to decide on is said on its ticket, and neither lost nor sent twice."""
    left = office.outbox()
    assert all(each.state == "failed" for each in left)
    notes = [each for number in (1, 2) for each in office.comments(number) if each.kind is CommentKind.INTERNAL]
    assert len(notes) == len(left)
    missing = len(_PEOPLE) - delivered
    return Counter(lost=max(missing - len(left), 0), twice=max(-missing, 0), for_a_person=len(left))


def _write_figures(kind: str, found: Counter[str]) -> None:
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    FIGURES.write_text(json.dumps(figures | {kind: dict(found)}, indent=2))
