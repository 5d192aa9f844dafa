"""Announcements on their way: a step at a time, each a batch of the audience.

In one transaction, the event of a step makes room for the e-mails of its batch, their receipts and the event of the
next step. So it goes on where it was broken off, and tells nobody twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.application.deliver_senders import Senders
from shared.application.finding import insiders
from shared.application.ports.platform import DeliveryRequest
from shared.application.ports.tickets import OutboxChanged
from shared.application.services import Services
from shared.application.templates import BUILT_IN_LANGUAGES
from shared.application.unsubscribing import unsubscribe_url
from shared.domain.announcements import (
    AddressesAudience,
    Announcement,
    Audience,
    NewAnnouncement,
    contact_filter,
    left_out,
)
from shared.domain.contact import Contact, contact_id
from shared.domain.errors import Conflict, NotFound
from shared.domain.languages import language_for
from shared.domain.mailbox import Mailbox
from shared.domain.outbox import OutboxEntry
from shared.domain.senders import Limits
from shared.domain.templates import TemplateKind, TextValues, written_in
from shared.domain.ticket import RawPointer
from shared.mime.rich_text import html_of_text, text_and_html

STEP = "announcement"
"""The type of the event that a step begins with; nobody subscribes to it."""

_BATCH = 40
"""Two rows each, and those of the steps: within the 100 operations of a transaction."""
_PAGE = 200
_NOT_TOO_EARLY = timedelta(seconds=2)
"""Clocks differ: what comes before the step is due would find nothing to do."""


def step(services: Services, mailbox: Mailbox, event: OutboxEntry) -> list[OutboxEntry]:
    """The e-mails of the next batch, and the event of the step after it.

    :raises OutboxChanged: it is being cancelled.
    """
    found = services.announcements.get(event.payload["announcement"])
    if found is None or found.value.cancelled_at:
        return []
    announcement, now = found.value, services.clock()
    asked = asked_for(services, announcement)
    people, after = _page(services, asked.audience, event.payload["after"], _BATCH)
    own = insiders(services)
    told = [each for each in people if not left_out(each, own, required=asked.required)]
    owed = [_email(services, mailbox, announcement, asked, each) for each in told]
    queued = event.payload["queued"] + len(told)
    if after:
        wait = _pace(services, mailbox, owed)
        services.deliveries.put(DeliveryRequest(mailbox.id), wait + _NOT_TOO_EARLY)
        return [*owed, step_event(announcement, now + wait, after, queued)]
    ended = announcement.model_copy(update={"queued": queued, "queued_all_at": now})
    try:
        services.announcements.replace(ended, found.etag)
    except Conflict as error:
        raise OutboxChanged from error
    return owed


def words(services: Services, told: Mapping[str, Any]) -> TextValues:
    """What an e-mail of it says. :raises NotFound: it is gone."""
    found = services.announcements.get(told["announcement"])
    if found is None:
        raise NotFound("the announcement is gone")
    asked = asked_for(services, found.value)
    text, html = (asked.text, html_of_text(asked.text)) if asked.text else text_and_html(asked.html or "")
    url = "" if asked.required else unsubscribe_url(services, told["to"][0][0])
    return TextValues(asked.subject, text, html, url)


def step_event(announcement: Announcement, due_at: datetime, after: str, queued: int) -> OutboxEntry:
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
    to = contact.mailbox
    id_ = f"to-{contact_id(to.address)[:32]}-of-{announcement.id}"  # behind `ticket`: what people wait for goes first
    available = {*BUILT_IN_LANGUAGES, *written_in(services.templates.cached(), mailbox.id, TemplateKind.ANNOUNCEMENT)}
    payload = {
        "at": services.clock().isoformat(),
        "announcement": announcement.id,
        "notice": TemplateKind.ANNOUNCEMENT.value,
        "to": [[to.address, to.name]],
        "cc": [],
        "message_id": services.own_ids.sign(mailbox, None, id_),
        "language": language_for(
            contact=contact.language, text="", declared="", default=mailbox.notices.language, available=available
        ),
        **({"sender": asked.sender} if asked.sender else {}),
    }
    return OutboxEntry(id_, "email", services.clock(), payload)


def _pace(services: Services, mailbox: Mailbox, owed: Sequence[OutboxEntry]) -> timedelta:
    """How long their sender may take for them."""
    sender = next(Senders(services, mailbox).fitting(owed[0], None), None) if owed else None
    return timedelta(minutes=len(owed) / (sender.limits if sender else Limits()).messages_per_minute)


def asked_for(services: Services, announcement: Announcement) -> NewAnnouncement:
    """:raises NotFound: that is past its retention."""
    pointer = RawPointer(announcement.sha256, announcement.size, inline=False)
    return NewAnnouncement.model_validate_json(services.raws.get(announcement.mailbox_id, pointer))


def everybody(services: Services, audience: Audience) -> Iterator[Contact]:
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
    people = [known[address].value if address in known else Contact(address=address) for _, address in page]
    return people, page[-1][0] if page and page[-1][0] != named[-1][0] else None
