"""Older mail is imported from every kind of source (req D6)."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from local.azurite import Azurite
from shared.application import imports
from shared.application.dry_run import dry_run
from shared.application.ports.platform import PollRequest
from shared.application.ports.tickets import Commit
from shared.bootstrap import compose
from shared.domain.imports import ImportState
from shared.domain.intake import MailboxState
from shared.settings import read_settings
from tests.sources.ews_mailbox import EwsMailbox
from tests.sources.gmail_mailbox import GmailMailbox
from tests.sources.graph_mailbox import GraphMailbox
from tests.sources.test_pop3_contract import Pop3Mailbox

KINDS = ("imap", "graph", "ews", "gmail", "pop3")
LISTS_DATES = ("imap", "graph", "ews")


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def provider(request, kind) -> Iterator:
    match kind:
        case "imap":
            yield request.getfixturevalue("dovecot_mailbox")
        case "pop3":
            mailbox = Pop3Mailbox(request.getfixturevalue("dovecot"))
            yield mailbox
            mailbox.close()
        case "ews":
            yield EwsMailbox(request.getfixturevalue("simulators"))
        case _:
            provider = GraphMailbox if kind == "graph" else GmailMailbox
            yield provider(request.getfixturevalue("simulators"), lambda: datetime.now(UTC))


def left(provider, kind) -> list[object]:
    """What is in the inbox; POP3 servers mark what is fetched, of their own accord."""
    return [each.content if kind == "pop3" else each for each in provider.stored()]


class Queue:
    def __init__(self) -> None:
        self.waiting: list[PollRequest] = []

    def put(self, request: PollRequest, delay: timedelta = timedelta()) -> None:
        self.waiting.append(request)


@pytest.fixture
def services(azurite: Azurite, provider):
    settings = {
        "DATA_STORAGE": azurite.connection_string,
        "KEY_VAULT_URI": "https://vault.invalid",
        "POLL_SCHEDULE": "0 * * * * *",
    }
    composed = compose(read_settings(settings))
    return replace(composed, polls=Queue(), open_source=lambda mailbox, _=None: provider.open(mailbox))


@pytest.fixture
def mailbox(services, provider):
    """Connected a minute ago, and taking in what comes since; two old messages, one very old, one new."""
    now = datetime.now(UTC)
    for subject, days, is_read in (("Very old", 900, True), ("Old", 40, True), ("Read since", 30, False)):
        arrived_at = now - timedelta(days=days)
        provider.deliver(dated(subject, arrived_at), arrived_at=arrived_at, is_read=is_read)
    mailbox = provider.mailbox(intake={"start_from": "now", "unread_only": False}, created_at=now)
    mailbox = mailbox.model_copy(update={"id": f"import-{now:%H%M%S%f}", "name": f"{now}"})
    etag = services.mailboxes.add(mailbox)
    yield mailbox
    services.mailboxes.delete(mailbox.id, etag)


def dated(subject: str, at: datetime) -> bytes:
    lines = ["From: Ann <ann@customer.example>", f"Subject: {subject}", f"Message-ID: <{at.timestamp()}@x.example>"]
    return "\r\n".join([*lines, f"Date: {at:%a, %d %b %Y %H:%M:%S} +0000", "", "Hello", ""]).encode()


def test_mail_of_the_time_asked_for_is_counted_and_taken_in_and_stays_as_it_is(services, provider, mailbox, kind):
    before = left(provider, kind)
    since = datetime.now(UTC) - timedelta(days=365)

    made = imports.create(services, mailbox, {"since": since.isoformat(), "plan": False})
    while services.polls.waiting:
        imports.work(services, services.polls.waiting.pop(0))

    done = services.imports.get(made.id).value
    tickets = services.tickets.tickets(mailbox.id, open_only=False, limit=10, before=None)
    assert (done.state, done.error) == (ImportState.DONE, None)
    assert done.outcomes == {"created": 2}
    assert done.found == (3 if kind == "pop3" else 2)
    assert done.found_is_exact is (kind in LISTS_DATES)
    assert sorted(ticket.subject for ticket in tickets) == ["Old", "Read since"]
    assert all(ticket.created_at < datetime.now(UTC) - timedelta(days=29) for ticket in tickets)
    assert left(provider, kind) == before


def test_a_dry_run_tells_of_waiting_messages_and_changes_nothing(services, provider, mailbox, kind):
    now = datetime.now(UTC) + timedelta(seconds=5)
    with closing(provider.open(mailbox)) as source:
        cursor = source.changes(None, 10).cursor
    _remember(services, mailbox, cursor)
    provider.deliver(dated("New", now), arrived_at=now)
    before = left(provider, kind)

    found = dry_run(services, mailbox, {})

    assert [(each.subject, each.outcome.value) for each in found.messages] == [("New", "created")]
    assert left(provider, kind) == before
    assert services.tickets.tickets(mailbox.id, open_only=False, limit=10, before=None) == []


def _remember(services, mailbox, cursor) -> None:
    """As a poll does that found nothing."""
    services.tickets.commit(mailbox.id, Commit(MailboxState(cursor=cursor), None))
