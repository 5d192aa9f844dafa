"""Announcements: planned, queued in steps at the pace of the sender, shown, and cancelled (req M8).

Each step takes a batch of the audience: in one transaction the event of this step makes room for the e-mails of the
batch, their receipts and the event of the next step. So it goes on where it was broken off, and tells nobody twice.
"""

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.application.auditing import audited
from shared.application.finding import Finder
from shared.application.notices import own_message_id
from shared.application.ports import ChangedEntry, Commit, DeliveryRequest, OutboxChanged, Versioned
from shared.application.services import Services
from shared.application.templates import BUILT_IN_LANGUAGES
from shared.application.unsubscribing import unsubscribe_url
from shared.application.validation import validated
from shared.domain.announcements import (
    AddressesAudience,
    Announcement,
    Audience,
    NewAnnouncement,
    contact_filter,
    left_out,
)
from shared.domain.contact import Contact, contact_id
from shared.domain.errors import Conflict, Invalid, NotFound, Problem
from shared.domain.languages import language_for
from shared.domain.mailbox import Mailbox
from shared.domain.message import Address
from shared.domain.outbox import OutboxEntry
from shared.domain.senders import Limits, primary
from shared.domain.templates import TemplateKind, TextValues
from shared.domain.ticket import RawPointer
from shared.mime.rich_text import html_of_text, text_and_html

STEP = "announcement"
"""The type of the event that a step begins with; nobody subscribes to it."""

