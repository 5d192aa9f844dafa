"""Rules about imports that import-linter cannot state."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROVIDER_LIBRARIES = ("fastapi", "imapclient", "msal", "jwt", "nh3", "jinja2", "re2", "azure.identity")


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_azure_functions_is_known_to_the_entry_points_only():
    knowing = {path for path in (ROOT / "shared").rglob("*.py") if "azure.functions" in _imports(path)}

    assert knowing
    assert {path.relative_to(ROOT / "shared").parts[0] for path in knowing} == {"entrypoints"}


def test_indexing_the_functions_imports_no_provider_library_and_no_storage():
    code = "import sys, function_app; function_app.app.get_functions(); print(*sys.modules)"

    listed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    loaded = set(listed.stdout.split())
    assert loaded.isdisjoint({*PROVIDER_LIBRARIES, "azure.data.tables", "pydantic", "requests"})
