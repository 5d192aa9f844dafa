"""Outgoing rules: which sender an e-mail is sent through, by what it is about and whom it goes to (req M4)."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.domain.conditions import Negatable, Operator, any_holds
from shared.domain.fields import Document, DocumentId, Settings
from shared.domain.ticket import Ticket


class SendingCondition(Negatable):
    """Upper and lower case are the same. Holds where one of the texts does; `recipient` is any of the addresses."""

    field: Literal[
        "mailbox", "notice", "recipient", "requester", "type", "priority", "group", "assignee", "category", "service",
        "company", "tag", "subject",
    ]  # fmt: skip
    operator: Operator = "equals"
    value: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class OutgoingRuleSettings(Settings):
    """The first enabled rule whose conditions all hold chooses: in the order of positions, then of names."""

    enabled: bool = True
    position: int = Field(default=100, ge=0, le=100_000, description="rules are tried from the lowest to the highest")
    conditions: tuple[SendingCondition, ...] = Field(default=(), max_length=50)
    sender_id: DocumentId


class OutgoingRule(OutgoingRuleSettings, Document):
    """A rule as it is stored."""


def chosen_by_rules(
    rules: Iterable[OutgoingRule], mailbox_id: str, notice: str, recipients: Iterable[str], ticket: Ticket | None
) -> str | None:
    """The id of the sender that they choose, if any."""
    seen = {"mailbox": [mailbox_id], "notice": [notice], "recipient": [*recipients]}
    if ticket:
        seen |= {name: [value] for name, value in ticket.values().items() if isinstance(value, str) and value}
        seen |= {"requester": [ticket.requester.address], "tag": [*ticket.tags]}
    fitting = [rule for rule in rules if rule.enabled and all(_holds(each, seen) for each in rule.conditions)]
    first = min(fitting, key=lambda rule: (rule.position, rule.name), default=None)
    return first.sender_id if first else None


def _holds(condition: SendingCondition, seen: Mapping[str, Iterable[str]]) -> bool:
    return any_holds(condition.operator, condition.value, seen.get(condition.field, ())) is not condition.not_
