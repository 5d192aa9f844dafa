"""What keeps the code from growing by itself."""

import ast
import re
from collections import Counter
from pathlib import Path

MODULES = {path: path.read_text() for path in (Path(__file__).parents[2] / "shared").rglob("*.py")}
CALLED_BY_LIBRARIES = {"_create_IMAP4", "_create_socket", "_getresp", "_new_conn", "cert_verify"}
"""Methods that take the place of inherited ones."""


def test_no_module_and_no_function_is_longer_than_one_can_take_in():
    functions = {
        f"{path.name}: {node.name}": node.end_lineno - node.lineno + 1
        for path, text in MODULES.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    }

    assert {path.name for path, text in MODULES.items() if text.count("\n") > 400} == set()
    assert {name for name, lines in functions.items() if lines > 60} == set()


def test_whatever_is_defined_is_used():
    words = Counter(word for text in MODULES.values() for word in re.findall(r"\w+", text))
    defined = {node.name for text in MODULES.values() for node in ast.walk(ast.parse(text)) if _must_be_named(node)}

    assert {name for name in defined - CALLED_BY_LIBRARIES if words[name] < 2} == set()


def _must_be_named(node: ast.AST) -> bool:
    """Decorators register functions, and Python calls those with two underscores."""
    if isinstance(node, ast.FunctionDef):
        return not node.decorator_list and not node.name.startswith("__")
    return isinstance(node, ast.ClassDef)
