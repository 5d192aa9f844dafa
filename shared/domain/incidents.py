"""Monitoring mail: one ticket for each incident, known by an id outside of Mailroom (req K6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.domain.conditions import Condition, holds
from shared.domain.explain import Step, one_by_one
from shared.domain.facts import Facts, TextField, found
from shared.domain.fields import Model, Name, told
from shared.domain.patterns import Pattern
from shared.domain.ready_made import TABLES

State = Literal["recovery", "problem"]
STATES: tuple[State, ...] = ("recovery", "problem")
MAX_ID = 200


@dataclass(frozen=True, slots=True)
class Incident:
    """What a message reports. `external_id` names the incident within its mailbox; None for `state` tells neither.

    `closes` is whether the ticket is to be closed by this message.
    """

    external_id: str
    state: State | None
    closes: bool


class _Monitoring(Model):
    enabled: bool = True
    conditions: tuple[Condition, ...] = Field(
        default=(), max_length=20, description="all must hold, such as that the monitoring system sent the message"
    )
    close_on_recovery: bool = True


class _Patterns(Model):
    name: Name
    field: TextField = "subject"
    external_id: Pattern
    state_field: TextField = Field(default="subject", description="where `problem` and `recovery` are looked for")
    problem: Pattern | None = None
    recovery: Pattern | None = None


class OwnMonitoring(_Monitoring, _Patterns):
    """`external_id` matches in messages about one incident the same; its first group counts, or all of it."""

    kind: Literal["own"]


class MonitoringPreset(_Patterns):
    """What a monitoring system writes unless somebody changed it; to turn on by its id, or to copy as one's own."""

    id: str


MONITORING_PRESETS = tuple(MonitoringPreset(**each) for each in TABLES["monitoring"])
_BY_ID = {each.id: each for each in MONITORING_PRESETS}


class ReadyMadeMonitoring(_Monitoring):
    """One of the catalogue's monitoring systems."""

    kind: Literal["ready_made"]
    id: Annotated[str, StringConstraints(pattern=f"^({'|'.join(_BY_ID)})$"), told(f"one of {', '.join(_BY_ID)}")]


Monitoring = Annotated[ReadyMadeMonitoring | OwnMonitoring, Field(discriminator="kind")]


def incident(rules: Sequence[Monitoring], facts: Facts) -> tuple[Incident | None, tuple[Step, ...]]:
    """The incident by the first rule that finds one."""
    written = [
        (rule, _BY_ID[rule.id] if isinstance(rule, ReadyMadeMonitoring) else rule) for rule in rules if rule.enabled
    ]
    attempts = ((patterns.name, partial(_reported, rule, patterns, facts)) for rule, patterns in written)
    return one_by_one("incidents", attempts, None)


def _reported(
    rule: Monitoring, patterns: _Patterns, facts: Facts, earlier: Incident | None
) -> tuple[Incident, str] | None:
    if earlier or not all(holds(condition, facts) for condition in rule.conditions):
        return None
    match = found(facts, patterns.field, patterns.external_id)
    external_id = " ".join(match["match"].split())[:MAX_ID] if match else ""
    if not external_id:
        return None
    state = next((each for each in STATES if _is_in(each, patterns, facts)), None)
    return Incident(external_id, state, state == "recovery" and rule.close_on_recovery), f"{external_id}: {state}"


def _is_in(state: State, patterns: _Patterns, facts: Facts) -> bool:
    pattern = patterns.recovery if state == "recovery" else patterns.problem
    return pattern is not None and found(facts, patterns.state_field, pattern) is not None
