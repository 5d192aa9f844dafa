"""Reads Bicep into values that rules can look at: dict, list, str, int, bool, None, and `Expression` for the rest."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_bicep.language()))
_KINDS = ("parameter", "variable", "resource", "module", "output")
_LITERALS = {"number": int, "boolean": lambda text: text == "true", "null": lambda _: None}


class Expression(str):
    """The source text of a value that is only known when it is deployed."""

    __slots__ = ()


@dataclass(frozen=True)
class Declaration:
    """`target` is the type of a resource (with its version), of a parameter and an output, and the path of a module."""

    kind: str
    name: str
    target: str
    body: object
    decorators: dict[str, object]


class Template:
    """One Bicep file."""

    def __init__(self, path: str, text: str) -> None:
        self.path = PurePosixPath(path)
        self._root = _PARSER.parse(text.encode()).root_node

    @cached_property
    def declarations(self) -> list[Declaration]:
        return [*self._declared()]

    def all(self, kind: str) -> dict[str, Declaration]:
        return {each.name: each for each in self.declarations if each.kind == kind}

    def syntax_errors(self) -> list[str]:
        wrong = [node for node in _walk(self._root) if node.type == "ERROR" or node.is_missing]
        return [f"{self.path}:{node.start_point.row + 1}:{node.start_point.column + 1}" for node in wrong]

    def imported(self) -> dict[str, str]:
        """Imported symbol -> path of the file that exports it."""
        text = self._root.text.decode()
        found = re.findall(r"^import \{ ([\w, ]+) \} from '([^']+)'$", text, re.MULTILINE)
        return {name: path for names, path in found for name in names.split(", ")}

    def symbols(self) -> set[str]:
        return {each.name for each in self.declarations} | self.imported().keys()

    def references(self) -> Iterator[tuple[str, int]]:
        """Every name that is read, with its line, but for names that a loop or a lambda declares around it."""
        for node in _walk(self._root):
            if node.type == "identifier" and not _declares(node) and node.text.decode() not in _local_names(node):
                yield node.text.decode(), node.start_point.row + 1

    def _declared(self) -> Iterator[Declaration]:
        decorators: dict[str, object] = {}
        for node in self._root.named_children:
            kind = node.type.removesuffix("_declaration")
            if node.type == "decorators":
                decorators = dict(_decorator(each) for each in node.named_children)
            elif kind in _KINDS:
                yield _declaration(kind, node, decorators)
                decorators = {}


def _declaration(kind: str, node: Node, decorators: dict[str, object]) -> Declaration:
    name, *rest = [child for child in node.named_children if child.type not in ("comment", "diagnostic_comment")]
    target = "" if kind == "variable" else rest.pop(0).text.decode().strip("'")
    return Declaration(kind, name.text.decode(), target, _body(rest[-1]) if rest else None, decorators)


def _decorator(node: Node) -> tuple[str, object]:
    name, arguments = node.named_children[0].named_children
    return name.text.decode(), _value(arguments.named_children[0]) if arguments.named_children else None


def _body(node: Node) -> object:
    """The object itself, also where it stands in a loop or behind a condition."""
    if node.type in ("for_statement", "if_statement"):
        return _body([child for child in node.named_children if child.type != "comment"][-1])
    return _value(node)


def _value(node: Node) -> object:
    children = [child for child in node.named_children if child.type != "comment"]
    if node.type == "object":
        pairs = (child.named_children for child in children)
        return {pair[0].text.decode().strip("'"): _value(pair[-1]) for pair in pairs}
    if node.type == "array":
        return [_value(child) for child in children]
    if node.type == "string" and not any(child.type == "interpolation" for child in children):
        return "".join(child.text.decode() for child in children)
    if node.type in _LITERALS:
        return _LITERALS[node.type](node.text.decode())
    return Expression(node.text.decode())


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _declares(node: Node) -> bool:
    parent = node.parent
    is_called = parent.type == "call_expression" and parent.named_children[0] == node
    is_key = parent.type == "object_property" and parent.named_children[0] == node
    is_declared = parent.type.endswith("_declaration") and parent.named_children[0] == node
    return is_called or is_key or is_declared or "import" in parent.type or parent.parent.type.startswith("import")


def _local_names(node: Node) -> set[str]:
    names: set[str] = set()
    while node := node.parent:
        if node.type == "for_statement":
            parameters = node.named_children[0]
            variables = parameters.named_children if parameters.type == "for_loop_parameters" else [parameters]
            names |= {child.text.decode() for child in variables}
        elif node.type == "lambda_expression":
            names |= set(re.findall(r"\w+", node.text.decode().split("=>")[0]))
    return names
