"""Messages in quarantine: looked at, corrected, tried again, or dropped (req O9)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from dataclasses import replace as with_
from datetime import timedelta
from itertools import groupby
from typing import Annotated

from pydantic import StringConstraints

from shared.application.arrivals import Arrived, Item, Taken, batches, parsed, record
from shared.application.auditing import audited
from shared.application.intake import Intake, taking_in
from shared.application.ports.connections import FetchFailure
from shared.application.ports.stores import Versioned
from shared.application.ports.tickets import ChangedQuarantine, Commit, ReceiptExists
from shared.application.services import Services
from shared.application.validation import read
from shared.domain.errors import Invalid, MessageError, NotFound, Problem
from shared.domain.fields import Model
from shared.domain.fields import told as told_expected
from shared.domain.intake import QuarantineEntry, Terms
from shared.domain.mailbox import Mailbox
from shared.domain.message import InboundMessage, MessageRef, RawMessage
from shared.domain.processing import header_names
from shared.domain.ticket import Outcome, Receipt
from shared.mime.defects import Defect
from shared.mime.headers import read_fields, text

_TIME_BUDGET = timedelta(seconds=60)
"""Whoever waits for an answer of the API is not kept waiting longer; a batch that has begun is finished after it."""

_NOT_FETCHED = "its bytes were never fetched, or are past their retention"
_HANDLES_END_WITH_A_MOVE = ("imap", "ews")
_NOUN = "quarantined message"
_HEADER_DEFECTS = {
    Defect.ADDRESS_INVALID: "has an address that is none",
    Defect.DATE_INVALID: "has a Date that is none",
    Defect.FROM_REPEATED: "has more than one From",
    Defect.HEADER_INVALID: "has lines in its header that are no fields",
    Defect.HEADER_TOO_LARGE: "has too large a header",
    Defect.MESSAGE_ID_INVALID: "has a Message-ID that is none",
}


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of a message: `deferred` where the next poll fetches it again, `quarantined` where it stays here;
    `ticket` is the tag of its ticket, where it has one.
    """

    id: str
    outcome: Outcome
    reason: str = ""
    ticket: str | None = None


class Drop(Model):
    """Why a message is dropped."""

    reason: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
        told_expected("the reason, in 500 characters at most"),
    ]


def find(services: Services, mailbox: Mailbox, entry_id: str) -> Versioned[QuarantineEntry]:
    """:raises NotFound:"""
    found = services.tickets.quarantined(mailbox.id, entry_id)
    if found is None:
        raise NotFound("there is no such message in quarantine")
    return found


def content(services: Services, mailbox: Mailbox, entry: QuarantineEntry, *, original: bool = False) -> bytes:
    """What would be taken in, or what was received. :raises NotFound: also where its bytes were never fetched."""
    pointer = entry.raw if original else entry.corrected or entry.raw
    if pointer is None:
        raise NotFound(_NOT_FETCHED)
    return services.raws.get(mailbox.id, pointer)


def message(mailbox: Mailbox, entry: QuarantineEntry, content: bytes) -> InboundMessage | None:
    """What it says; None where it cannot be parsed."""
    item = _item(mailbox, entry, content)
    return item.message if isinstance(item, Arrived) else None


def header(content: bytes) -> list[tuple[str, str]]:
    """All fields of the header as people read them, names in lower case."""
    fields, _ = read_fields(content, 0, len(content), [])
    return [(name, text(value)) for name, value in fields.pairs]


def correct(services: Services, mailbox: Mailbox, found: Versioned[QuarantineEntry], content: bytes) -> None:
    """Have this taken in in place of the message, which is kept.

    :raises Invalid: with all that is wrong with its header; nothing is changed then.
    :raises QuarantineChanged: somebody else was faster.
    """
    item = _item(mailbox, found.value, content)
    if problems := [*_problems(item)]:
        raise Invalid(problems)
    pointer = services.raws.keep(mailbox.id, content)
    after = with_(found.value, corrected=pointer)
    before, corrected = {"sha256": found.value.raw.sha256 if found.value.raw else ""}, {"sha256": pointer.sha256}
    with audited(services, _NOUN, found.value.id, "corrected", before=before, after=corrected):
        services.tickets.commit(mailbox.id, Commit(changed_quarantine=[ChangedQuarantine(found, after)]))


