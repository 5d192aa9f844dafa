"""Push (req C14): have Graph notify us of new mail, and make polls of its notifications. Polls by the schedule go on:
notifications can come late, twice or never.
"""

import hashlib
import logging
import uuid
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta

from shared.application.ports.connections import Watcher
from shared.application.ports.platform import PollRequest
from shared.application.services import Services
from shared.application.side_by_side import for_each
from shared.domain.errors import AppError
from shared.domain.mailbox import Mailbox
from shared.domain.sources import GraphSource
from shared.domain.watch import LIFETIME, Watch, Watches, client_state, next_due, notified_mailbox
from shared.telemetry import Event, emit

COALESCED = timedelta(seconds=2)
"""All notifications of this time are one poll, which begins after it."""

_MOST_AT_ONCE = 200
"""So many mailboxes have their watches renewed by one run; the others are due at the next."""


def notified(services: Services, notifications: Sequence[object]) -> None:
    """Handle what was posted to us; whatever is not about a mailbox of ours is ignored."""
    keys, pushed = services.own_ids.signing_keys(), _pushed(services)
    polled, marked, ignored = set[str](), set[str](), 0
    for each in notifications:
        notice = each if isinstance(each, dict) else {}
        mailbox_id, event = notified_mailbox(keys, notice.get("clientState")), notice.get("lifecycleEvent")
        if mailbox_id is None or mailbox_id not in pushed:
            ignored += 1
            continue
        if event in ("subscriptionRemoved", "reauthorizationRequired"):
            marked.add(mailbox_id)
        if event != "reauthorizationRequired":
            polled.add(mailbox_id)
    now = services.clock()
    for_each([*marked], lambda mailbox_id: services.watches.mark_due(mailbox_id, now))
    asked = for_each([*polled], lambda mailbox_id: ask_for_poll(services, mailbox_id))
    emit(Event.PUSH_NOTIFIED, polls=sum(asked), mailboxes=len(polled | marked), ignored=ignored)


def ask_for_poll(services: Services, mailbox_id: str, delay: timedelta = COALESCED) -> bool:
    """False where one is to come already, or the mailbox waits after a failure."""
    now = services.clock()
    if not services.watches.ask(mailbox_id, now, now + delay):
        return False
    health = services.schedule.get(mailbox_id)
    failures = health.consecutive_failures if health else 0
    if health and failures and health.next_due_at and health.next_due_at > now:
        return False
    services.polls.put(PollRequest(mailbox_id, "push", uuid.uuid4().hex, failures), delay)
    return True


def look_after_watches(services: Services) -> None:
    """Make, renew and repair the watches of mailboxes with push, and end those of the others."""
    now, pushed = services.clock(), _pushed(services)
    stored = {each.mailbox_id: each for each in services.watches.all()}
    for mailbox_id in stored.keys() - pushed.keys():
        _end(services, stored[mailbox_id])
    due = [
        (mailbox, before)
        for mailbox in pushed.values()
        for before in [stored.get(mailbox.id)]
        if before is None or before.due_at <= now or before.of != _made_for(services, mailbox)
    ]
    if not due:
        return
    try:
        key = services.own_ids.signing_keys()[0]
    except AppError as error:
        emit(Event.PUSH_FAILED, level=logging.WARNING, error=error.code)
        return
    for each in for_each(due[:_MOST_AT_ONCE], lambda each: _looked_after(services, key, *each)):
        if code := each.error_code:
            told = {"mailbox": each.mailbox_id, "error": code, "failures": each.failures}
            emit(Event.PUSH_FAILED, level=logging.WARNING, **told)


def _looked_after(services: Services, key: bytes, mailbox: Mailbox, before: Watches | None) -> Watches:
    of, now = _made_for(services, mailbox), services.clock()
    watches = {each.folder: each for each in before.watches} if before and before.of == of else {}
    known, failed = set(watches.values()), None
    with closing(services.open_watcher(mailbox)) as watcher:
        if before and before.of != of:
            _unwatch(watcher, before.watches)
        try:
            for folder in _source(mailbox).folders:
                renewed = watcher.renew(watches[folder], now + LIFETIME) if folder in watches else None
                watches[folder] = renewed or watcher.watch(folder, client_state(key, mailbox.id), now + LIFETIME)
        except AppError as error:
            failed = error
    failures = 1 + (before.failures if before else 0) if failed else 0
    due_at = next_due(watches.values(), now, failures)
    after = Watches(mailbox.id, of, due_at, tuple(watches.values()), failures)
    if failed:
        after = replace(after, error_code=failed.code, error=str(failed), advice=failed.advice)
    services.watches.put(after)
    if {each.id for each in after.watches} - {each.id for each in known}:  # nobody has told us of what came before
        ask_for_poll(services, mailbox.id)
    return after


def _end(services: Services, watches: Watches) -> None:
    """Where the sign-in is gone with its mailbox, they expire by themselves."""
    for mailbox in services.mailboxes.cached():
        if mailbox.id == watches.mailbox_id and isinstance(mailbox.source, GraphSource):
            with closing(services.open_watcher(mailbox)) as watcher:
                _unwatch(watcher, watches.watches)
    services.watches.delete(watches.mailbox_id)


def _unwatch(watcher: Watcher, watches: Iterable[Watch]) -> None:
    for each in watches:
        with suppress(AppError):  # what is left expires; its notifications are ignored, or cause a poll too many
            watcher.unwatch(each)


def _pushed(services: Services) -> dict[str, Mailbox]:
    """The mailboxes with push, by id."""
    if not services.settings.public_url:
        return {}
    return {each.id: each for each in services.mailboxes.cached() if each.enabled and each.has_push}


def _source(mailbox: Mailbox) -> GraphSource:
    assert isinstance(mailbox.source, GraphSource), "the others have no push"
    return mailbox.source


def _made_for(services: Services, mailbox: Mailbox) -> str:
    """Other settings need other watches."""
    text = f"{services.settings.public_url} {mailbox.address} {mailbox.source.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()
