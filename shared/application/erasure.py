"""Erasing what is stored about a person (issue 7), a part at a time: whoever asks goes on asking until it is finished.
Nothing that names the person is stored meanwhile, and what was erased is not found again, so a part may break off.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.application.announcing import asked_for
from shared.application.auditing import audited
from shared.application.ports.stores import Versioned
from shared.application.ports.tickets import ChangedEntry, ChangedQuarantine, ChangedTicket, Commit
from shared.application.services import Services
from shared.application.validation import read
from shared.domain.announcements import AddressesAudience, Announcement
from shared.domain.contact import contact_id, same_address
from shared.domain.erasures import Erasure, ErasureRequest, erased_comment, erased_ticket, is_about
from shared.domain.errors import Conflict, NotFound
from shared.domain.intake import QuarantineEntry
from shared.domain.outbox import OutboxEntry
from shared.domain.ticket import RawPointer

_BUDGET = timedelta(minutes=1)
"""Of one request; what has begun is finished after it."""

_PAGE = 1000
_NOBODY_LISTED = "no-reply@erased.invalid"
"""A list has at least one address; to such a one nothing is sent."""


def erase(services: Services, data: object) -> tuple[ErasureRequest, Erasure]:
    """Plan it, or do as much of it as there is time for. :raises Invalid:"""
    asked = read(ErasureRequest, data)
    if asked.plan:
        return asked, _planned(services, asked.address)
    record = _begun(services, asked.address)
    with audited(services, "erasure", record.value.id, "erased"):
        return asked, _worked(services, asked.address, record)


def find(services: Services, erasure_id: str) -> Erasure:
    """:raises NotFound:"""
    if found := services.erasures.get(erasure_id):
        return found.value
    raise NotFound("there is no such erasure")


def _new(services: Services, address: str) -> Erasure:
    person = contact_id(address)
    return Erasure(
        id=f"erasure-{person[:16]}", name="Erasure", created_at=services.clock(), by=services.caller, person=person
    )


def _planned(services: Services, address: str) -> Erasure:
    announced = len([*_announced(services, same_address(address))])
    counts = Counter[str](contacts=len(services.contacts.read([address])), announcements=announced)
    for mailbox_id in _mailbox_ids(services):
        counts.update(_Person(services, mailbox_id, address).counted())
    return _new(services, address).model_copy(update={"counts": dict(+counts)})


def _begun(services: Services, address: str) -> Versioned[Erasure]:
    """The record that there is, from its beginning where it was finished."""
    new = _new(services, address)
    found = services.erasures.get(new.id) or Versioned(new, services.erasures.add(new))
    if found.value.finished_at is None:
        return found
    again = found.value.model_copy(update={"finished_at": None, "position": ""})
    return Versioned(again, services.erasures.replace(again, found.etag))


def _worked(services: Services, address: str, record: Versioned[Erasure]) -> Erasure:
    until, erasure, etag = services.clock() + _BUDGET, record.value, record.etag
    is_technician = any(each.value.is_technician for each in services.contacts.read([address]).values())
    for mailbox_id in _mailbox_ids(services):
        if mailbox_id <= erasure.position:
            continue
        person = _Person(services, mailbox_id, address, keeps_texts=is_technician)
        is_done = person.erase(until)
        position = mailbox_id if is_done else erasure.position
        counts = dict(Counter(erasure.counts) + person.counts)
        erasure = erasure.model_copy(update={"counts": counts, "position": position})
        etag = services.erasures.replace(erasure, etag)
        if not is_done:
            return erasure
    announced, known = _unlisted(services, same_address(address)), services.contacts.read([address])
    for found in known.values():  # last: it tells how the person's comments are treated
        services.contacts.delete(found.value.address, found.etag)
    counts = dict(Counter(erasure.counts) + Counter(contacts=len(known), announcements=announced))
    erasure = erasure.model_copy(update={"counts": counts, "finished_at": services.clock()})
    services.erasures.replace(erasure, etag)
    return erasure


def _mailbox_ids(services: Services) -> list[str]:
    return sorted(each.value.id for each in services.mailboxes.all())


def _announced(services: Services, person: str) -> Iterator[tuple[Versioned[Announcement], AddressesAudience]]:
    """The announcements that were asked for with a list that has the person, and that list."""
    for found in services.announcements.all():
        with suppress(NotFound):
            audience = asked_for(services, found.value).audience
            if isinstance(audience, AddressesAudience) and person in map(same_address, audience.addresses):
                yield found, audience


def _unlisted(services: Services, person: str) -> int:
    """All lists are written anew before the old ones go: two announcements may have one list."""
    listed = [*_announced(services, person)]
    for found, audience in listed:
        left = tuple(each for each in audience.addresses if same_address(each) != person) or (_NOBODY_LISTED,)
        asked = asked_for(services, found.value).model_copy(update={"audience": AddressesAudience(addresses=left)})
        pointer = services.raws.keep(found.value.mailbox_id, asked.model_dump_json().encode())
        rest = found.value.model_copy(update={"sha256": pointer.sha256, "size": pointer.size})
        services.announcements.replace(rest, found.etag)
    for found, _ in listed:
        old = RawPointer(found.value.sha256, found.value.size, inline=False)
        services.retention.remove_raws(found.value.mailbox_id, [old])
    return len(listed)


@dataclass
class _Person:
    """What one mailbox has about somebody."""

    services: Services
    mailbox_id: str
    address: str
    keeps_texts: bool = False

    def __post_init__(self) -> None:
        self.person = same_address(self.address)
        self.counts = Counter[str]()

    def counted(self) -> Counter[str]:
        found = Counter(tickets=len(self._tickets()), outbox=len([*self._owed()]))
        return found + Counter(quarantine=len([*self._quarantined()]))

    def erase(self, until: datetime) -> bool:
        """Whether all of it was done in time."""
        for entry in self._owed():
            self._commit("outbox", Commit(changed_outbox=[ChangedEntry(entry, None)]))
        for quarantined in self._quarantined():
            raws = [each for each in (quarantined.value.raw, quarantined.value.corrected) if each]
            self._remove_raws(raws)
            self._commit("quarantine", Commit(changed_quarantine=[ChangedQuarantine(quarantined, None)]))
        for number in self._tickets():
            if self.services.clock() > until:
                return False
            self._erase_from(number)
        self.services.retention.remove_sent_to(self.mailbox_id, contact_id(self.address))
        return True

    def _tickets(self) -> list[int]:
        """Those that the person takes part in, or has written to."""
        authors = self.services.retention.authors(self.mailbox_id)
        found = {number for number, author in authors if same_address(author) == self.person}
        before: int | None = None
        while page := self.services.tickets.tickets(self.mailbox_id, open_only=False, limit=_PAGE, before=before):
            found.update(each.number for each in page if is_about(each, self.person))
            before = page[-1].number
            if before <= 1:
                break
        return sorted(found)

    def _owed(self) -> Iterator[Versioned[OutboxEntry]]:
        for entry in self.services.tickets.owed(self.mailbox_id, None, 1_000_000):
            if self.person in same_address(str(entry.value.payload)):
                yield entry

    def _quarantined(self) -> Iterator[Versioned[QuarantineEntry]]:
        """Those whose bytes name the person."""
        for each in self.services.tickets.quarantine(self.mailbox_id):
            if each.raw and self._names(each.raw):
                found = self.services.tickets.quarantined(self.mailbox_id, each.id)
                if found:
                    yield found

    def _names(self, pointer: RawPointer) -> bool:
        try:
            content = self.services.raws.get(self.mailbox_id, pointer)
        except NotFound:
            return False
        return self.person.encode() in content.lower()

    def _erase_from(self, number: int) -> None:
        """The ticket itself last: by it the rest is found."""
        comments = self.services.tickets.comments(self.mailbox_id, number)
        self._remove_raws([each.raw for each in comments if each.raw])
        erased = [erased_comment(each, self.person, keeps_texts=self.keeps_texts) for each in comments]
        changed = [new for old, new in zip(comments, erased, strict=True) if old != new]
        self.services.retention.rewrite(self.mailbox_id, changed)
        self.counts["comments"] += len(changed)
        before = self.services.tickets.ticket(self.mailbox_id, number)
        if before:
            after = erased_ticket(before.value, self.person)
            self._commit("tickets", Commit(changed_tickets=[ChangedTicket(before, after)]))

    def _remove_raws(self, pointers: list[RawPointer]) -> None:
        self.counts["raw_mail"] += self.services.retention.remove_raws(self.mailbox_id, pointers)

    def _commit(self, what: str, commit: Commit) -> None:
        """:raises Conflict: somebody was faster; it is found again when the request is repeated."""
        try:
            self.services.tickets.commit(self.mailbox_id, commit)
        except Conflict as error:
            raise Conflict("something was changed meanwhile: send the request again") from error
        self.counts[what] += 1
