"""Conditions on a message (req K4). Upper and lower case are the same to all of them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, ValidationInfo
from pydantic_core import PydanticCustomError

from shared.domain.contact import Role
from shared.domain.facts import NUMBERS, Facts, TextField, found, texts
from shared.domain.fields import Model
from shared.domain.kinds import Kind
from shared.domain.patterns import Pattern

_WORDS: Mapping[str, tuple[str, ...]] = {"kind": tuple(Kind), "sender_role": (*Role, "guest")}
Operator = Literal["equals", "contains", "starts", "ends"]
_HOLDS: Mapping[Operator, Callable[[str, str], bool]] = {
    "equals": str.__eq__,
    "contains": str.__contains__,
    "starts": str.startswith,
    "ends": str.endswith,
}


class Negatable(Model):
    model_config = ConfigDict(serialize_by_alias=True)

    not_: bool = Field(default=False, alias="not", description="true turns the condition round")


def any_holds(operator: Operator, value: str, texts: Iterable[str]) -> bool:
    """Whether one of the texts has the value in that way."""
    return any(_HOLDS[operator](text.casefold(), value.casefold()) for text in texts)


def _possible(value: str, info: ValidationInfo) -> str:
    words = _WORDS.get(info.data.get("field", ""), ())
    if info.data.get("operator") == "equals" and words and value.lower() not in words:
        raise PydanticCustomError("expected", f"must be one of {', '.join(words)}")
    return value


class Compare(Negatable):
    """Holds where one of the texts does: an address matches by itself or by the name beside it."""

    field: TextField
    operator: Operator
    value: Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_possible)]


class Matches(Negatable):
    """A pattern is found in the text."""

    field: TextField
    operator: Literal["matches"]
    value: Pattern


class Exists(Negatable):
    field: TextField
    operator: Literal["exists"]


class Measure(Negatable):
    """`size` is in bytes."""

    field: Literal["size", "attachment_count"]
    operator: Literal["greater", "less"]
    value: int = Field(ge=0)


Condition = Annotated[Compare | Matches | Exists | Measure, Field(discriminator="operator")]


def holds(condition: Condition, facts: Facts) -> bool:
    """:raises Unfit: its pattern is none."""
    return _holds(condition, facts) is not condition.not_


def _holds(condition: Condition, facts: Facts) -> bool:
    match condition:
        case Measure():
            number = NUMBERS[condition.field](facts)
            return number > condition.value if condition.operator == "greater" else number < condition.value
        case Exists():
            return bool(texts(facts, condition.field))
        case Matches():
            return found(facts, condition.field, condition.value) is not None
        case Compare():
            return any_holds(condition.operator, condition.value, texts(facts, condition.field))
