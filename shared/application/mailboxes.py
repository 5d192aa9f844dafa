"""Configured mailboxes: saved when everything about them can work, otherwise refused with all that cannot (req C10)."""

import re
import secrets
import unicodedata
from collections.abc import Iterator, Sequence
from functools import partial

from shared.application.ports import SecretStore, Versioned
from shared.application.services import Services
from shared.application.validation import validated
from shared.domain.errors import Conflict, Invalid, NotFound, PreconditionFailed, Problem, SecretMissing
from shared.domain.mailbox import Mailbox, MailboxSettings

READ_ONLY = ("id", "created_at", "health")
"""What an answer shows beside the settings; ignored when it comes back with them."""


def find(services: Services, mailbox_id: str) -> Versioned[Mailbox]:
    """:raises NotFound:"""
    found = services.mailboxes.get(mailbox_id)
    if found is None:
        raise NotFound("there is no such mailbox")
    return found


def create(services: Services, data: object) -> Versioned[Mailbox]:
    """Save a new mailbox and have it polled soon. :raises Invalid: with every problem."""
    settings = _checked(services, data, None)
    now = services.clock()
    mailbox = Mailbox(**dict(settings), id=_new_id(settings.name), created_at=now)
    return Versioned(mailbox, services.mailboxes.add(mailbox))


def replace(services: Services, current: Versioned[Mailbox], data: object) -> Versioned[Mailbox]:
    """Save other settings, and have the mailbox polled soon, whatever its back-off was.

    :raises Invalid: with every problem.
    :raises PreconditionFailed: it is not the current version any more.
    """
    if isinstance(data, dict):
        data = {key: value for key, value in data.items() if key not in READ_ONLY}
    settings = _checked(services, data, current.value)
    mailbox = Mailbox(**dict(settings), id=current.value.id, created_at=current.value.created_at)
    services.schedule.postpone({mailbox.id: services.clock()})
    try:
        return Versioned(mailbox, services.mailboxes.replace(mailbox, current.etag))
    except Conflict as error:
        raise PreconditionFailed("the mailbox was changed meanwhile") from error


def delete(services: Services, current: Versioned[Mailbox]) -> None:
    """Stop reading the mailbox; its tickets stay in the store. :raises PreconditionFailed: it was changed meanwhile."""
    try:
        services.mailboxes.delete(current.value.id, current.etag)
    except Conflict as error:
        raise PreconditionFailed("the mailbox was changed meanwhile") from error
    services.schedule.delete(current.value.id)


def _new_id(name: str) -> str:
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:40].rstrip("-") or "mailbox"
    return f"{slug}-{secrets.token_hex(3)}"


def _checked(services: Services, data: object, current: Mailbox | None) -> MailboxSettings:
    """The rules between fields and between mailboxes are checked on the data as far as it goes, so that all
    problems are told at once.
    """
    settings, problems = validated(MailboxSettings, data, {"secret_exists": partial(_exists, services.secrets)})
    stored = [each.value for each in services.mailboxes.all()]
    others = [each for each in stored if current is None or each.id != current.id]
    problems += [*_settled_where_it_is_read(data), *_taken(data, others), *_changed_for_good(data, current)]
    problems += _beyond_pop3(data)
    if problems or settings is None:
        raise Invalid(problems)
    return settings


def _exists(store: SecretStore, name: str) -> bool:
    try:
        store.get(name)
    except SecretMissing:
        return False
    return True


def _settled_where_it_is_read(data: object) -> Iterator[Problem]:
    for path in (("settlement", "folder"), ("failed_folder",)):
        target = _segments(data, _text(data, *path))
        if target and target in _folders(data):
            yield Problem(f"$.{'.'.join(path)}", "must not be a folder that the mailbox is read from")


def _beyond_pop3(data: object) -> Iterator[Problem]:
    """POP3 has one folder, and tells neither dates nor who has read what."""
    if _text(data, "source", "kind") != "pop3":
        return
    if _text(data, "settlement", "action") == "move":
        yield Problem("$.settlement", "must be `mark_read`, `keep` (both leave messages on the server) or `delete`")
    if _text(data, "failed_folder"):
        yield Problem("$.failed_folder", "must be unset: POP3 has one folder")
    if _text(data, "intake", "start_from") not in ("", "now", "beginning"):
        yield Problem("$.intake.start_from", "must be `now` or `beginning`: POP3 tells no dates")
    if isinstance(data, dict) and isinstance(data.get("intake"), dict) and data["intake"].get("unread_only"):
        yield Problem("$.intake.unread_only", "must be false: POP3 does not tell what was read")


def _taken(data: object, others: Sequence[Mailbox]) -> Iterator[Problem]:
    """What must belong to one mailbox alone. A mailbox that is not enabled reads nothing: so two of them can share
    a folder while one takes over from the other.
    """
    name, prefix, reads = _text(data, "name").casefold().strip(), _text(data, "ticket_prefix"), _reads(data)
    for other in others:
        if name == other.name.casefold():
            yield Problem("$.name", f"is already the name of mailbox {other.id}")
        if prefix == other.ticket_prefix:
            yield Problem("$.ticket_prefix", f"is already used by mailbox {other.id}")
        if reads & _reads(other.model_dump()):
            yield Problem(
                "$.source.folders", f"is already read by mailbox {other.id}, which would take every message in twice"
            )


def _changed_for_good(data: object, current: Mailbox | None) -> Iterator[Problem]:
    if current and _text(data, "ticket_prefix") not in ("", current.ticket_prefix):
        yield Problem("$.ticket_prefix", f"cannot be changed: tickets are known as {current.ticket_prefix}-...")


def _reads(data: object) -> set[tuple[str, ...]]:
    """What the mailbox reads, by its address and by the account that it signs in with."""
    if not isinstance(data, dict) or data.get("enabled") is False:
        return set()
    mailbox = _text(data, "source", "mailbox")
    keys = {
        ("address", mailbox or _text(data, "address")),
        ("account", _text(data, "source", "host"), mailbox or _text(data, "source", "sign_in", "account")),
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
    separators = r"[/\\.]" if _text(data, "source", "kind") == "imap" else r"[/\\]"
    path = unicodedata.normalize("NFC", path).casefold()
    return tuple(segment.strip() for segment in re.split(separators, path) if segment.strip())


def _text(data: object, *path: str) -> str:
    """The text there; empty where there is none, or something else."""
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, str) else ""
