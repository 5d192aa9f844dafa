"""All configuration as one document: exported, and imported in two steps, a plan and its execution (req O11).

A section that the document has is complete: what is stored and not in it is removed. Sections that it does not have
stay as they are. Contacts are added and changed, never removed.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

from shared.application.configuration import Kind, add, checked, delete, kept_by, put, values
from shared.application.contact_files import json_lines
from shared.application.contacts import Imported, Line, every, import_lines
from shared.application.installation import INSTALLATION
from shared.application.mailboxes import MAILBOXES, TICKET_TYPES
from shared.application.ports.stores import Versioned
from shared.application.sending_configuration import OUTGOING_RULES, SENDERS, TEMPLATES
from shared.application.services import Services
from shared.application.subscriptions import SUBSCRIPTIONS
from shared.application.validation import validated
from shared.domain.audit import Values, differences
from shared.domain.errors import Invalid, PreconditionFailed, Problem
from shared.domain.fields import Document
from shared.domain.installation import INSTALLATION_ID

SCHEMA_VERSION = 1
KINDS: Mapping[str, Kind[Any]] = {
    "ticket_types": TICKET_TYPES,
    "senders": SENDERS,
    "mailboxes": MAILBOXES,
    "templates": TEMPLATES,
    "outgoing_rules": OUTGOING_RULES,
    "subscriptions": SUBSCRIPTIONS,
    "installation": INSTALLATION,
}
"""All kinds of configuration, by their names in the document and in `Services`; what others name comes before them."""

D = TypeVar("D", bound=Document)


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one part of the configuration: `current` is None where it is added, `wanted` where it goes."""

    section: str
    current: Versioned[Any] | None
    wanted: Any

    @property
    def action(self) -> Literal["add", "change", "remove"]:
        return "add" if self.current is None else "change" if self.wanted else "remove"

    @property
    def document(self) -> Any:
        return self.wanted or (self.current and self.current.value)

    def differences(self) -> tuple[Values, Values]:
        return differences(
            values(self.current.value) if self.current else {}, values(self.wanted) if self.wanted else {}
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """In the order in which it is carried out. `digest` names it, until the configuration changes."""

    digest: str
    steps: Sequence[Step]
    contacts: Imported | None


def export(services: Services, *, contacts: bool = False) -> dict[str, Any]:
    """The whole configuration, the same for the same configuration; secrets are in it by their names."""
    exported: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    for section, kind in KINDS.items():
        stored = sorted((each.value for each in kind.store(services).all()), key=lambda each: str(each.id))
        exported[section] = [_exported(kind, each) for each in stored]
    if installations := exported.pop("installation"):
        exported["installation"] = installations[0]
    if contacts:
        exported["contacts"] = [each.model_dump(mode="json") for each in every(services)]
    return exported


def plan(services: Services, data: object) -> Plan:
    """What the document would change. :raises Invalid: with every problem of the document."""
    sections, lines = _sections(data)
    stored = {section: {each.value.id: each for each in KINDS[section].store(services).all()} for section in sections}
    reading, imported, problems = _Reading(services, sections, stored), None, list[Problem]()
    try:
        imported = None if lines is None else import_lines(services, lines, plan=True)
    except Invalid as error:
        problems += error.problems
    changes = [*_steps(stored, reading.documents(problems))]
    etags = sorted((section, key, each.etag) for section, found in stored.items() for key, each in found.items())
    digest = hashlib.sha256(json.dumps([data, etags], sort_keys=True).encode()).hexdigest()
    return Plan(digest, changes, imported)


def apply(services: Services, data: object, digest: str) -> Plan:
    """Carry the plan out. Should storage fail in between, what is left to do is planned again.

    :raises PreconditionFailed: the document is another, or the configuration was changed since it was planned.
    """
    planned = plan(services, data)
    if planned.digest != digest:
        raise PreconditionFailed("this is not what was planned, or it was changed meanwhile", advice="Plan it again.")
    for step in planned.steps:
        _apply(services, KINDS[step.section], step)
    if planned.contacts:
        _, lines = _sections(data)
        import_lines(services, lines or (), plan=False)
    return planned


def _apply(services: Services, kind: Kind[Any], step: Step) -> None:
    if step.current is None:
        add(services, kind, step.wanted)
    elif step.wanted is None:
        delete(services, kind, step.current)
    else:
        put(services, kind, step.current, step.wanted)


def _exported(kind: Kind[Any], document: Document) -> dict[str, Any]:
    only_stored = kind.stored.model_fields.keys() - kind.settings.model_fields.keys() - {*_own(kind)}
    dumped = document.model_dump(mode="json", exclude=only_stored)
    return {name: dumped[name] for name in ("id", "name") if name in dumped} | dumped


def _own(kind: Kind[Any]) -> Sequence[str]:
    """What the document has beside the settings."""
    return () if kind is INSTALLATION else ("id", *kind.exported)


def _sections(data: object) -> tuple[dict[str, list[object]], list[Line] | None]:
    """The parts of each section, and the contacts, where the document has them."""
    if not isinstance(data, dict):
        raise Invalid([Problem("$", "must be an object, as an export is")])
    problems = [
        Problem(f"$.{name[:64]}", "is not known here")
        for name in data
        if name not in (*KINDS, "schema_version", "contacts")
    ]
    problems += _version_problems(data.get("schema_version"))
    found = {name: data[name] for name in KINDS if name in data}
    if "installation" in found:
        found["installation"] = [found["installation"]]
    lists = {**found, "contacts": data.get("contacts", [])}
    problems += [Problem(f"$.{name}", "must be a list") for name, parts in lists.items() if not isinstance(parts, list)]
    if problems:
        raise Invalid(problems)
    return found, [_in_section(each) for each in json_lines(data["contacts"])] if "contacts" in data else None


def _version_problems(version: object) -> Iterator[Problem]:
    if isinstance(version, int) and version > SCHEMA_VERSION:
        yield Problem("$.schema_version", f"is that of a newer Mailroom; this one knows {SCHEMA_VERSION}")
    elif version != SCHEMA_VERSION or isinstance(version, bool):
        yield Problem("$.schema_version", f"must be {SCHEMA_VERSION}")


def _in_section(line: Line) -> Line:
    return replace(line, place=line.place.replace("$", "$.contacts", 1))


def _steps(
    stored: Mapping[str, Mapping[str, Versioned[Any]]], wanted: Mapping[str, Mapping[str, Any]]
) -> Iterator[Step]:
    """What is named by others is there before them, and goes after them."""
    for section, documents in wanted.items():
        for key, document in documents.items():
            current = stored[section].get(key)
            if current is None or current.value != document:
                yield Step(section, current, document)
    for section in reversed([*wanted]):
        for key, current in stored[section].items():
            if key not in wanted[section]:
                yield Step(section, current, None)


class _Planned(Generic[D]):
    """The store of one kind as it will be, for checks that look at other documents."""

    def __init__(self, documents: Sequence[D]) -> None:
        self._documents = documents

    def cached(self) -> Sequence[D]:
        return self._documents

    def all(self) -> Sequence[Versioned[D]]:
        return [Versioned(each, "") for each in self._documents]

    def get(self, document_id: str) -> Versioned[D] | None:
        return next((each for each in self.all() if each.value.id == document_id), None)


class _Reading:
    """Reads the sections, first each document by itself, then all of them as they will be beside each other."""

    def __init__(
        self,
        services: Services,
        sections: Mapping[str, list[object]],
        stored: Mapping[str, Mapping[str, Versioned[Any]]],
    ) -> None:
        self._services = services
        self._sections = sections
        self._stored = stored
        self._problems: list[Problem] = []

    def documents(self, others: Sequence[Problem]) -> dict[str, dict[str, Any]]:
        """By section and id. :raises Invalid: with every problem, and those others."""
        found = {
            section: {place: self._read(section, place) for place in range(len(parts))}
            for section, parts in self._sections.items()
        }
        valid = {section: [each for each in parts.values() if each] for section, parts in found.items()}
        planned: Any = {section: _Planned(documents) for section, documents in valid.items()}
        as_planned = replace(self._services, **planned)
        for section, parts in self._sections.items():
            for place in range(len(parts)):
                self._check(as_planned, section, place)
            kept = {each.id for each in valid[section]}
            for gone in (each.value for key, each in self._stored[section].items() if key not in kept):
                if reason := kept_by(as_planned, KINDS[section], gone):
                    self._problems.append(Problem(f"$.{section}", reason))
        if problems := [*dict.fromkeys(self._problems), *others]:
            raise Invalid(problems)
        return {section: {each.id: each for each in documents} for section, documents in valid.items()}

    def _current(self, section: str, data: object) -> Versioned[Any] | None:
        key = INSTALLATION_ID if section == "installation" else data.get("id") if isinstance(data, dict) else None
        return self._stored[section].get(key) if isinstance(key, str) else None

    def _read(self, section: str, place: int) -> Any:
        kind, data = KINDS[section], self._sections[section][place]
        if not isinstance(data, dict):
            self._tell(section, place, [Problem("$", "must be an object")])
            return None
        current = self._current(section, data)
        unwritten = kind.stored.model_fields.keys() - kind.settings.model_fields.keys() - {*_own(kind)}
        self._tell(section, place, [Problem(f"$.{name}", "is not known here") for name in unwritten & data.keys()])
        kept = {name: getattr(current.value, name) for name in unwritten} if current else {}
        made = {"created_at": self._services.clock(), **kept}
        own_id = {"id": INSTALLATION_ID} if section == "installation" else {}
        document, problems = validated(kind.stored, {**made, **data, **own_id})
        self._tell(section, place, problems)
        same = [each for each in self._sections[section][:place] if isinstance(each, dict)]
        if section != "installation" and data.get("id") in [each.get("id") for each in same]:
            self._tell(section, place, [Problem("$.id", "is there twice")])
        return document

    def _check(self, as_planned: Services, section: str, place: int) -> None:
        kind, data = KINDS[section], self._sections[section][place]
        if not isinstance(data, dict):
            return
        current = self._current(section, data)
        settings = {key: value for key, value in data.items() if key not in _own(kind)}
        key = str(data.get("id", INSTALLATION_ID))
        try:
            checked(as_planned, kind, settings, current.value if current else None, key)
        except Invalid as error:
            self._tell(section, place, error.problems)

    def _tell(self, section: str, place: int, problems: Sequence[Problem]) -> None:
        at = "$.installation" if section == "installation" else f"$.{section}[{place}]"
        self._problems += [Problem(at + each.path.removeprefix("$"), each.message) for each in problems]
