"""Announcements: planned, begun, shown and cancelled (req M8). How they are sent is in `announcing`."""

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.application.announcing import everybody, step_event
from shared.application.auditing import audited
from shared.application.finding import insiders
from shared.application.ports.platform import DeliveryRequest
from shared.application.ports.stores import Versioned
from shared.application.ports.tickets import ChangedEntry, Commit, OutboxChanged
from shared.application.services import Services
from shared.application.unsubscribing import unsubscribe_url
from shared.application.validation import read
from shared.domain.announcements import Announcement, NewAnnouncement, left_out
from shared.domain.errors import Conflict, Invalid, NotFound, Problem
from shared.domain.outbox import OutboxEntry


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an announcement is. `id` is None while it is only planned: then `left_out` counts by reason whom it would
    not be sent to. `recipients` are as counted before it began; of the messages that were `queued` so far, `waiting`
    and `failed` are in the outbox, and `withdrawn` were cancelled before they were sent.
    """

    id: str | None
    status: Literal["planned", "sending", "sent", "cancelled"]
    mailbox: str
    subject: str
    audience: str
    required: bool
    by: str
    recipients: int
    created_at: datetime | None = None
    cancelled_at: datetime | None = None
    left_out: Mapping[str, int] | None = None
    queued: int = 0
    waiting: int = 0
    sent: int = 0
    failed: int = 0
    withdrawn: int = 0


def plan(services: Services, data: object) -> Progress:
    """What would be sent to how many. :raises Invalid: with every problem."""
    asked = _checked(services, data)
    reasons = _counted(services, asked)
    return Progress(
        id=None,
        status="planned",
        mailbox=asked.mailbox,
        subject=asked.subject,
        audience=asked.audience.kind,
        required=asked.required,
        by=services.caller,
        recipients=reasons.pop(None, 0),
        left_out={reason: count for reason, count in reasons.items() if reason},
    )


def _checked(services: Services, data: object) -> NewAnnouncement:
    asked = read(NewAnnouncement, data)
    if asked.mailbox not in [each.id for each in services.mailboxes.cached()]:
        raise Invalid([Problem("$.mailbox", "is no mailbox")])
    enabled = [each.id for each in services.senders.cached() if each.enabled]
    if asked.sender and asked.sender not in enabled:
        raise Invalid([Problem("$.sender", "is no sender that is enabled")])
    return asked


def _counted(services: Services, asked: NewAnnouncement) -> Counter[str | None]:
    """The people by why they are left out; under None those who are told."""
    own = insiders(services)
    return Counter(left_out(each, own, required=asked.required) for each in everybody(services, asked.audience))


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
    asked = _checked(services, data)
    _require_sending(services, asked)
    announcement = _kept(services, id_, asked, digest)
    shown = announcement.model_dump(include={"mailbox_id", "audience", "required", "recipients"})
    with audited(services, "announcement", id_, "created", after=shown):
        services.announcements.add(announcement)
    return _begun(services, announcement)


def _require_sending(services: Services, asked: NewAnnouncement) -> None:
    if not any(each.enabled for each in services.senders.cached()):
        raise Conflict("there is no sender that is enabled")
    if not asked.required:
        if not services.settings.public_url:
            raise Conflict("set PUBLIC_URL: without it nobody can unsubscribe")
        unsubscribe_url(services, asked.mailbox)  # what it needs is missed now, and not by every message


def _kept(services: Services, id_: str, asked: NewAnnouncement, digest: str) -> Announcement:
    pointer = services.raws.keep(asked.mailbox, asked.model_dump_json().encode())
    return Announcement(
        id=id_,
        name=asked.subject[:100],
        created_at=services.clock(),
        mailbox_id=asked.mailbox,
        subject=asked.subject,
        by=services.caller,
        audience=asked.audience.kind,
        required=asked.required,
        digest=digest,
        sha256=pointer.sha256,
        size=pointer.size,
        recipients=_counted(services, asked)[None],
    )


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
    waiting, withdrawn = len(owed) - len(steps) - failed, announcement.withdrawn
    kept = {"id", "subject", "audience", "required", "by", "created_at", "cancelled_at", "recipients", "withdrawn"}
    return Progress(
        status="cancelled" if announcement.cancelled_at else "sending" if steps or waiting else "sent",
        mailbox=announcement.mailbox_id,
        queued=queued,
        waiting=waiting,
        sent=queued - withdrawn - waiting - failed,
        failed=failed,
        **announcement.model_dump(include=kept),
    )


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


def _begun(services: Services, announcement: Announcement) -> Progress:
    """Also where its beginning was broken off. Until all is queued, there is an event of a step."""
    mailbox_id = announcement.mailbox_id
    if not announcement.queued_all_at and not announcement.cancelled_at:
        owed = _of(announcement, services.tickets.outbox(mailbox_id))
        if not any(each.kind == "event" for each in owed):
            first = step_event(announcement, services.clock(), "", 0)
            services.tickets.commit(mailbox_id, Commit(outbox=[first]))
    services.deliveries.put(DeliveryRequest(mailbox_id))
    return progress(services, announcement)


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
