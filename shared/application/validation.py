"""What pydantic found wrong, as problems that a person can act on: where, and what is expected; never what was sent."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from shared.domain.errors import Invalid, Problem

M = TypeVar("M", bound=BaseModel)

_DISCRIMINATORS = ("kind", "action", "operator")
_A_TIME = "must be a time with its offset from UTC, such as 2026-01-31T00:00:00Z"
_MESSAGES = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "union_tag_not_found": "is missing",
    "union_tag_invalid": "must be one of {expected_tags}",
    "timezone_aware": _A_TIME,
    "datetime_type": _A_TIME,
    "datetime_from_date_parsing": _A_TIME,
    "datetime_parsing": _A_TIME,
}


def validated(model: type[M], data: object, context: Mapping[str, Any] | None = None) -> tuple[M | None, list[Problem]]:
    """The JSON value as such a model, or everything that keeps it from being one."""
    try:
        return model.model_validate_json(to_json(data), strict=True, context=context), []
    except ValidationError as error:
        found: dict[str, list[str]] = {}
        for each in error.errors(include_url=False, include_input=False):
            found.setdefault(json_path(each, data), []).append(message(each))
        return None, [Problem(path, _either(messages)) for path, messages in found.items()]


def read(model: type[M], data: object) -> M:
    """:raises Invalid: with everything that keeps the data from being such a model."""
    found, problems = validated(model, data)
    if found is None:
        raise Invalid(problems)
    return found


def message(error: Mapping[str, Any]) -> str:
    """One error of pydantic as the rest of a sentence that begins with the place."""
    if template := _MESSAGES.get(error["type"]):
        return template.format_map(error.get("ctx", {}))
    return re.sub(r"^\w+ should ", "must ", str(error["msg"]))


def json_path(error: Mapping[str, Any], data: object) -> str:
    """Where the error is. pydantic also names the branch of a union that it tried: such steps are left out."""
    path, here = "$", data
    branches = _branches(here)
    for step in error["loc"]:
        if step in branches:
            branches = ()
            continue
        if not isinstance(here, dict if isinstance(step, str) else dict | list):
            break
        path += _step(step)
        here = here.get(step) if isinstance(here, dict) else here[step]
        branches = _branches(here)
    if error["type"].startswith("union_tag_"):
        path += _step(error["ctx"]["discriminator"].strip("'"))
    return path


def _branches(value: object) -> tuple[object, ...]:
    return tuple(value.get(key) for key in _DISCRIMINATORS) if isinstance(value, dict) else ()


def _step(step: str | int) -> str:
    if isinstance(step, str) and re.fullmatch(r"[A-Za-z_]\w{0,63}", step):
        return f".{step}"
    return f"[{json.dumps(step[:64] if isinstance(step, str) else step)}]"


def _either(messages: Iterable[str]) -> str:
    """The branches of a union speak of one and the same value."""
    return " or ".join(dict.fromkeys(messages))
