"""What a template may say: values, conditions, loops over one list, and filters; nothing that can run for long.

The sandbox keeps a template from reaching what it must not see, and this keeps it from working without end: it has no
functions, no arithmetic, no macros and no loops within loops, and a loop cannot use long texts. What it costs is
therefore bounded by its own length, before it ever runs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from shared.domain.templates import PART_TYPES, PARTS, TemplateKind

if TYPE_CHECKING:
    from jinja2 import Environment, Template, nodes

MAX_DEPTH = 20
MAX_ITEMS = 50
"""Items of a list that a loop goes through, or that are joined."""
_LISTS = ("ticket.tags", "comment.attachments")
_LOOP = frozenset({"loop.first", "loop.last", "loop.index", "loop.index0", "loop.length"})
_FILTERS = frozenset(
    {"capitalize", "d", "default", "e", "escape", "first"} | {"last", "length", "lower", "trim", "truncate", "upper"}
)
_TESTS = ("defined", "undefined", "none", "eq", "ne", "in")
_ALLOWED = frozenset(
    {"Template", "Output", "TemplateData", "Const", "If", "CondExpr", "Compare", "Operand", "And", "Or", "Not"}
    | {"Test", "Filter", "Keyword"}
)

Wrong = tuple[int, str]
"""A line and what is wrong in it."""


class TemplateRefused(Exception):
    """The template says what no template may say."""


@lru_cache(maxsize=256)
def compiled(source: str, kind: TemplateKind, *, is_html: bool) -> "Template":
    """Ready to be filled in. Only what passes the check is ever run, however it came to be stored.

    :raises TemplateRefused:
    """
    for line, reason in wrong_in(source, kind, is_html=is_html):
        raise TemplateRefused(f"line {line}: {reason}")
    return environment(is_html=is_html).from_string(source)


def wrong_in(source: str, kind: TemplateKind, *, is_html: bool) -> list[Wrong]:
    """All that a template says and may not say; else whatever keeps it from being compiled."""
    from jinja2 import TemplateSyntaxError  # only needed where templates are

    try:
        found = list(_Reader(kind, is_html).wrong(environment(is_html=is_html).parse(source), frozenset(), 0))
        if not found:
            environment(is_html=is_html).compile(source)
    except TemplateSyntaxError as exc:
        found = [(exc.lineno, exc.message or "cannot be read")]
    except RecursionError:
        found = [(1, f"is nested more than {MAX_DEPTH} deep")]
    return found


@lru_cache(maxsize=2)
def environment(*, is_html: bool) -> "Environment":
    from jinja2 import StrictUndefined, pass_eval_context
    from jinja2.filters import do_join
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Restricted(ImmutableSandboxedEnvironment):
        """Names lead into values, never to what Python has in them."""

        def getattr(self, obj: Any, attribute: str) -> Any:
            return self.getitem(obj, attribute) if isinstance(obj, Mapping) else super().getattr(obj, attribute)

        def getitem(self, obj: Any, argument: Any) -> Any:
            try:
                return obj[argument]
            except LookupError:
                return self.undefined(obj=obj, name=argument)

    @pass_eval_context
    def join(context: Any, items: Any, between: str = ", ") -> Any:
        """Lists only: what is joined to itself doubles each time."""
        return do_join(context, items if isinstance(items, tuple) else (items,), str(between)[:20])

    made = Restricted(autoescape=is_html, undefined=StrictUndefined, keep_trailing_newline=False, trim_blocks=True)
    made.finalize = lambda value: "" if value is None else value
    made.globals = {}
    made.filters = {name: made.filters[name] for name in _FILTERS} | {"join": join}
    made.tests = {name: made.tests[name] for name in _TESTS}
    return made


class _Reader:
    def __init__(self, kind: TemplateKind, is_html: bool) -> None:
        self._known = {f"{part}.{each.name}" for part in PARTS[kind] for each in fields(PART_TYPES[part])}
        self._known -= {"ticket.fields"} if is_html else {"ticket.fields", "comment.html", "message.html"}

    def wrong(self, node: "nodes.Node", in_loop: frozenset[str], depth: int) -> Iterator[Wrong]:
        """`in_loop` are the names that a loop around the node gives."""
        what = type(node).__name__
        if depth > MAX_DEPTH:
            yield node.lineno, f"is nested more than {MAX_DEPTH} deep"
        elif what in ("Name", "Getattr", "Getitem"):
            yield from self._wrong_name(node, in_loop)
        elif what == "For":
            yield from self._wrong_loop(node, in_loop, depth)
        elif what in _ALLOWED:
            for child in node.iter_child_nodes():
                yield from self.wrong(child, in_loop, depth + 1)
        else:
            yield node.lineno or 1, _REFUSED.get(what, f"templates have no `{what.lower()}`")

    def _wrong_name(self, node: "nodes.Node", in_loop: frozenset[str]) -> Iterator[Wrong]:
        name = _dotted(node)
        if in_loop and name.endswith((".text", ".html")):
            yield node.lineno, f"`{name}` may be long and cannot be used in a loop"
        elif not (name in self._known or name in in_loop or name.startswith("ticket.fields.")):
            there = [each for each in self._known if each.startswith(name.partition(".")[0] + ".")] or self._known
            yield node.lineno, f"there is no field `{name}`; there are {', '.join(sorted(there))}"

    def _wrong_loop(self, loop: Any, in_loop: frozenset[str], depth: int) -> Iterator[Wrong]:
        if in_loop:
            yield loop.lineno, "a loop cannot stand in a loop"
        elif _dotted(loop.iter) not in self._known.intersection(_LISTS) or loop.recursive:
            yield loop.lineno, f"a loop goes through {' or '.join(f'`{name}`' for name in _LISTS)}, nothing else"
        elif type(loop.target).__name__ != "Name":
            yield loop.lineno, "a loop has one name for its items"
        else:
            names = _LOOP | {loop.target.name}
            for child in (*loop.body, *loop.else_, *([loop.test] if loop.test else [])):
                yield from self.wrong(child, names, depth + 1)


_REFUSED = dict.fromkeys(("Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow", "Neg", "Pos"), "templates do no sums")
_REFUSED |= {"Call": "templates call no functions", "Concat": "`~` is not needed: write one value behind the other"}


def _dotted(node: Any) -> str:
    """`ticket.tag` and `ticket['tag']` as `ticket.tag`; anything else that has parts as something that is no field."""
    match type(node).__name__:
        case "Name":
            return str(node.name)
        case "Getattr":
            return f"{_dotted(node.node)}.{node.attr}"
        case "Getitem" if isinstance(getattr(node.arg, "value", None), str):
            return f"{_dotted(node.node)}.{node.arg.value}"
    return f"({type(node).__name__.lower()})"
