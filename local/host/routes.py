"""The routes of HTTP functions, matched as Azure matches them.

Azure does not prefer the more specific route. It tries the functions in the order of their names, ignoring case,
and takes the first whose template and methods fit; where none does the answer is 404, also for a wrong method.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from local.host.engine import Function, HostError

_PARAMETER = re.compile(r"\{(\*{0,2})(\w+)(?::(\w+))?(\??)\}")


@dataclass(frozen=True, slots=True)
class Route:
    function: Function
    path: re.Pattern[str]
    methods: frozenset[str]

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The values of the parameters, or None where the route does not fit. A route without methods takes all."""
        found = self.path.fullmatch(path)
        if found is None or (self.methods and method not in self.methods):
            return None
        return {name: unquote(value) for name, value in found.groupdict().items() if value}


def routes_of(functions: Iterable[Function], prefix: str) -> tuple[Route, ...]:
    """In the order in which they are tried. :raises HostError: a template has what this host does not know."""
    triggered = [function for function in functions if function.trigger["type"] == "httpTrigger"]
    return tuple(_route(function, prefix) for function in sorted(triggered, key=lambda found: found.name.upper()))


def _route(function: Function, prefix: str) -> Route:
    template = "/".join(filter(None, (prefix.strip("/"), function.trigger["route"].strip("/"))))
    pattern = "".join(_segment(function.name, text) for text in template.split("/") if text)
    methods = frozenset(method.upper() for method in function.trigger.get("methods", ()))
    return Route(function, re.compile(f"{pattern}/?", re.IGNORECASE), methods)


def _segment(function: str, text: str) -> str:
    parameter = _PARAMETER.fullmatch(text)
    if parameter is None and "{" not in text:
        return "/" + re.escape(text)
    stars, name, constraint, optional = parameter.groups() if parameter else ("", "", text, "")
    if constraint not in (None, "int"):
        raise HostError(f"{function}: this host does not know the route segment {text}")
    if stars:
        return f"(?:/(?P<{name}>.*))?"
    segment = f"/(?P<{name}>{r'[+-]?[0-9]+' if constraint else '[^/]+'})"
    return f"(?:{segment})?" if optional else segment
