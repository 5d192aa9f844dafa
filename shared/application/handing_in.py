"""Messages that come by HTTP, from relays, migrations and replays: the same pipeline as polled ones (req C13)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from shared.application.arrivals import record
from shared.application.arrived import Arrived, Taken, arrived
from shared.application.intake import BATCH_MESSAGES, taking_in
from shared.application.ports.tickets import Fenced
from shared.application.services import Services
from shared.domain.mailbox import Mailbox
from shared.domain.message import MessageRef, RawMessage
from shared.domain.processing import header_names
from shared.domain.recognition import reused_id_key
from shared.domain.ticket import Outcome
from shared.mime import parse

_TRIES = 5


@dataclass(frozen=True, slots=True)
class HandedIn:
    """What became of a message; `ticket` is the tag of its ticket, where it has one."""

    outcome: Outcome
    reason: str
    ticket: str | None


def hand_in(services: Services, mailbox: Mailbox, contents: Sequence[bytes]) -> list[HandedIn]:
    """Take the messages in; for one that is deferred, nobody but the caller tries again.

    :raises Fenced: the mailbox is being polled. Messages that were taken in before are duplicates the next time.
    """
    items = handed_in(mailbox, contents)
    taken: dict[MessageRef, Taken] = {}
    for attempt in range(1, _TRIES + 1):
        try:
            _take_in(services, mailbox, items, taken)
            break
        except Fenced:
            if attempt == _TRIES:
                raise
    return [told(services, mailbox, item, taken[item.raw.ref]) for item in items]


def handed_in(mailbox: Mailbox, contents: Sequence[bytes]) -> list[Arrived]:
    """Messages that no source has a ref for."""
    refs = [MessageRef("http", f"{hashlib.sha256(each).hexdigest()}:{index}") for index, each in enumerate(contents)]
    headers = header_names(mailbox)
    return [
        arrived(RawMessage(ref, content, None, len(content)), parse(content, headers))
        for ref, content in zip(refs, contents, strict=True)
    ]


def _take_in(services: Services, mailbox: Mailbox, items: Sequence[Arrived], taken: dict[MessageRef, Taken]) -> None:
    started_at = services.clock()
    rest = [item for item in items if item.raw.ref not in taken]
    with taking_in(services, mailbox) as intake:
        for start in range(0, len(rest), BATCH_MESSAGES):
            for each in intake.take_in(rest[start : start + BATCH_MESSAGES]):
                taken[each.ref] = each
                intake.settled(each.ref)
        intake.release(record("http", started_at, services.clock(), [taken[item.raw.ref] for item in rest]))


def told(services: Services, mailbox: Mailbox, item: Arrived, taken: Taken) -> HandedIn:
    keys = [item.key, reused_id_key(item.key, item.fingerprint)]
    receipts = services.tickets.receipts(mailbox.id, keys) if taken.is_stored else {}
    numbers = [each.ticket_number for each in receipts.values() if each.fingerprint == item.fingerprint]
    tag = f"{mailbox.ticket_prefix}-{numbers[0]}" if numbers and numbers[0] else None
    return HandedIn(taken.outcome, taken.reason, tag)
