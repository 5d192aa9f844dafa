"""Configured mailboxes, and the ticket types that they may create: what about them must fit together."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from shared.application.configuration import Checked, Kind, find, text_at, value_at
from shared.application.intake import taking_in
from shared.application.ports.stores import Versioned
from shared.application.services import Services
from shared.domain.errors import Conflict, Problem
from shared.domain.mailbox import Mailbox, MailboxSettings
from shared.domain.processing import processing_problems, routes
from shared.domain.settlement import Keep, MarkRead, Move
from shared.domain.sources import GraphSource
from shared.domain.ticket_types import TicketType, TicketTypeSettings, all_types


def find_mailbox(services: Services, mailbox_id: str) -> Versioned[Mailbox]:
    """:raises NotFound:"""
    return find(services, MAILBOXES, mailbox_id)


def _poll_soon(services: Services, mailbox: Mailbox) -> None:
    """Whatever its back-off was."""
    services.schedule.begin([mailbox.id], services.clock())


def _needed_by(services: Services, mailbox: Mailbox) -> Iterator[str]:
    """What has come in is found through the mailbox, by its prefix, and kept as long as it says."""
    store, id_ = services.tickets, mailbox.id
    if store.tickets(id_, open_only=False, limit=1, before=None):
        yield "its tickets"
    if store.quarantine(id_):
        yield "its messages in quarantine"
    if store.owed(id_, None, 1):
        yield "what it has to send"
    for other in services.mailboxes.cached():
        if id_ in routes(other):
            yield f"a rule of mailbox {other.id}"


def _stop_polls(services: Services, mailbox: Mailbox) -> None:
    """What a poll has begun to take in comes to nothing. :raises Conflict: it was faster."""
    with taking_in(services, mailbox, "deletion") as intake:
        intake.lease()
        if [*_needed_by(services, mailbox)]:
            raise Conflict


def _forget(services: Services, mailbox: Mailbox) -> None:
    services.schedule.delete(mailbox.id)


def _problems(checked: Checked[Mailbox]) -> Iterator[Problem]:
    services, prefix, settings = checked.services, text_at(checked.data, "ticket_prefix"), checked.settings
    for other in checked.others:
        if prefix == other.ticket_prefix:
            yield Problem("$.ticket_prefix", f"is already used by mailbox {other.id}")
    if checked.current and prefix not in ("", checked.current.ticket_prefix):
        known = checked.current.ticket_prefix
        yield Problem("$.ticket_prefix", f"cannot be changed: tickets are known as {known}-...")
    yield from _settled_where_it_is_read(checked.data)
    if isinstance(settings, MailboxSettings):
        if settings.source.kind == "pop3":
            yield from _beyond_pop3(settings)
        if settings.retention.receipts_days and isinstance(settings.settlement, Keep | MarkRead):
            said = "must be unset where messages stay in their folder: what is listed again would be taken in again"
            yield Problem("$.retention.receipts_days", said)
        yield from _read_twice(settings, checked.others)
        sender_id = settings.notices.sender_id
        if sender_id and services.senders.get(sender_id) is None:
            yield Problem("$.notices.sender_id", "is no sender")
        if isinstance(settings.source, GraphSource) and settings.source.push and not services.settings.public_url:
            yield Problem("$.source.push", "needs the app setting PUBLIC_URL: Graph must know where to reach this app")
        types = all_types(each.value for each in services.ticket_types.all())
        yield from processing_problems(settings, [each.id for each in checked.others], types)


def _settled_where_it_is_read(data: object) -> Iterator[Problem]:
    kind, folders = text_at(data, "source", "kind"), value_at(data, "source", "folders")
    for path in (("settlement", "folder"), ("failed_folder",)):
        target = text_at(data, *path)
        if target and _segments(kind, target) in _folders(kind, folders):
            yield Problem(f"$.{'.'.join(path)}", "must not be a folder that the mailbox is read from")


def _beyond_pop3(settings: MailboxSettings) -> Iterator[Problem]:
    """POP3 has one folder, and tells neither dates nor who has read what."""
    if isinstance(settings.settlement, Move):
        yield Problem("$.settlement", "must be `mark_read`, `keep` (both leave messages on the server) or `delete`")
    if settings.failed_folder:
        yield Problem("$.failed_folder", "must be unset: POP3 has one folder")
    if settings.intake.start_from not in ("now", "beginning"):
        yield Problem("$.intake.start_from", "must be `now` or `beginning`: POP3 tells no dates")
    if settings.intake.unread_only:
        yield Problem("$.intake.unread_only", "must be false: POP3 does not tell what was read")


def _read_twice(settings: MailboxSettings, others: Sequence[Mailbox]) -> Iterator[Problem]:
    """A mailbox that is not enabled reads nothing: so two of them can share a folder while one takes over."""
    owners = _owners(settings) if settings.enabled else set()
    written = getattr(settings.source, "folders", None)
    folders = _folders(settings.source.kind, written)
    if written and len(folders) < len(written):
        yield Problem("$.source.folders", "must name each folder once")
    for other in others:
        theirs = getattr(other.source, "folders", None)
        if other.enabled and owners & _owners(other) and folders & _folders(other.source.kind, theirs):
            told = f"is already read by mailbox {other.id}, which would take every message in twice"
            yield Problem("$.source.folders", told)


def _owners(settings: MailboxSettings) -> set[tuple[str, ...]]:
    """Whose mail is read, by the address and by the account that signs in at a host."""
    source = settings.source
    mailbox, host = getattr(source, "mailbox", None), getattr(source, "host", None)
    account = mailbox or getattr(source.sign_in, "account", None)
    signed_in = {(host.casefold(), account.casefold())} if host and account else set()
    return {((mailbox or settings.address).casefold(),), *signed_in}


def _folders(kind: str, written: object) -> set[tuple[str, ...]]:
    """The folders that are read, however they are written (req F2)."""
    paths = re.split("[,;]", written) if isinstance(written, str) else written
    return {_segments(kind, path) for path in (paths if isinstance(paths, Sequence) else ("inbox",)) if path}


def _segments(kind: str, path: object) -> tuple[str, ...]:
    """The segments of a folder's path. IMAP servers also separate with dots."""
    path = unicodedata.normalize("NFC", str(path)).casefold()
    separators = r"[/\\.]" if kind == "imap" else r"[/\\]"
    return tuple(segment.strip() for segment in re.split(separators, path) if segment.strip())


TICKET_TYPES = Kind(
    noun="ticket type",
    settings=TicketTypeSettings,
    stored=TicketType,
    store=lambda services: services.ticket_types,
)
"""Req K7. A mailbox that names one that is gone makes tickets without its fields."""

MAILBOXES = Kind(
    noun="mailbox",
    settings=MailboxSettings,
    stored=Mailbox,
    store=lambda services: services.mailboxes,
    check=_problems,
    read_only=("health",),
    saving=_poll_soon,
    needed_by=_needed_by,
    deleting=_stop_polls,
    deleted=_forget,
)