_BATCH = 40
"""Two rows each, and those of the steps: within the 100 operations of a transaction."""
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Planned:
    """How many would be told, and of whom it is not told why."""

    recipients: int
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: of the messages that were `queued` so far, `waiting` and `failed` are in the outbox."""

    announcement: Announcement
    queued: int
    waiting: int
    failed: int
    is_queueing: bool

    @property
    def sent(self) -> int:
        return self.queued - self.announcement.withdrawn - self.waiting - self.failed


def plan(services: Services, data: object) -> tuple[NewAnnouncement, Planned]:
    """What would be sent to how many. :raises Invalid: with every problem."""
    asked, problems = validated(NewAnnouncement, data)
    if asked is None:
        raise Invalid(problems)
    mailbox = next((each for each in services.mailboxes.cached() if each.id == asked.mailbox), None)
    if mailbox is None:
        raise Invalid([Problem("$.mailbox", "is no mailbox")])
    enabled = [each.id for each in services.senders.cached() if each.enabled]
    if asked.sender and asked.sender not in enabled:
        raise Invalid([Problem("$.sender", "is no sender that is enabled")])
    insiders = Finder(services, mailbox).insiders
    reasons = Counter(
        left_out(each, insiders, required=asked.required) for each in _everybody(services, asked.audience)
    )
    return asked, Planned(reasons.pop(None, 0), {reason: count for reason, count in reasons.items() if reason})


def announce(services: Services, data: object, key: str | None, digest: str) -> Progress:
    """Begin to send it. What is sent again under the same key is the same announcement.

    :raises Invalid: with every problem.
    :raises Conflict: nothing can be sent, or nobody could unsubscribe.
    """
    id_ = f"announcement-{hashlib.sha256(key.encode()).hexdigest()[:16] if key else secrets.token_hex(8)}"
    if key and (before := services.announcements.get(id_)):
        if before.value.digest != digest:
            raise Invalid([Problem("header.Idempotency-Key", "is that of another request")])
        return _begun(services, before.value)
    asked, planned = plan(services, data)
    if not any(each.enabled for each in services.senders.cached()):
        raise Conflict("there is no sender that is enabled")
    if not asked.required:
        if not services.settings.public_url:
            raise Conflict("set PUBLIC_URL: without it nobody can unsubscribe")
        unsubscribe_url(services, "nobody@example.com")
    kept = services.raws.keep(asked.mailbox, asked.model_dump_json().encode())
    announcement = Announcement(
        id=id_,
        name=asked.subject[:100],
        created_at=services.clock(),
        mailbox_id=asked.mailbox,
        subject=asked.subject,
        by=services.caller,
        audience=asked.audience.kind,
        required=asked.required,
        digest=digest,
        sha256=kept.sha256,
        size=kept.size,
        recipients=planned.recipients,
    )
    shown = announcement.model_dump(include={"mailbox_id", "audience", "required", "recipients"})
    with audited(services, "announcement", id_, "created", after=shown):
        services.announcements.add(announcement)
    return _begun(services, announcement)


def all_progress(services: Services) -> list[Progress]:
    """Newest first."""
    found = sorted(
        (each.value for each in services.announcements.all()), key=lambda each: each.created_at, reverse=True
    )
    outboxes = {mailbox_id: services.tickets.outbox(mailbox_id) for mailbox_id in {each.mailbox_id for each in found}}
    return [_progress(each, outboxes[each.mailbox_id]) for each in found]


def progress(services: Services, announcement: Announcement) -> Progress:
    return _progress(announcement, services.tickets.outbox(announcement.mailbox_id))


def _progress(announcement: Announcement, outbox: Iterable[OutboxEntry]) -> Progress:
    owed = _of(announcement, outbox)
    steps = [each for each in owed if each.kind == "event"]
    queued = steps[0].payload["queued"] if steps else announcement.queued
    failed = sum(each.kind == "email" and each.state == "failed" for each in owed)
    return Progress(announcement, queued, len(owed) - len(steps) - failed, failed, is_queueing=bool(steps))


def find(services: Services, announcement_id: str) -> Versioned[Announcement]:
    """:raises NotFound:"""
    if found := services.announcements.get(announcement_id):
        return found
    raise NotFound("there is no such announcement")


def cancel(services: Services, announcement_id: str) -> Progress:
    """Send no more of it. What is being sent is sent. :raises Conflict: it came to its end meanwhile."""
    found = find(services, announcement_id)
    at = found.value.cancelled_at or services.clock()
    cancelled = found.value.model_copy(update={"cancelled_at": at})
    with audited(services, "announcement", announcement_id, "cancelled"):
        etag = services.announcements.replace(cancelled, found.etag)
    owed = _of(cancelled, services.tickets.outbox(cancelled.mailbox_id))
    gone = [each for each in owed if _withdraw(services, cancelled.mailbox_id, each)]
    queued = next((each.payload["queued"] for each in gone if each.kind == "event"), cancelled.queued)
    withdrawn = cancelled.withdrawn + sum(each.kind == "email" for each in gone)
    counted = cancelled.model_copy(update={"queued": queued, "withdrawn": withdrawn})
    services.announcements.replace(counted, etag)
    return progress(services, counted)


def step(services: Services, mailbox: Mailbox, event: OutboxEntry) -> list[OutboxEntry]:
    """The e-mails of the next batch, and the event of the step after it.

    :raises OutboxChanged: it is being cancelled.
    """
    found = services.announcements.get(event.payload["announcement"])
    if found is None or found.value.cancelled_at:
        return []
    announcement, now = found.value, services.clock()
    asked = _asked(services, announcement)
    people, after = _page(services, asked.audience, event.payload["after"], _BATCH)
    insiders = Finder(services, mailbox).insiders
    told = [each for each in people if not left_out(each, insiders, required=asked.required)]
    owed = [_email(services, mailbox, announcement, asked, each) for each in told]
    queued = event.payload["queued"] + len(told)
    if after:
        wait = timedelta(minutes=len(told) / _limit(services, mailbox, asked))
        services.deliveries.put(DeliveryRequest(mailbox.id), wait)
        return [*owed, _step(announcement, now + wait, after, queued)]
    ended = announcement.model_copy(update={"queued": queued, "queued_all_at": now})
    try:
        services.announcements.replace(ended, found.etag)
    except Conflict as error:
        raise OutboxChanged from error
    return owed


def words(services: Services, told: Mapping[str, Any]) -> TextValues:
    """What an e-mail of it says. :raises NotFound: it is gone."""
    asked = _asked(services, find(services, told["announcement"]).value)
    text, html = (asked.text, html_of_text(asked.text)) if asked.text else text_and_html(asked.html or "")
    url = "" if asked.required else unsubscribe_url(services, told["to"][0][0])
    return TextValues(asked.subject, text, html, url)


def _begun(services: Services, announcement: Announcement) -> Progress:
    """Also where its beginning was broken off. Until all is queued, there is an event of a step."""
    found = progress(services, announcement)
    if not found.is_queueing and not announcement.queued_all_at and not announcement.cancelled_at:
        first = _step(announcement, services.clock(), "", 0)
        services.tickets.commit(announcement.mailbox_id, Commit(outbox=[first]))
        found = progress(services, announcement)
    services.deliveries.put(DeliveryRequest(announcement.mailbox_id))
    return found


def _step(announcement: Announcement, due_at: datetime, after: str, queued: int) -> OutboxEntry:
    payload = {
        "type": STEP,
        "at": due_at.isoformat(),
        "announcement": announcement.id,
        "after": after,
        "queued": queued,
    }
    return OutboxEntry(f"{announcement.id}-after-{after}", "event", due_at, payload)


def _email(
    services: Services, mailbox: Mailbox, announcement: Announcement, asked: NewAnnouncement, contact: Contact
) -> OutboxEntry:
    id_, to = f"{announcement.id}-to-{contact_id(contact.address.address)[:32]}", contact.address
    default = mailbox.notices.language
    payload = {
        "at": services.clock().isoformat(),
        "announcement": announcement.id,
        "notice": TemplateKind.ANNOUNCEMENT.value,
        "to": [[to.address, to.name]],
        "cc": [],
        "message_id": own_message_id(services, mailbox, None, id_),
        "language": language_for(
            contact=contact.language, text="", declared="", default=default, available=BUILT_IN_LANGUAGES
        ),
        **({"sender": asked.sender} if asked.sender else {}),
    }
    return OutboxEntry(id_, "email", services.clock(), payload)


def _limit(services: Services, mailbox: Mailbox, asked: NewAnnouncement) -> int:
    """Messages that its sender may send in a minute."""
    known = {each.id: each for each in services.senders.cached() if each.enabled}
    chosen = known.get(asked.sender or mailbox.notices.sender_id or "") or primary(known.values())
    return (chosen.limits if chosen else Limits()).messages_per_minute


def _asked(services: Services, announcement: Announcement) -> NewAnnouncement:
    pointer = RawPointer(announcement.sha256, announcement.size, inline=False)
    return NewAnnouncement.model_validate_json(services.raws.get(announcement.mailbox_id, pointer))


def _everybody(services: Services, audience: Audience) -> Iterator[Contact]:
    after = ""
    while True:
        people, more = _page(services, audience, after, _PAGE)
        yield from people
        if not more:
            return
        after = more


def _page(services: Services, audience: Audience, after: str, limit: int) -> tuple[Sequence[Contact], str | None]:
    """The next people, in the order of the ids of their contacts, and where to continue; None after the last."""
    if not isinstance(audience, AddressesAudience):
        return services.contacts.list(contact_filter(audience), limit, after or None)
    named = sorted({contact_id(each): each for each in audience.addresses}.items())
    page = [(id_, address) for id_, address in named if id_ > after][:limit]
    known = services.contacts.read([address for _, address in page])
    people = [known[address].value if address in known else Contact(Address(address)) for _, address in page]
    return people, page[-1][0] if page and page[-1][0] != named[-1][0] else None


def _of(announcement: Announcement, outbox: Iterable[OutboxEntry]) -> list[OutboxEntry]:
    return [each for each in outbox if each.payload.get("announcement") == announcement.id]


def _withdraw(services: Services, mailbox_id: str, owed: OutboxEntry) -> bool:
    """Whether it could be, because nobody was at it."""
    entry = services.tickets.entry(mailbox_id, owed.id)
    if entry is None or entry.value.state == "sending":
        return False
    try:
        services.tickets.commit(mailbox_id, Commit(changed_outbox=[ChangedEntry(entry, None)]))
    except OutboxChanged:
        return False
    return True
