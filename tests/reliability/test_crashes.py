"""A worker that dies after any single side effect loses nothing, doubles nothing and leaves nothing behind."""

import fcntl
import json
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from shared.domain.settlement import Delete, Keep, MarkRead, Move
from tests.reliability.conftest import PROVIDERS, Found, Provider, conversation
from tests.reliability.worker import run_poll

FIGURES = Path(".local/figures/crash-matrix.json")
LEASE_IS_OVER = timedelta(minutes=10)
COMMENTS = {"first": 2, "large": 1, "no id": 1}
SETTLEMENTS = (Keep(), MarkRead(), Move(folder="Done"), Delete())
NOT_IN_POP3 = ("mark_read", "move")
CASES = [
    pytest.param(kind, settlement, id=f"{kind}-{settlement.action}")
    for kind in PROVIDERS
    for settlement in SETTLEMENTS
    if not (kind == "pop3" and settlement.action in NOT_IN_POP3)
    and not (kind != "imap" and settlement.action == "keep")  # nothing is asked of the provider: one shows it
]
ALL = ["first", "first", "large", "no id", "reply"]


@pytest.mark.parametrize(("provider", "settlement"), CASES, indirect=["provider"])
@pytest.mark.timeout(600)
@pytest.mark.exhaustive
def test_a_worker_may_die_at_every_boundary(provider: Provider, services, settlement):
    found: Counter[str] = Counter(boundaries=0, lost=0, doubled=0, unsettled=0)

    while True:
        boundary = found["boundaries"] + 1
        mailbox = provider.mailbox(conversation(), settlement)
        services.mailboxes.add(mailbox)
        survived = run_poll(provider.world.environment, mailbox.id, die_after=boundary)
        if survived is not None:
            break
        run_poll(provider.world.environment, mailbox.id, later=LEASE_IS_OVER)
        found.update(_damage(provider, services, mailbox, settlement))
        found["boundaries"] += 1

    _write_figures(provider, settlement, found)
    assert found["boundaries"] > 10
    assert (found["lost"], found["doubled"], found["unsettled"]) == (0, 0, 0)


def _damage(provider: Provider, services, mailbox, settlement) -> Counter[str]:
    """What a crash and the poll after it have left wrong."""
    tickets = sorted(
        services.tickets.tickets(mailbox.id, open_only=False, limit=100, before=None), key=lambda each: each.number
    )
    stored = Counter(ticket.subject for ticket in tickets)
    comments = {ticket.subject: len(services.tickets.comments(mailbox.id, ticket.number)) for ticket in tickets}
    state, _ = services.tickets.state(mailbox.id)
    assert [ticket.number for ticket in tickets] == [*range(1, len(tickets) + 1)]
    assert state.next_number == len(tickets) + 1
    assert (state.deferred, state.lease_owner) == ((), None)
    assert services.tickets.quarantine(mailbox.id) == []
    return Counter(
        lost=sum(comments.get(subject, 0) < count for subject, count in COMMENTS.items()),
        doubled=sum(count > 1 for count in stored.values())
        + sum(comments.get(subject, 0) > count for subject, count in COMMENTS.items()),
        unsettled=_unsettled(provider, mailbox, settlement),
    )


def _unsettled(provider: Provider, mailbox, settlement) -> int:
    """How many messages are not where, or not as, the settlement puts them."""
    inbox = provider.folder(mailbox, provider.inbox)
    match settlement.action:
        case "keep":
            touched = 0 if provider.kind == "pop3" else sum(found.is_read for found in inbox)
            return touched + ([found.subject for found in inbox] != ALL)
        case "mark_read":
            return len(Counter(_all(is_read=True)) - Counter(inbox)) + abs(len(inbox) - len(ALL))
        case "move":
            moved = [found.subject for found in provider.folder(mailbox, settlement.folder)]
            return len(inbox) + (moved != ALL)
        case _:
            return len(inbox)


def _all(*, is_read: bool) -> list[Found]:
    return [Found(subject, is_read) for subject in ALL]


def _write_figures(provider: Provider, settlement, found: Counter[str]) -> None:
    """Other test processes write the same file."""
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    with FIGURES.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        figures = json.loads(file.read() or "{}")
        figures.setdefault(provider.kind, {})[settlement.action] = dict(found)
        file.truncate(0)
        file.write(json.dumps(figures, indent=2))
