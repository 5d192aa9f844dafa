"""Outgoing rules: which sender an e-mail is sent through, by what it is about and whom it goes to (req M4)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from shared.domain.fields import Document, DocumentId, Model, Settings
from shared.domain.ticket import Ticket


class SendingCondition(Model):
    """Upper and lower case are the same. Holds where one of the texts does; `recipient` is any of the addresses."""

    model_config = ConfigDict(serialize_by_alias=True)

    field: Literal[
        "mailbox", "notice", "recipient", "requester", "type", "priority", "group", "assignee", "category", "service",
        "company", "tag", "subject",
    ]  # fmt: skip
    operator: Literal["equals", "contains", "starts", "ends"] = "equals"
    value: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    not_: bool = Field(default=False, alias="not", description="true turns the condition round")


class OutgoingRuleSettings(Settings):
    """The first enabled rule whose conditions all hold chooses: in the order of positions, then of names."""

    enabled: bool = True
    position: int = Field(default=100, ge=0, le=100_000, description="rules are tried from the lowest to the highest")
    conditions: tuple[SendingCondition, ...] = Field(default=(), max_length=50)
    sender_id: DocumentId


class OutgoingRule(OutgoingRuleSettings, Document):
    """A rule as it is stored."""


_HOLDS: Mapping[str, Callable[[str, str], bool]] = {
    "equals": str.__eq__,
    "contains": str.__contains__,
    "starts": str.startswith,
    "ends": str.endswith,
}


def chosen_by_rules(
    rules: Iterable[OutgoingRule], mailbox_id: str, notice: str, recipients: Iterable[str], ticket: Ticket | None
) -> str | None:
    """The id of the sender that they choose, if any."""
    seen = {"mailbox": [mailbox_id], "notice": [notice], "recipient": [*recipients]}
    if ticket:
        seen |= {"requester": [ticket.requester.address], "tag": [*ticket.tags]}
        names = ("type", "priority", "group", "assignee", "category", "service", "company", "subject")
        seen |= {name: [getattr(ticket, name)] for name in names}
    ordered = sorted((each for each in rules if each.enabled), key=lambda each: (each.position, each.name))
    return next((each.sender_id for each in ordered if all(_holds(one, seen) for one in each.conditions)), None)


def _holds(condition: SendingCondition, seen: Mapping[str, list[str]]) -> bool:
    value = condition.value.casefold()
    found = any(_HOLDS[condition.operator](text.casefold(), value) for text in seen.get(condition.field, ()) if text)
    return found is not condition.not_
