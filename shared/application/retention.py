"""The nightly removal of what is past its retention, as each mailbox says. It is done a part at a time: what one night
leaves, the next goes on with, beginning with another mailbox.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from shared.application.ports.stores import Versioned
from shared.application.services import Services
from shared.domain.errors import StoreError
from shared.domain.mailbox import Mailbox
from shared.domain.ticket import Ticket
from shared.telemetry import Event, correlated, emit

BUDGET = timedelta(minutes=7)
"""Under the function's timeout; what has begun is finished after it."""

MOST = 5_000
"""Of each kind, in one mailbox and night."""

_UNDECIDED = timedelta(days=2)
"""Raw mail so young may belong to what is just being taken in."""


def remove_what_is_past(services: Services) -> None:
    began = services.clock()
    mailboxes = [each.value for each in services.mailboxes.all()]
    left = 0
    for mailbox in sorted(mailboxes, key=lambda each: _place(each, began)):
        if services.clock() - began > BUDGET:
            left += 1
            continue
        with correlated(mailbox=mailbox.id):
            _tend(services, mailbox, began)
    emit(Event.RETENTION_FINISHED, mailboxes=len(mailboxes) - left, left=left)


def _place(mailbox: Mailbox, now: datetime) -> bytes:
    """Another order each night, so that the last ones are not always the same."""
    return hashlib.sha256(f"{now:%Y-%m-%d} {mailbox.id}".encode()).digest()


def _tend(services: Services, mailbox: Mailbox, now: datetime) -> None:
    try:
        removed = _removed(services, mailbox, now)
    except StoreError as error:
        emit(Event.RETENTION_FAILED, level=logging.WARNING, error=error.code)
        return
    if removed.total():
        emit(Event.RETENTION_REMOVED, **removed)


def _removed(services: Services, mailbox: Mailbox, now: datetime) -> Counter[str]:
    asked, store, removed = mailbox.retention, services.retention, Counter[str]()
    unfinished = services.tickets.tickets(mailbox.id, open_only=True, limit=1_000_000, before=None)
    spared = {each.number for each in unfinished}
    if before := _cutoff(now, asked.runs_days):
        removed["runs"] = store.remove_runs(mailbox.id, before, MOST)
    if before := _cutoff(now, asked.quarantine_days):
        removed["quarantine"] = store.remove_quarantine(mailbox.id, before, MOST)
    if before := _cutoff(now, asked.closed_tickets_days):
        referred = spared.union(*(each.linked_to for each in unfinished))
        for ticket in _past(store.closed(mailbox.id, before, MOST), referred):
            removed["tickets"] += store.remove_ticket(mailbox.id, ticket)
    if before := _cutoff(now, asked.receipts_days):
        removed["receipts"] = store.remove_receipts(mailbox.id, before, spared, MOST)
    removed["raw_mail"] = _remove_raws(services, mailbox, now, spared)
    return removed


def _past(found: Sequence[Versioned[Ticket]], referred: set[int]) -> Iterator[Versioned[Ticket]]:
    for ticket in found:
        if ticket.value.number not in referred and ticket.value.merged_into not in referred:
            yield ticket


def _remove_raws(services: Services, mailbox: Mailbox, now: datetime, spared: set[int]) -> int:
    """What nothing refers to, and what is past its time and belongs to no open ticket or message in quarantine (0)."""
    store, past = services.retention, _cutoff(now, mailbox.retention.raw_mail_days)
    candidates = {each.sha256 for each in store.raws(mailbox.id, past)} if past else set[str]()
    pointers = [*store.raws(mailbox.id, now - _UNDECIDED)]
    if not pointers and not candidates:
        return 0
    referring = store.references(mailbox.id)
    texts = {each.value.sha256 for each in services.announcements.all() if each.value.mailbox_id == mailbox.id}
    wanted = {0, *spared}
    gone = (
        each
        for each in pointers
        if each.sha256 not in texts
        and (each.sha256 not in referring or (each.sha256 in candidates and not referring[each.sha256] & wanted))
    )
    return store.remove_raws(mailbox.id, [*islice(gone, MOST)])


def _cutoff(now: datetime, days: int | None) -> datetime | None:
    return now - timedelta(days=days) if days else None
