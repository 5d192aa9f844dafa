"""Configured mailboxes: what about them must fit together."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from shared.application.configuration import Checked, Kind, find, text_at
from shared.application.intake import taking_in
from shared.application.ports.stores import Versioned
from shared.application.services import Services
from shared.domain.errors import Conflict, Problem
from shared.domain.mailbox import Mailbox, MailboxSettings
from shared.domain.processing import processing_problems, routes
from shared.domain.settlement import Keep, MarkRead
from shared.domain.sources import GraphSource
from shared.domain.ticket_types import all_types

_NAMES = (("address",), ("source", "mailbox"), ("source", "sign_in", "account"))


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
    services, data = checked.services, checked.data
    yield from _settled_where_it_is_read(data)
    yield from _taken(data, checked.others)
    yield from _changed_for_good(data, checked.current)
    yield from _beyond_pop3(data)
    if isinstance(checked.settings, MailboxSettings):
        yield from _listed_again(checked.settings)
        sender_id = checked.settings.notices.sender_id
        if sender_id and services.senders.get(sender_id) is None:
            yield Problem("$.notices.sender_id", "is no sender")
        if isinstance(checked.settings.source, GraphSource) and checked.settings.source.push:
            yield from _unreachable(services)
        types = all_types(each.value for each in services.ticket_types.all())
        yield from processing_problems(checked.settings, [each.id for each in checked.others], types)


def _listed_again(settings: MailboxSettings) -> Iterator[Problem]:
    if settings.retention.receipts_days and isinstance(settings.settlement, Keep | MarkRead):
        said = "must be unset where messages stay in their folder: what is listed again would be taken in again"
        yield Problem("$.retention.receipts_days", said)


def _unreachable(services: Services) -> Iterator[Problem]:
    if not services.settings.public_url:
        yield Problem("$.source.push", "needs the app setting PUBLIC_URL: Graph must know where to reach this app")


def _settled_where_it_is_read(data: object) -> Iterator[Problem]:
    for path in (("settlement", "folder"), ("failed_folder",)):
        target = _segments(data, text_at(data, *path))
        if target and target in _folders(data):
            yield Problem(f"$.{'.'.join(path)}", "must not be a folder that the mailbox is read from")


def _beyond_pop3(data: object) -> Iterator[Problem]:
    """POP3 has one folder, and tells neither dates nor who has read what."""
    if text_at(data, "source", "kind") != "pop3":
        return
    if text_at(data, "settlement", "action") == "move":
        yield Problem("$.settlement", "must be `mark_read`, `keep` (both leave messages on the server) or `delete`")
    if text_at(data, "failed_folder"):
        yield Problem("$.failed_folder", "must be unset: POP3 has one folder")
    if text_at(data, "intake", "start_from") not in ("", "now", "beginning"):
        yield Problem("$.intake.start_from", "must be `now` or `beginning`: POP3 tells no dates")
    if isinstance(data, dict) and isinstance(data.get("intake"), dict) and data["intake"].get("unread_only"):
        yield Problem("$.intake.unread_only", "must be false: POP3 does not tell what was read")


def _taken(data: object, others: Sequence[Mailbox]) -> Iterator[Problem]:
    """What must belong to one mailbox alone. A mailbox that is not enabled reads nothing: so two of them can share
    a folder while one takes over from the other.
    """
    prefix, reads = text_at(data, "ticket_prefix"), _reads(data)
    names = {text_at(data, *path).casefold() for path in _NAMES}
    for other in others:
        if prefix == other.ticket_prefix:
            yield Problem("$.ticket_prefix", f"is already used by mailbox {other.id}")
        if not names.isdisjoint(_names(other)) and reads & _reads(other.model_dump()):
            yield Problem(
                "$.source.folders", f"is already read by mailbox {other.id}, which would take every message in twice"
            )


def _names(mailbox: Mailbox) -> Iterator[str]:
    """What a mailbox must share with another to read the same: much cheaper to compare among a thousand."""
    for path in _NAMES:
        value: object = mailbox
        for key in path:
            value = getattr(value, key, None)
        if isinstance(value, str):
            yield value.casefold()


def _changed_for_good(data: object, current: Mailbox | None) -> Iterator[Problem]:
    if current and text_at(data, "ticket_prefix") not in ("", current.ticket_prefix):
        yield Problem("$.ticket_prefix", f"cannot be changed: tickets are known as {current.ticket_prefix}-...")


def _reads(data: object) -> set[tuple[str, ...]]:
    """What the mailbox reads, by its address and by the account that it signs in with."""
    if not isinstance(data, dict) or data.get("enabled") is False:
        return set()
    mailbox = text_at(data, "source", "mailbox")
    keys = {
        ("address", mailbox or text_at(data, "address")),
        ("account", text_at(data, "source", "host"), mailbox or text_at(data, "source", "sign_in", "account")),
    }
    owners = [tuple(part.casefold() for part in key) for key in keys if all(key)]
    return {(*owner, *folder) for owner in owners for folder in _folders(data)}


def _folders(data: object) -> set[tuple[str, ...]]:
    """The folders that are read, however they are written (req F2)."""
    source = data.get("source") if isinstance(data, dict) else None
    written = source.get("folders") if isinstance(source, dict) else None
    paths = re.split("[,;]", written) if isinstance(written, str) else written or ["inbox"]
    return {_segments(data, path) for path in paths if isinstance(path, str)}


def _segments(data: object, path: str) -> tuple[str, ...]:
    """The segments of a folder's path. IMAP servers also separate with dots."""
    separators = r"[/\\.]" if text_at(data, "source", "kind") == "imap" else r"[/\\]"
    path = unicodedata.normalize("NFC", path).casefold()
    return tuple(segment.strip() for segment in re.split(separators, path) if segment.strip())


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
