"""Ticket types with custom fields of their own (req K7)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from shared.domain.draft import MAX_CUSTOM
from shared.domain.errors import Problem, Unfit
from shared.domain.fields import Document, Model, Settings, told
from shared.domain.ready_made import TABLES

_YES = ("true", "yes", "on", "1", "x")
_NO = ("false", "no", "off", "0")

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class CustomField(Model):
    """One field. Its values are texts: a date as `2026-01-31`, a checkbox as `true` or `false`."""

    name: Annotated[
        str,
        StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$"),
        told("small letters, digits and underscores, beginning with a letter"),
    ] = Field(description="as in `custom.name`; what people see is the label")
    label: Text
    kind: Literal["text", "number", "date", "choice", "checkbox"] = "text"
    choices: tuple[Text, ...] = Field(default=(), max_length=200, validate_default=True)
    required: bool = False
    default: str = Field(default="", max_length=MAX_CUSTOM)

    @field_validator("choices")
    @classmethod
    def _choices(cls, choices: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if bool(choices) != (info.data.get("kind") == "choice"):
            raise PydanticCustomError("choices", "belong to a field of the kind `choice`, and it needs them")
        if len({each.casefold() for each in choices}) < len(choices):
            raise PydanticCustomError("choices", "must differ from each other")
        return choices

    @field_validator("default")
    @classmethod
    def _fits(cls, default: str, info: ValidationInfo) -> str:
        if default and "kind" in info.data and "choices" in info.data:
            try:
                return _READ[info.data["kind"]](default, info.data["choices"])
            except Unfit as error:
                raise PydanticCustomError("expected", "{why}", {"why": str(error)}) from error
        return default


class TicketTypeSettings(Settings):
    """A ticket type as people write it."""

    fields: tuple[CustomField, ...] = Field(default=(), max_length=50)

    @field_validator("fields")
    @classmethod
    def _distinct(cls, fields: tuple[CustomField, ...]) -> tuple[CustomField, ...]:
        if len({each.name for each in fields}) < len(fields):
            raise PydanticCustomError("fields", "must have names that differ from each other")
        return fields


class TicketType(TicketTypeSettings, Document):
    """A ticket type as it is stored."""


Types = Mapping[str, TicketTypeSettings]
"""All ticket types by their ids."""


def _number(value: str, _: Sequence[str]) -> str:
    try:
        finite = len(value) <= 40 and Decimal(value).is_finite()
    except InvalidOperation:
        finite = False
    if not finite:
        raise Unfit("must be a number such as 1234.5")
    return value


def _date(value: str, _: Sequence[str]) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise Unfit("must be a date such as 2026-01-31") from None


def _choice(value: str, choices: Sequence[str]) -> str:
    for choice in choices:
        if choice.casefold() == value.casefold():
            return choice
    raise Unfit(f"must be one of {', '.join(choices)}")


def _checkbox(value: str, _: Sequence[str]) -> str:
    if value.lower() not in (*_YES, *_NO):
        raise Unfit("must be true or false")
    return "true" if value.lower() in _YES else "false"


_READ: Mapping[str, Callable[[str, Sequence[str]], str]] = {
    "text": lambda value, _: value,
    "number": _number,
    "date": _date,
    "choice": _choice,
    "checkbox": _checkbox,
}


def fitting(ticket_type: TicketTypeSettings, values: Mapping[str, str]) -> tuple[dict[str, str], list[Problem]]:
    """The values as the type has them, with its defaults; and everything that is wrong, which is left out."""
    known = {field.name: values.get(field.name, "").strip() or field.default for field in ticket_type.fields}
    problems = {name: "is no field of this type" for name in values if name not in known}
    fits = {name: value for name, value in known.items() if value}
    for field in ticket_type.fields:
        try:
            fits |= {field.name: _READ[field.kind](fits[field.name], field.choices)} if field.name in fits else {}
        except Unfit as error:
            problems[field.name] = str(error)
            del fits[field.name]
        else:
            problems |= {field.name: "is missing"} if field.required and field.name not in fits else {}
    return fits, [Problem(f"$.custom.{name}", why) for name, why in problems.items()]


def field_problem(ticket_type: TicketTypeSettings, name: str, value: str) -> str | None:
    """Why the field of that name cannot have the value."""
    _, problems = fitting(ticket_type, {name: value})
    return next((problem.message for problem in problems if problem.path == f"$.custom.{name}"), None)


BUILT_IN: Types = {name: TicketTypeSettings(**each) for name, each in TABLES["ticket_types"].items()}


def all_types(stored: Iterable[TicketType]) -> Types:
    """The built-in ones and those that people made."""
    return {**BUILT_IN, **{each.id: each for each in stored}}
