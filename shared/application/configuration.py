"""Configuration of any kind: saved when everything about it can work, else refused with all that cannot (req C10)."""

import re
import secrets
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from shared.application.auditing import audited
from shared.application.ports.platform import SecretStore
from shared.application.ports.stores import DocumentStore, Versioned
from shared.application.services import Services
from shared.application.validation import validated
from shared.domain.errors import Conflict, Invalid, NotFound, PreconditionFailed, Problem, SecretMissing
from shared.domain.fields import Document, Settings

D = TypeVar("D", bound=Document)

_MOST_NAMES = 20
_CREATING = threading.Lock()
"""Of the same requests at once, one is served: two clicks on a button meet mostly in one process."""


@dataclass(frozen=True, slots=True)
class Checked(Generic[D]):
    """What the rules between fields and between documents see: the data as far as it goes, so that all problems are
    told at once; the settings, where the data are such; the stored version, where there is one; all others of the kind.
    """

    services: Services
    data: object
    settings: Any
    current: D | None
    others: Sequence[D]


@dataclass(frozen=True, slots=True)
class Kind(Generic[D]):
    """One kind of configuration. `read_only` is what an answer shows beside the settings; it is ignored when it comes
    back. `exported` is what an export has beside the settings. `saving` is called before a change is stored,
    `deleting` before it goes and `deleted` after that; what is `needed_by` others cannot be deleted.
    """

    noun: str
    settings: type[Settings]
    stored: type[D]
    store: Callable[[Services], DocumentStore[D]]
    check: Callable[[Checked[D]], Iterable[Problem]] = field(default=lambda _checked: ())
    read_only: Sequence[str] = ()
    exported: Sequence[str] = ()
    saving: Callable[[Services, D], None] = field(default=lambda _services, _document: None)
    deleting: Callable[[Services, D], None] = field(default=lambda _services, _document: None)
    deleted: Callable[[Services, D], None] = field(default=lambda _services, _document: None)
    needed_by: Callable[[Services, D], Iterable[str]] = field(default=lambda _services, _document: ())


def find(services: Services, kind: Kind[D], document_id: str) -> Versioned[D]:
    """:raises NotFound:"""
    found = kind.store(services).get(document_id)
    if found is None:
        raise NotFound(f"there is no such {kind.noun}")
    return found


def create(services: Services, kind: Kind[D], data: object) -> Versioned[D]:
    """Save a new one, under an id made from its name. A second look sees what another instance has saved at the same
    moment, such as a mailbox of the same prefix: then this one goes again. :raises Invalid: with every problem.
    """
    with _CREATING:
        settings = checked(services, kind, data, None)
        new_id = _new_id(settings.name, kind.noun)
        made = add(services, kind, kind.stored(**dict(settings), id=new_id, created_at=services.clock()))
        try:
            checked(services, kind, data, None, new_id)
        except Invalid:
            delete(services, kind, made)
            raise
    return made


def replace(services: Services, kind: Kind[D], current: Versioned[D], data: object) -> Versioned[D]:
    """Save other settings.

    :raises Invalid: with every problem.
    :raises PreconditionFailed: it is not the current version any more.
    """
    only_stored = kind.stored.model_fields.keys() - kind.settings.model_fields.keys()
    if isinstance(data, dict):
        data = {key: value for key, value in data.items() if key not in (*only_stored, *kind.read_only)}
    settings = checked(services, kind, data, current.value)
    document = kind.stored(**dict(settings), **{name: getattr(current.value, name) for name in only_stored})
    return put(services, kind, current, document)


def add(services: Services, kind: Kind[D], document: D) -> Versioned[D]:
    """Store one that is checked."""
    with audited(services, kind.noun, document.id, "created", after=values(document)):
        return Versioned(document, kind.store(services).add(document))


def put(services: Services, kind: Kind[D], current: Versioned[D], document: D, action: str = "changed") -> Versioned[D]:
    """Store one that is checked in place of the current version.

    :raises PreconditionFailed: it is not the current version any more.
    """
    with (
        audited(services, kind.noun, document.id, action, before=values(current.value), after=values(document)),
        _unchanged(kind),
    ):
        kind.saving(services, document)
        return Versioned(document, kind.store(services).replace(document, current.etag))


def delete(services: Services, kind: Kind[D], current: Versioned[D]) -> None:
    """:raises Conflict: others need it.
    :raises PreconditionFailed: it is not the current version any more.
    """
    gone = current.value
    if reason := kept_by(services, kind, gone):
        raise Conflict(reason, advice="Have them name another, or none; or disable it instead.")
    with audited(services, kind.noun, gone.id, "deleted", before=values(gone)), _unchanged(kind):
        kind.deleting(services, gone)
        kind.store(services).delete(gone.id, current.etag)
        kind.deleted(services, gone)


def kept_by(services: Services, kind: Kind[D], gone: D) -> str:
    """Why it cannot be deleted; empty where it can."""
    names = [*kind.needed_by(services, gone)]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"the {kind.noun} {gone.id} is needed by {', '.join(names[:_MOST_NAMES])}{more}" if names else ""


@contextmanager
def _unchanged(kind: Kind[D]) -> Iterator[None]:
    try:
        yield
    except Conflict as error:
        raise PreconditionFailed(f"the {kind.noun} was changed meanwhile") from error


def values(document: Document) -> dict[str, Any]:
    """What people have chosen about it, as JSON has it."""
    return document.model_dump(mode="json", exclude={"id", "created_at"})


def value_at(data: object, *path: str) -> object:
    """What is there, in data that may be anything."""
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def text_at(data: object, *path: str) -> str:
    """The text there; empty where there is none, or something else."""
    found = value_at(data, *path)
    return found if isinstance(found, str) else ""


def _name_taken(data: object, others: Sequence[Document], noun: str) -> Iterable[Problem]:
    name = text_at(data, "name").casefold().strip()
    for other in others:
        if name == other.name.casefold():
            yield Problem("$.name", f"is already the name of {noun} {other.id}")


def _new_id(name: str, noun: str) -> str:
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:40].rstrip("-") or noun.replace(" ", "-")
    return f"{slug}-{secrets.token_hex(3)}"


def checked(services: Services, kind: Kind[D], data: object, current: D | None, document_id: str | None = None) -> Any:
    """The settings; `document_id` is the id that a new one will have, where that is known.

    :raises Invalid: with every problem.
    """
    own_id = current.id if current else document_id
    settings, problems = validated(kind.settings, data, {"secret_exists": partial(_exists, services.secrets)})
    stored = [each.value for each in kind.store(services).all()]
    others = [each for each in stored if each.id != own_id]
    problems += [*_name_taken(data, others, kind.noun), *kind.check(Checked(services, data, settings, current, others))]
    if problems or settings is None:
        raise Invalid(problems)
    return settings


def _exists(store: SecretStore, name: str) -> bool:
    try:
        store.get(name)
    except SecretMissing:
        return False
    return True
