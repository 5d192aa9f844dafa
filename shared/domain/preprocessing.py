"""Preprocessing: what is stripped from the text of a message before it is put into a ticket (req K5).

The whole text stays in the raw message. Nothing is stripped that a mailbox does not ask for.
"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.domain.explain import Step, one_by_one
from shared.domain.fields import Model, Name, told
from shared.domain.patterns import Effort, Pattern, replaced
from shared.domain.placeholders import TemplateText, beside_pattern, rendered
from shared.domain.ready_made import TABLES, whole


class _Strip(Model):
    name: Name
    pattern: Pattern
    replacement: Annotated[TemplateText, beside_pattern()] = Field(
        default="", description="a template that may hold `{{ match }}` and the pattern's groups"
    )


class StripPreset(_Strip):
    """A rule to turn on by its id, or to copy as one's own."""

    id: str
    description: str


STRIP_PRESETS = tuple(StripPreset(**each | {"pattern": whole(each["pattern"])}) for each in TABLES["preprocessing"])
_BY_ID = {each.id: each for each in STRIP_PRESETS}


class ReadyMadeStrip(Model):
    """One of the catalogue's rules."""

    kind: Literal["ready_made"]
    id: Annotated[str, StringConstraints(pattern=f"^({'|'.join(_BY_ID)})$"), told(f"one of {', '.join(_BY_ID)}")]
    enabled: bool = True


class OwnStrip(_Strip):
    """Replaces every match of a pattern."""

    kind: Literal["own"]
    enabled: bool = True


Preprocessing = Annotated[ReadyMadeStrip | OwnStrip, Field(discriminator="kind")]


def preprocess(rules: Sequence[Preprocessing], text: str, effort: Effort) -> tuple[str, tuple[Step, ...]]:
    """The text with what the rules strip left out, unless nothing remained."""
    enabled = [_BY_ID[rule.id] if isinstance(rule, ReadyMadeStrip) else rule for rule in rules if rule.enabled]
    return one_by_one("preprocessing", ((each.name, partial(_stripped, each, effort)) for each in enabled), text)


def _stripped(rule: _Strip, effort: Effort, text: str) -> tuple[str, str] | None:
    effort.go_on()
    after, count = replaced(rule.pattern, text, lambda match: rendered(rule.replacement, effort, match=match), effort)
    return (after.strip(), f"replaced {count}") if count and after.strip() else None
