"""What would become of a message, and why: everything but storing it (req O5)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from shared.application.arrivals import Arrived, arrived
from shared.application.finding import Finder
from shared.application.mailboxes import find_mailbox
from shared.application.plan import Plan
from shared.application.services import Services
from shared.domain.decision import CommentOn, Elsewhere, Ignore, OpenTicket
from shared.domain.draft import Draft
from shared.domain.explain import Step
from shared.domain.intake import MailboxState
from shared.domain.kinds import Kind
from shared.domain.mailbox import Mailbox
from shared.domain.message import InboundMessage
from shared.domain.processing import header_names
from shared.domain.recognition import reused_id_key
from shared.domain.ticket import CommentKind, Outcome, Status


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would become of a message: `ticket` is the tag of the ticket that it would be added to, or linked to where
    it would open one of its own (`draft`); `mailbox_id` is the mailbox whose ticket it would be instead. Where it is a
    duplicate, the steps also tell what would become of it were it new.
    """

    subject: str
    kind: Kind
    kind_reasons: tuple[str, ...]
    outcome: Outcome
    reason: str = ""
    ticket: str | None = None
    draft: Draft | None = None
    comment: CommentKind | None = None
    status: Status | None = None
    mailbox_id: str | None = None
    steps: tuple[Step, ...] = ()


def explanation(message: InboundMessage, outcome: Outcome, reason: str = "", **found: Any) -> Explanation:
    return Explanation(message.subject, message.kind, message.kind_reasons, outcome, reason, **found)


def explain(services: Services, mailbox: Mailbox, items: Sequence[Arrived]) -> list[Explanation]:
    """Each message by itself, as if the others were not there. Changes nothing."""
    finder = Finder(services, mailbox)
    return [_explained(services, finder, mailbox, item) for item in items]


def _explained(services: Services, finder: Finder, mailbox: Mailbox, item: Arrived) -> Explanation:
    known, decided = _known(services, mailbox, item), _decided(services, finder, mailbox, item)
    return replace(known, steps=(*known.steps, *decided.steps)) if known else decided


def _known(services: Services, mailbox: Mailbox, item: Arrived) -> Explanation | None:
    """Messages that were taken in before, and those that we have sent."""
    keys = [item.key, reused_id_key(item.key, item.fingerprint)]
    for receipt in services.tickets.receipts(mailbox.id, keys).values():
        if receipt.outcome is None:
            return explanation(item.message, Outcome.IGNORED, "own_message", steps=(_SENT,))
        if receipt.fingerprint == item.fingerprint:
            tag = mailbox.tag(receipt.ticket_number)
            became = f"{receipt.outcome} {tag or receipt.reason}".rstrip()
            steps = (Step("receipt", "was taken in before", matched=True, detail=became),)
            return explanation(item.message, Outcome.DUPLICATE, receipt.reason, ticket=tag, steps=steps)
    return None


_SENT = Step("receipt", "was sent from here", matched=True)


def _decided(services: Services, finder: Finder, mailbox: Mailbox, item: Arrived) -> Explanation:
    now = services.clock()
    plan = Plan(mailbox, MailboxState(), now, partial(services.raws.pack, mailbox.id), finder.insiders)
    verdict = plan.decide(*finder.look_up(item, now))
    message, steps = item.message, verdict.steps
    match verdict.decision:
        case OpenTicket(draft, linked_to):
            return explanation(message, Outcome.CREATED, ticket=mailbox.tag(linked_to), draft=draft, steps=steps)
        case CommentOn(number, kind, status):
            tag = mailbox.tag(number)
            return explanation(message, Outcome.APPENDED, ticket=tag, comment=kind, status=status, steps=steps)
        case Elsewhere(mailbox_id):
            there = find_mailbox(services, mailbox_id).value
            passed_on = Finder(services, there, is_passed_on=True)
            again = _explained(services, passed_on, there, arrived(item.raw, header_names(there)))
            return replace(again, mailbox_id=mailbox_id, steps=(*steps, *again.steps))
        case Ignore(reason):
            return explanation(message, Outcome.IGNORED, reason, steps=steps)
