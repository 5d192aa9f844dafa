"""Templates for the values of fields: text with placeholders such as `{{ sender.name }}` or `{{ match.1 | lower }}`."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Annotated
from urllib.parse import unquote

from pydantic import AfterValidator, StringConstraints, ValidationInfo
from pydantic_core import PydanticCustomError

from shared.domain.facts import HEADER, HEADER_NAME, Facts, texts
from shared.domain.message import Address
from shared.domain.patterns import Effort, Match, groups

MAX_RENDERED = 100_000

_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")
_HEADER = re.compile(HEADER + HEADER_NAME)
_NOBODY = Address("")


def _sender(facts: Facts) -> Address:
    return facts.message.sender or _NOBODY


_VALUES: Mapping[str, Callable[[Facts], str]] = {
    "subject": lambda facts: facts.message.subject,
    "body": lambda facts: facts.message.text,
    "sender.address": lambda facts: _sender(facts).address,
    "sender.name": lambda facts: _sender(facts).name,
    "sender.domain": lambda facts: _sender(facts).domain,
    "sender.company": lambda facts: facts.contact.company if facts.contact else "",
    "recipient.address": lambda facts: next((each.address for each in facts.message.to), ""),
    "message_id": lambda facts: facts.message.message_id or "",
}
_FILTERS: Mapping[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper, "url_decoded": unquote}
KNOWN = (*_VALUES, f"{HEADER}name")


def _read(inner: str) -> tuple[str, list[str]]:
    name, *filters = (part.strip() for part in inner.split("|"))
    return name, filters


def is_constant(template: str) -> bool:
    return not _PLACEHOLDER.search(template)


def rendered(template: str, effort: Effort, facts: Facts | None = None, match: Match | None = None) -> str:
    """The text, with nothing where a message has nothing to put in. The template has no fault.

    :raises Unfit: there is too much to do.
    """

    def value(found: re.Match[str]) -> str:
        name, filters = _read(found[1])
        text = (match or {}).get(name, "")
        if facts and name.startswith(HEADER):
            text = next(iter(texts(facts, name)), "")
        elif facts and name in _VALUES:
            text = _VALUES[name](facts)
        for each in filters:
            effort.go_on()
            text = _FILTERS[each](text[:MAX_RENDERED])
        return text[:MAX_RENDERED]

    return _PLACEHOLDER.sub(value, template)[:MAX_RENDERED]


def fault(template: str, known: Collection[str]) -> str | None:
    """What is wrong with a template for which the values `known` are there."""
    for inner in _PLACEHOLDER.findall(template):
        name, filters = _read(inner)
        if name not in known and not (f"{HEADER}name" in known and _HEADER.fullmatch(name)):
            return f"knows no `{{{{ {name[:50]} }}}}`; it may hold {', '.join(sorted(known))}"
        if unknown := next((each for each in filters if each not in _FILTERS), None):
            return f"knows no filter `{unknown[:50]}`; there are {', '.join(_FILTERS)}"
    if "{{" in (rest := _PLACEHOLDER.sub("", template)) or "}}" in rest:
        return "has a `{{` or a `}}` without its other half"
    return None


def _checked(template: str, known: Collection[str]) -> str:
    if why := fault(template, known):
        raise PydanticCustomError("template", "{why}", {"why": why})
    return template


def beside_pattern(*known: str) -> AfterValidator:
    """For a template that may also hold what the model's `pattern`, declared before it, finds."""

    def checked(template: str, info: ValidationInfo) -> str:
        if info.context is None or "pattern" not in info.data:
            return template
        pattern = info.data["pattern"]
        return _checked(template, {*known, *(groups(pattern) if pattern else ())})

    return AfterValidator(checked)


TemplateText = Annotated[str, StringConstraints(max_length=2000)]
Template = Annotated[TemplateText, AfterValidator(lambda template: _checked(template, KNOWN))]
"""A template over a message alone."""
