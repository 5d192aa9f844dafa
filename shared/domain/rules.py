"""Processing rules: what to do with messages that meet conditions, in an order of one's own (req K4)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from shared.domain.conditions import Condition, holds
from shared.domain.draft import Draft, TagName, Target, with_value
from shared.domain.explain import Step, one_by_one
from shared.domain.facts import Facts
from shared.domain.fields import DocumentId, EmailAddress, Model, Name, NotEmpty
from shared.domain.placeholders import Template, is_constant, rendered


class SetField(Model):
    """Set a field of the ticket; tags and CC are added to."""

    action: Literal["set"]
    field: Target
    value: Template


class Assign(Model):
    """Give the ticket to a technician, a group, or both."""

    action: Literal["assign"]
    assignee: EmailAddress | None = None
    group: Name | None = None

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not (self.assignee or self.group):
            raise PydanticCustomError("expected", "must have an `assignee` or a `group`")
        return self


class AddTags(Model):
    action: Literal["tag"]
    tags: Annotated[tuple[TagName, ...], NotEmpty] = Field(max_length=20)


class Ignore(Model):
    """Make nothing of the message; the reason stands in its receipt. No rule comes after this."""

    action: Literal["ignore"]
    reason: Name


class Route(Model):
    """Open the ticket among those of another mailbox."""

    action: Literal["route"]
    mailbox: DocumentId


class NoAcknowledgement(Model):
    action: Literal["no_acknowledgement"]


class Stop(Model):
    """Leave out the rules that follow."""

    action: Literal["stop"]


Action = Annotated[
    SetField | Assign | AddTags | Ignore | Route | NoAcknowledgement | Stop, Field(discriminator="action")
]


class Rule(Model):
    """Does all of its actions or, where one of them fails, none."""

    name: Name
    enabled: bool = True
    match: Literal["all", "any"] = "all"
    conditions: tuple[Condition, ...] = Field(default=(), max_length=20, description="without any, it always applies")
    actions: Annotated[tuple[Action, ...], NotEmpty] = Field(max_length=20)


@dataclass(frozen=True, slots=True)
class RuleResult:
    """`ignore` is the reason for making nothing of the message, `route` the mailbox whose ticket it becomes."""

    draft: Draft
    ignore: str | None = None
    route: str | None = None
    steps: tuple[Step, ...] = ()
    stopped: bool = False


def apply_rules(rules: Sequence[Rule], facts: Facts, draft: Draft) -> RuleResult:
    attempts = ((rule.name, partial(_applied, rule, facts)) for rule in rules if rule.enabled)
    result, steps = one_by_one("rules", attempts, RuleResult(draft))
    return replace(result, steps=steps)


def _applied(rule: Rule, facts: Facts, result: RuleResult) -> tuple[RuleResult, str] | None:
    if result.stopped or not _meets(rule, facts):
        return None
    done: list[str] = []
    for action in rule.actions:
        result, what = _act(action, facts, result)
        done.append(what)
    return result, "; ".join(done)


def _meets(rule: Rule, facts: Facts) -> bool:
    if not rule.conditions:
        return True
    return (all if rule.match == "all" else any)(holds(condition, facts) for condition in rule.conditions)


def _act(action: Action, facts: Facts, result: RuleResult) -> tuple[RuleResult, str]:
    match action:
        case Ignore():
            return replace(result, ignore=action.reason, stopped=True), f"ignore: {action.reason}"
        case Route():
            return replace(result, route=action.mailbox), f"route to {action.mailbox}"
        case Stop():
            return replace(result, stopped=True), "stop"
        case _:
            draft, what = _change(action, facts, result.draft)
            return replace(result, draft=draft), what


def _change(action: SetField | Assign | AddTags | NoAcknowledgement, facts: Facts, draft: Draft) -> tuple[Draft, str]:
    match action:
        case SetField():
            value = rendered(action.value, facts.effort, facts).strip()
            if value or is_constant(action.value):
                return with_value(draft, action.field, value), f"set {action.field} to {value}"
            return draft, f"leave {action.field}: there is nothing to set it to"
        case Assign():
            given = tuple(each for each in (action.assignee, action.group) if each)
            draft = replace(draft, assignee=action.assignee or draft.assignee, group=action.group or draft.group)
            return draft, f"assign to {', '.join(given)}"
        case AddTags():
            return replace(
                draft, tags=tuple(dict.fromkeys((*draft.tags, *action.tags)))
            ), f"tag {', '.join(action.tags)}"
        case NoAcknowledgement():
            return replace(draft, acknowledge=False), "no acknowledgement"
