"""From a message to a ticket: all that a mailbox says about the fields of its tickets, in the order it applies (req K).

Preprocessing, defaults, importance, field mapping, incidents, rules, and at last what the ticket's type makes of it.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from shared.domain.draft import CUSTOM, MAX_CUSTOM, Draft, Priority, TagName, has_value, with_value
from shared.domain.errors import Problem, Unfit
from shared.domain.explain import Attempt, Step, one_by_one
from shared.domain.facts import HEADER, HEADER_NAME, Facts
from shared.domain.fields import DocumentId, EmailAddress, Model, Name, NotEmpty
from shared.domain.incidents import Incident, Monitoring, incident
from shared.domain.mapping import FieldMapping, apply_mapping
from shared.domain.message import Address, InboundMessage
from shared.domain.placeholders import is_constant
from shared.domain.preprocessing import Preprocessing, preprocess
from shared.domain.rules import Action, Route, Rule, SetField, apply_rules
from shared.domain.ticket_types import TicketTypeSettings, Types, field_problem, fitting


class Defaults(Model):
    """What a ticket has unless something else says so (req K3); its type is the first of `ticket_types`."""

    priority: Priority | None = None
    group: Name | None = None
    assignee: EmailAddress | None = None
    category: Name | None = None
    service: Name | None = None
    company: Name | None = Field(default=None, description="where the requester's own is not known")
    tags: tuple[TagName, ...] = Field(default=(), max_length=20)
    custom: Mapping[str, Annotated[str, StringConstraints(max_length=MAX_CUSTOM)]] = Field(
        default={}, max_length=50, description="values of the type's own fields, by their names"
    )


class Processing(Model):
    """The part of a mailbox's settings that makes tickets of its messages."""

    ticket_types: Annotated[tuple[DocumentId, ...], NotEmpty] = Field(
        default=("request", "incident"),
        max_length=50,
        description="those that the mailbox may create (req K7); the first unless something else says so",
    )
    defaults: Defaults = Defaults()
    priority_from_importance: bool = Field(
        default=False, description="whether a message that says that it is important, or is not, is believed (req K8)"
    )
    mapping: tuple[FieldMapping, ...] = Field(default=(), max_length=100)
    rules: tuple[Rule, ...] = Field(default=(), max_length=200)
    preprocessing: tuple[Preprocessing, ...] = Field(default=(), max_length=50)
    incidents: tuple[Monitoring, ...] = Field(default=(), max_length=20)

    @field_validator("rules")
    @classmethod
    def _distinct(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        if len({rule.name.casefold() for rule in rules}) < len(rules):
            raise PydanticCustomError("rules", "must have names that differ from each other")
        return rules


@dataclass(frozen=True, slots=True)
class Processed:
    """`ignore` is the reason for making nothing of the message, `route` the mailbox whose ticket it becomes."""

    draft: Draft
    incident: Incident | None
    ignore: str | None
    route: str | None
    steps: tuple[Step, ...]


def process(processing: Processing, types: Types, facts: Facts, draft: Draft) -> Processed:
    """Fill in the draft of a new ticket. It never raises: what fails is noted in the steps."""
    text, stripped = preprocess(processing.preprocessing, draft.text, facts.effort)
    draft = replace(draft, text=text, type=processing.ticket_types[0])
    draft, defaulted = one_by_one("defaults", _defaults(processing, facts), draft)
    draft, mapped = apply_mapping(processing.mapping, facts, draft)
    found, monitored = incident(processing.incidents, facts)
    if found:
        draft = replace(draft, external_id=found.external_id)
    ruled = apply_rules(processing.rules, facts, draft)
    typing = (ruled.draft.type, partial(_typed, processing, types))
    draft, typed = one_by_one("ticket type", [typing], ruled.draft)
    steps = (*stripped, *defaulted, *mapped, *monitored, *ruled.steps, *typed)
    return Processed(draft, found, ruled.ignore, ruled.route, steps)


def header_names(processing: Processing) -> frozenset[str]:
    """The headers that conditions, mappings and templates speak of, in lower case: reading a message must keep them."""
    return frozenset(map(str.lower, re.findall(f"{HEADER}({HEADER_NAME})", processing.model_dump_json())))


def routes(processing: Processing) -> set[str]:
    """The mailboxes that rules hand messages to."""
    return {action.mailbox for _, action in _actions(processing) if isinstance(action, Route)}


def stated_priority(message: InboundMessage) -> Priority | None:
    """What the sender says of the message's importance; None for the usual, which most programs always state."""
    for name, value in message.headers:
        if found := _STATED.get(name, {}).get(value.partition("(")[0].strip().lower()):
            return found
    return None


_WORDS: Mapping[str, Priority] = {"high": "high", "low": "low"}
_STATED: Mapping[str, Mapping[str, Priority]] = {
    "importance": _WORDS,
    "x-msmail-priority": _WORDS,
    "x-priority": {"1": "high", "2": "high", "4": "low", "5": "low", **_WORDS},
    "priority": {"urgent": "high", "non-urgent": "low"},
}
"""RFC 2156 section 5.3; X-Priority is a number with a comment, as in `1 (Highest)`."""


def _defaults(processing: Processing, facts: Facts) -> Iterator[tuple[str, Attempt[Draft]]]:
    if facts.requester and facts.requester.company:
        yield "company of the requester", partial(_filled, {"company": facts.requester.company})
    values = {name: value for name, value in processing.defaults if isinstance(value, str)}
    values |= {CUSTOM + name: value for name, value in processing.defaults.custom.items()}
    yield "defaults of the mailbox", partial(_filled, {**values, "tags": ",".join(processing.defaults.tags)})
    if processing.priority_from_importance and (stated := stated_priority(facts.message)):
        yield "importance", lambda draft: (with_value(draft, "priority", stated), f"set priority to {stated}")


def _filled(values: Mapping[str, str], draft: Draft) -> tuple[Draft, str] | None:
    wanted = {target: value for target, value in values.items() if value and not has_value(draft, target)}
    for target, value in wanted.items():
        draft = with_value(draft, target, value)
    return (draft, "; ".join(f"set {target} to {value}" for target, value in wanted.items())) if wanted else None


def _typed(processing: Processing, types: Types, draft: Draft) -> tuple[Draft, str]:
    """A type that the mailbox may create, with the custom fields that it has."""
    type_id = draft.type if draft.type in processing.ticket_types else processing.ticket_types[0]
    custom, problems = fitting(types[type_id], draft.custom) if type_id in types else (draft.custom, [])
    told = "; ".join(f"{problem.path.removeprefix('$.')} {problem.message}" for problem in problems)
    return replace(draft, type=type_id, custom=custom), told


def processing_problems(processing: Processing, mailbox_ids: Collection[str], types: Types) -> Iterator[Problem]:
    """What cannot work for reasons outside of one value: other documents, and fields that cannot have a constant."""
    for number, type_id in enumerate(processing.ticket_types):
        if type_id not in types:
            yield Problem(f"$.ticket_types[{number}]", "is no ticket type")
    for path, action in _actions(processing):
        if isinstance(action, Route) and action.mailbox not in mailbox_ids:
            yield Problem(f"{path}.mailbox", "is no mailbox")
    for target_path, value_path, target, value in _settings(processing):
        if target.startswith(CUSTOM) and not _fields(processing, types, target):
            yield Problem(target_path, "is no field of the mailbox's ticket types")
        elif is_constant(value) and (why := _misfit(processing, types, target, value)):
            yield Problem(value_path, why)


def _actions(processing: Processing) -> Iterator[tuple[str, Action]]:
    for number, rule in enumerate(processing.rules):
        for place, action in enumerate(rule.actions):
            yield f"$.rules[{number}].actions[{place}]", action


def _settings(processing: Processing) -> Iterator[tuple[str, str, str, str]]:
    """All fields that are set: the path of the field's name, the path of the value, the field, and its template."""
    for name, value in processing.defaults.custom.items():
        yield f"$.defaults.custom.{name}", f"$.defaults.custom.{name}", CUSTOM + name, value
    for number, each in enumerate(processing.mapping):
        yield f"$.mapping[{number}].target", f"$.mapping[{number}].template", each.target, each.template
    for path, action in _actions(processing):
        if isinstance(action, SetField):
            yield f"{path}.field", f"{path}.value", action.field, action.value


def _fields(processing: Processing, types: Types, target: str) -> list[TicketTypeSettings]:
    """Those of the mailbox's ticket types that have the custom field."""
    allowed = [types[type_id] for type_id in processing.ticket_types if type_id in types]
    return [each for each in allowed if target.removeprefix(CUSTOM) in {field.name for field in each.fields}]


def _misfit(processing: Processing, types: Types, target: str, value: str) -> str | None:
    """Why the field cannot have that value in any ticket of the mailbox."""
    name = target.removeprefix(CUSTOM)
    if target == "type" and value not in processing.ticket_types:
        return "is not among the mailbox's ticket_types"
    if name == target:
        try:
            with_value(Draft(Address("")), target, value)
        except Unfit as error:
            return str(error)
        return None
    problems = [field_problem(each, name, value) for each in _fields(processing, types, target)]
    return problems[0] if problems and all(problems) else None
