"""Messages that come by HTTP, from relays, migrations and replays: the same pipeline as polled ones (req C13)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from shared.application.arrivals import Arrived, Taken, arrived, batches
from shared.application.intake import taking_in
from shared.application.ports.tickets import Fenced
from shared.application.services import Services
from shared.domain.mailbox import Mailbox
from shared.domain.message import MessageRef, RawMessage
from shared.domain.processing import header_names
from shared.domain.ticket import Outcome

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
            with taking_in(services, mailbox, "http") as intake:
                for batch in batches(item for item in items if item.raw.ref not in taken):
                    for each in intake.take_in(batch):
                        taken[each.ref] = each
                        intake.settled(each.ref)
            break
        except Fenced:
            if attempt == _TRIES:
                raise
    found = (taken[item.raw.ref] for item in items)
    return [HandedIn(each.outcome, each.reason, mailbox.tag(each.ticket_number)) for each in found]


def handed_in(mailbox: Mailbox, contents: Sequence[bytes]) -> list[Arrived]:
    """Messages that no source has a ref for."""
    refs = [MessageRef("http", f"{hashlib.sha256(each).hexdigest()}:{index}") for index, each in enumerate(contents)]
    raws = [RawMessage(ref, content, None, len(content)) for ref, content in zip(refs, contents, strict=True)]
    return [arrived(raw, header_names(mailbox)) for raw in raws]