def retry(services: Services, mailbox: Mailbox, entry_ids: Sequence[str]) -> list[Retried]:
    """Try these again, as long as there is time; those that are left out are still in quarantine.

    :raises Fenced: the mailbox is being polled. What was tried before is a duplicate when it is tried again.
    :raises QuarantineChanged: somebody else was faster with one of them.
    """
    until = services.clock() + _TIME_BUDGET
    found = [entry for each in entry_ids if (entry := services.tickets.quarantined(mailbox.id, each))]
    retried: list[Retried] = []
    for terms, group in groupby(
        sorted(found, key=lambda each: astuple(each.value.terms)), lambda each: each.value.terms
    ):
        entries = {each.value.ref: each for each in group}
        for batch in batches(_items(services, mailbox, [each.value for each in entries.values()])):
            if retried and services.clock() > until:
                return retried
            retried += _retry(services, mailbox, terms, entries, batch)
    return retried


def _retry(
    services: Services,
    mailbox: Mailbox,
    terms: Terms,
    entries: Mapping[MessageRef, Versioned[QuarantineEntry]],
    batch: Sequence[Item],
) -> list[Retried]:
    subject = next(iter(entries)).key if len(entries) == 1 else mailbox.id
    with (
        audited(services, _NOUN, subject, "retried"),
        taking_in(services, mailbox, "retry", terms=terms, retried=entries) as intake,
    ):
        intake.taken += [_fetched_later(mailbox, terms, intake, each) for each in batch if _is_missing(each)]
        intake.take_in([each for each in batch if not _is_missing(each)])
    return [Retried(each.ref.key, each.outcome, each.reason, mailbox.tag(each.ticket_number)) for each in intake.taken]


def _items(services: Services, mailbox: Mailbox, entries: Iterable[QuarantineEntry]) -> Iterator[Item]:
    for entry in entries:
        try:
            yield _item(mailbox, entry, content(services, mailbox, entry))
        except NotFound:
            yield FetchFailure(entry.ref, MessageError(_NOT_FETCHED))


def _item(mailbox: Mailbox, entry: QuarantineEntry, content: bytes) -> Item:
    return parsed(RawMessage(entry.ref, content, None, len(content)), header_names(mailbox))


def _is_missing(item: Item) -> bool:
    return isinstance(item, FetchFailure) and item.content is None


def _fetched_later(mailbox: Mailbox, terms: Terms, intake: Intake, item: Item) -> Taken:
    """By the next poll; but not on the terms of an import, and where it was moved when it failed, its handle leads
    nowhere: people move it back.
    """
    assert isinstance(item, FetchFailure)
    if terms != Terms():
        return Taken(item.ref, Outcome.QUARANTINED, "to_be_imported_again")
    if mailbox.failed_folder and mailbox.source.kind in _HANDLES_END_WITH_A_MOVE:
        return Taken(item.ref, Outcome.QUARANTINED, "moved_to_failed_folder")
    if not intake.put_back(item.ref):
        return Taken(item.ref, Outcome.QUARANTINED, "too_many_deferred")
    return Taken(item.ref, Outcome.DEFERRED, "fetched_at_next_poll")


def drop(services: Services, mailbox: Mailbox, found: Versioned[QuarantineEntry], data: object) -> None:
    """Take it out for good: should the mailbox be listed again, it is not taken in either.

    :raises Invalid: the data do not give a reason.
    :raises QuarantineChanged: somebody else was faster.
    """
    told_why = read(Drop, data)
    now, entry = services.clock(), found.value
    run = record("drop", now, now, [Taken(entry.ref, Outcome.IGNORED, "dropped")])
    commit = Commit(run=run, changed_quarantine=[ChangedQuarantine(found, None)])
    [item] = _items(services, mailbox, [with_(entry, corrected=None)])
    receipts = (
        [Receipt(item.key, item.fingerprint, Outcome.IGNORED, now, reason="dropped")]
        if isinstance(item, Arrived)
        else []
    )
    with audited(services, _NOUN, entry.id, "dropped", after={"mailbox": mailbox.id, "reason": told_why.reason}):
        try:
            services.tickets.commit(mailbox.id, with_(commit, receipts=receipts))
        except ReceiptExists:  # of another message under its Message-ID, or it was taken in another time
            services.tickets.commit(mailbox.id, commit)


def _problems(item: Item) -> Iterator[Problem]:
    if isinstance(item, FetchFailure):
        yield Problem("$", "cannot be parsed")
        return
    if item.message.sender is None or not item.message.sender.address:
        yield Problem("$", "has no From with an address")
    for defect in item.message.defects:
        if told_as := _HEADER_DEFECTS.get(Defect(defect)):
            yield Problem("$", told_as)
