"""Field mapping: any field of a ticket from the sender, subject, body or a header, by template or pattern (req K2)."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from pydantic import Field

from shared.domain.draft import Draft, Target, has_value, with_value
from shared.domain.explain import Step, one_by_one
from shared.domain.facts import Facts, TextField, found
from shared.domain.fields import Model
from shared.domain.patterns import Pattern
from shared.domain.placeholders import KNOWN, TemplateText, beside_pattern, rendered


class FieldMapping(Model):
    """Where a pattern is given, nothing is set unless it is found in the field; and an empty text is never set."""

    target: Target
    field: TextField = Field(default="body", description="where the pattern is looked for")
    pattern: Pattern | None = None
    template: Annotated[TemplateText, beside_pattern(*KNOWN)] = Field(
        default="{{ match }}",
        validate_default=True,
        description="the value; `{{ match }}` is the first group of the pattern, or all that it matches",
    )
    overwrite: bool = Field(default=True, description="false sets the field only where it has no value yet")


def apply_mapping(mapping: Sequence[FieldMapping], facts: Facts, draft: Draft) -> tuple[Draft, tuple[Step, ...]]:
    return one_by_one("mapping", ((each.target, partial(_mapped, each, facts)) for each in mapping), draft)


def _mapped(mapping: FieldMapping, facts: Facts, draft: Draft) -> tuple[Draft, str] | None:
    if not mapping.overwrite and has_value(draft, mapping.target):
        return None
    match = found(facts, mapping.field, mapping.pattern) if mapping.pattern else None
    if mapping.pattern and not match:
        return None
    value = rendered(mapping.template, facts.effort, facts, match).strip()
    return (with_value(draft, mapping.target, value), f"set {mapping.target} to {value}") if value else None
