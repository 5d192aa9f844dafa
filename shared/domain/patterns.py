"""Patterns that people write: regular expressions by RE2, which takes time in proportion to the text (req K2-K6).

Case never matters. What RE2 does not have (look-around, back references) is refused when the pattern is saved.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo
from pydantic_core import PydanticCustomError

from shared.domain.errors import Unfit

MAX_READ = 30_000
"""Characters of a text that conditions and patterns look at. Much further down is no part of what somebody wrote."""
MAX_REPLACED = 1_000
MAX_GROWN = 100_000
"""Characters that replacements in one text may come to."""
_MAX_PROGRAM = 2_000
"""RE2's instructions. With these limits the worst patterns that we found take 0.6 s of CPU to search one text once."""
_MAX_GROUPS = 20
_MAX_MEMORY = 8 << 20
"""Bytes for one compiled pattern, which all but the worst use a hundredth of; RE2 keeps the last 128 of them."""

_MAX_CPU_SECONDS = 1.0


class Effort:
    """The CPU that all patterns and templates of a mailbox together may take for one message, by a `clock` that counts
    its seconds; without one they take what they want. What comes later fails, and the message is a ticket all the same.
    """

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        self._clock = clock
        self._until = clock() + _MAX_CPU_SECONDS

    def go_on(self) -> None:
        """:raises Unfit: it is used up."""
        if self._clock() > self._until:
            raise Unfit("the patterns and templates before it took all the time that one message may take")


Match = Mapping[str, str]
"""What a pattern found: `match.0` is all of it, `match.1` and `match.name` are its groups, and `match` is the first
group, or all of it where there is none.
"""


def groups(pattern: str) -> frozenset[str]:
    """The names of what the pattern finds. :raises Unfit: it is none."""
    found = _compiled(pattern)
    return frozenset({"match", *(f"match.{each}" for each in (*range(found.groups + 1), *found.groupindex))})


def search(pattern: str, text: str) -> Match | None:
    """:raises Unfit: the pattern is none."""
    found = next(_found(pattern, text), None)
    return _match(found) if found else None


def replaced(pattern: str, text: str, replacement: Callable[[Match], str], effort: Effort) -> tuple[str, int]:
    """The text with the first `MAX_REPLACED` matches replaced, and how many there were.

    :raises Unfit: the pattern is none, or takes or makes too much.
    """
    parts: list[str] = []
    end = grown = 0
    for found in islice(_found(pattern, text), MAX_REPLACED):
        effort.go_on()
        parts += text[end : found.start()], replacement(_match(found))
        end, grown = found.end(), grown + len(parts[-1])
        if grown > MAX_GROWN:
            raise Unfit(f"makes more than {MAX_GROWN} characters of the text")
    return "".join((*parts, text[end:])), len(parts) // 2


def _found(pattern: str, text: str) -> Iterator[Any]:
    """One character more than is searched, so that a text that goes on there does not seem to end."""
    found: Iterator[Any] = _compiled(pattern).finditer(text[: MAX_READ + 1], 0, MAX_READ)
    return found


def _match(found: Any) -> Match:
    values = {str(number): found.group(number) or "" for number in range(found.re.groups + 1)}
    values |= {name: value or "" for name, value in found.groupdict().items()}
    return {"match": values.get("1", values["0"]), **{f"match.{name}": value for name, value in values.items()}}


@cache
def _options() -> Any:
    import re2

    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    return options


def _compiled(pattern: str) -> Any:
    import re2

    try:
        return re2.compile(pattern, _options())
    except re2.error as error:
        reason = error.args[0]
        told = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        raise Unfit(f"is no pattern that RE2 takes: {told}") from error


def _checked(pattern: str, info: ValidationInfo) -> str:
    """Ask when somebody saves it; what is stored is read without."""
    if info.context is None:
        return pattern
    try:
        found = _compiled(pattern)
    except Unfit as error:
        raise PydanticCustomError("pattern", "{why}", {"why": str(error)}) from error
    if found.programsize > _MAX_PROGRAM:
        raise PydanticCustomError("pattern", "is too large: use fewer or smaller counted repetitions")
    if found.groups > _MAX_GROUPS:
        raise PydanticCustomError("pattern", f"has more than {_MAX_GROUPS} groups")
    return pattern


Pattern = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1000),
    AfterValidator(_checked),
    Field(description="a regular expression in the syntax of RE2; upper and lower case are the same"),
]
