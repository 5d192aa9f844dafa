"""Contacts: saved one by one, or read from a file wholly or not at all (req P1). All changes of them are made here."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from shared.application.auditing import audited
from shared.application.ports.stores import Versioned
from shared.application.services import Services
from shared.application.validation import read, validated
from shared.domain.contact import Contact, ContactFilter, contact_id, same_address
from shared.domain.errors import Conflict, Invalid, NotFound, Problem

MAX_LINES = 10_000
_PAGE = 1_000

_PERSONAL = ("address", "name", "bounce")
"""What the audit does not show: it outlives the contact."""

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]+")


@dataclass(frozen=True, slots=True)
class Line:
    """One contact of a file, not checked yet. `place` is `line 4`, or `$[3]` in JSON. Where there is no data, `wrong`
    tells why, as the rest of a sentence that begins with the place.
    """

    place: str
    data: object = None
    wrong: str = ""

    def problem(self, found: Problem) -> Problem:
        """What is wrong with the data, by its place in the file."""
        if self.place.startswith("$"):
            return Problem(self.place + found.path.removeprefix("$"), found.message)
        column = re.match(r"\$\.(\w+)", found.path)
        return Problem(f"{self.place}, column {column[1]}" if column else self.place, found.message)


@dataclass(frozen=True, slots=True)
class Imported:
    """How many contacts a file adds and changes, or would, and how many are as it says already."""

    added: int
    changed: int
    unchanged: int


def find(services: Services, address: str) -> Versioned[Contact]:
    """:raises NotFound:"""
    if found := services.contacts.read([address]):
        return found[address]
    raise NotFound("there is no such contact")


def every(services: Services) -> list[Contact]:
    """All contacts, by their addresses."""
    found, after = services.contacts.list(ContactFilter(), _PAGE, None)
    listed = [*found]
    while after:
        found, after = services.contacts.list(ContactFilter(), _PAGE, after)
        listed += found
    return sorted(listed, key=lambda each: each.address)


def save(services: Services, address: str, current: Versioned[Contact] | None, data: object) -> Versioned[Contact]:
    """Save the contact, in place of the current version where there is one.

    :raises Invalid: with every problem.
    :raises Conflict: it was changed meanwhile.
    """
    contact = read(Contact, {**data, "address": address} if isinstance(data, dict) else data)
    action, before = ("changed", dict(current.value)) if current else ("created", None)
    with audited(
        services, "contact", contact_id(address), action, before=before, after=dict(contact), personal=_PERSONAL
    ):
        return Versioned(contact, services.contacts.put(contact, current.etag if current else None))


def delete(services: Services, current: Versioned[Contact]) -> None:
    """:raises Conflict: it was changed meanwhile."""
    gone = current.value
    with audited(services, "contact", contact_id(gone.address), "deleted", before=dict(gone), personal=_PERSONAL):
        services.contacts.delete(gone.address, current.etag)


def mark_bounced(services: Services, address: str, reason: str) -> bool:
    """Remember of a contact that mail to the address came back for good; False where there is none."""
    bounce = _UNPRINTABLE.sub(" ", reason)[:200].strip()
    return _marked(services, address, None, lambda _: {"bounced_at": services.clock(), "bounce": bounce})


def unsubscribe(services: Services, address: str) -> None:
    """Remember that somebody wants no more announcements; of a guest, too."""
    guest, now = Contact(address=address), services.clock()
    _marked(services, address, guest, lambda known: {"unsubscribed_at": known.unsubscribed_at or now})


def _marked(
    services: Services, address: str, guest: Contact | None, marks: Callable[[Contact], dict[str, Any]]
) -> bool:
    """Whether there is a contact to mark; `guest` becomes one where there is none."""
    for _ in range(3):
        found = services.contacts.read([address]).get(address)
        contact = found.value if found else guest
        if contact is None:
            return False
        with suppress(Conflict):
            services.contacts.put(contact.model_copy(update=marks(contact)), found.etag if found else None)
            break
    return True


def import_lines(services: Services, lines: Sequence[Line], *, plan: bool) -> Imported:
    """Save all contacts of a file, or with `plan` only tell what that would change. Fields that a line does not have
    stay as they are. Should storage fail in between, the import can be repeated.

    :raises Invalid: with every problem; nothing was saved.
    """
    written = _checked(lines)
    stored = services.contacts.read([*written])
    listed = {same_address(each.address) for each in services.contacts.technicians()}
    wanted = {key: _merged(line, stored[key].value) if key in stored else line for key, line in written.items()}
    added = [contact for key, contact in wanted.items() if key not in stored]
    changed = [
        contact
        for key, contact in wanted.items()
        if key in stored and (contact != stored[key].value or contact.is_technician != (key in listed))
    ]
    imported = Imported(len(added), len(changed), len(wanted) - len(added) - len(changed))
    if not plan and (added or changed):
        with audited(services, "contact", "*", "imported", after=asdict(imported)):
            services.contacts.put_many([*added, *changed])
    return imported


def _checked(lines: Sequence[Line]) -> Mapping[str, Contact]:
    """What the lines say, by address."""
    if len(lines) > MAX_LINES:
        raise Invalid([Problem("$", f"has {len(lines)} contacts; {MAX_LINES} at most are imported at once")])
    places: dict[str, str] = {}
    written: dict[str, Contact] = {}
    problems: list[Problem] = []
    for line in lines:
        contact, found = (None, [Problem("$", line.wrong)]) if line.wrong else validated(Contact, line.data)
        problems += map(line.problem, found)
        if contact is None:
            continue
        key = same_address(contact.address)
        written[key] = contact
        if (first := places.setdefault(key, line.place)) != line.place:
            problems.append(line.problem(Problem("$.address", f"is that of {first} already")))
    if problems:
        raise Invalid(problems)
    return written


def _merged(line: Contact, stored: Contact) -> Contact:
    """What is stored, with what the line has; the address stays as it was first written."""
    return stored.model_copy(update={name: getattr(line, name) for name in line.model_fields_set - {"address"}})
