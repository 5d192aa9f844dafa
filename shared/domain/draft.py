"""The ticket that a message is about to open, and how a text becomes the value of one of its fields (req K2)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, StringConstraints

from shared.domain.errors import Unfit
from shared.domain.fields import told
from shared.domain.message import Address
from shared.domain.ticket import TicketFields

Priority = Literal["low", "normal", "high", "urgent"]
CUSTOM = "custom."
MAX_CUSTOM = 10_000
MAX_LISTED = 100
"""Tags and CC of one ticket: a pattern may find any number of them in a message."""

_ADDRESS = re.compile(r"[^@\s<>\"(),:;\\\[\]]{1,64}@[^@\s<>\"(),:;\\\[\]]{1,188}")


@dataclass(frozen=True, slots=True)
class Draft(TicketFields):
    """The ticket that a message would open, and its text; `acknowledge` is whether to tell the requester of it."""

    text: str = ""
    acknowledge: bool = True


def _line(longest: int) -> Callable[[str], str]:
    return lambda value: " ".join(value.split())[:longest].rstrip()


def _priority(value: str) -> str:
    known = get_args(Priority)
    if (word := value.strip().lower()) not in known:
        raise Unfit(f"must be one of {', '.join(known)}")
    return word


def _address(value: str) -> Address:
    found = _ADDRESS.search(value[:1000])
    if not found:
        raise Unfit("must be an e-mail address")
    name = value[: found.start()].rstrip().removesuffix("<").strip(" \"'")
    return Address(found[0].rstrip("."), _line(200)(name))


def _addresses(value: str) -> tuple[Address, ...]:
    return tuple(_address(part) for part in re.split("[,;\n]", value[:MAX_CUSTOM]) if part.strip())


def _tags(value: str) -> tuple[str, ...]:
    return tuple(tag for part in re.split("[,;\n]", value[:MAX_CUSTOM]) if (tag := _line(100)(part)))


_READ: Mapping[str, Callable[[str], Any]] = {
    "requester": _address,
    "subject": _line(998),
    "text": str,
    "type": _line(63),
    "priority": _priority,
    "group": _line(100),
    "assignee": lambda value: _address(value).address,
    "category": _line(200),
    "service": _line(200),
    "company": _line(200),
    "external_id": _line(200),
    "tags": _tags,
    "cc": _addresses,
}
Target = Annotated[
    str,
    StringConstraints(pattern=rf"^({'|'.join(_READ)}|custom\.[a-z][a-z0-9_]{{0,39}})$"),
    told(f"one of {', '.join(_READ)}, or {CUSTOM} and the name of a field of the ticket's type"),
    Field(description=f"one of {', '.join(_READ)}, or `{CUSTOM}` and the name of a field of the ticket's type"),
]


TagName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^[^,;\n]+$", max_length=100),
    told("a tag of at most 100 characters, without `,` and `;`"),
]


def with_value(draft: Draft, target: str, value: str) -> Draft:
    """The draft with a field set; tags and CC are added to. :raises Unfit: the field cannot have that value."""
    if target.startswith(CUSTOM):
        return replace(draft, custom={**draft.custom, target.removeprefix(CUSTOM): value.strip()[:MAX_CUSTOM]})
    read = _READ[target](value)
    if isinstance(read, tuple):
        read = tuple(dict.fromkeys((*getattr(draft, target), *read)))[:MAX_LISTED]
    return replace(draft, **{target: read})


def has_value(draft: Draft, target: str) -> bool:
    if target.startswith(CUSTOM):
        return bool(draft.custom.get(target.removeprefix(CUSTOM)))
    return bool(getattr(draft, target))
