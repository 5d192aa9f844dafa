"""What is deployed: complete, for Azure's Python and platform, the same each time, and able to run on its own."""

import re
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from local.azurite import Azurite
from tests.hosted import hosted
from tools.package import CONTENTS, PYTHON, ROOT, SITE_PACKAGES, build

pytestmark = [
    pytest.mark.xdist_group("package"),
    pytest.mark.skipif(
        f"{sys.version_info.major}.{sys.version_info.minor}" != PYTHON, reason=f"the package is for Python {PYTHON}"
    ),
]
UNCHECKED_HASH = b"\x01\x00\x00\x00"  # PEP 552


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def app(package: Path) -> Path:
    return package.parent / "app"


@pytest.fixture(scope="module")
def names(package: Path) -> set[str]:
    with zipfile.ZipFile(package) as archive:
        return set(archive.namelist())


def test_the_same_sources_give_the_same_bytes(package: Path, tmp_path: Path):
    assert build(tmp_path).read_bytes() == package.read_bytes()


def test_it_holds_the_app_and_its_packages_and_nothing_else(names: set[str]):
    assert {name.split("/")[0] for name in names} == {*CONTENTS, "__pycache__", ".python_packages"}
    shared = {name for name in names if name.startswith("shared/") and "__pycache__" not in name}
    files = (path for path in (ROOT / "shared").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert shared == {path.relative_to(ROOT).as_posix() for path in files}
    assert "shared/application/texts/en.toml" in shared


def test_it_holds_exactly_the_pinned_packages(app: Path):
    pins = re.findall(r"^([\w.-]+==\S+(?: ; .*?)?) \\$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    azure = {"python_version": PYTHON, "python_full_version": f"{PYTHON}.0", "sys_platform": "linux"}
    wanted = [each for each in map(Requirement, pins) if each.marker is None or each.marker.evaluate(azure)]

    assert {f"{_normal(each.name)}{each.specifier}" for each in wanted} == {
        f"{_normal(name)}=={version}"
        for path in (app / SITE_PACKAGES).glob("*.dist-info")
        for name, version in [path.stem.rsplit("-", 1)]
    }


def test_all_code_is_compiled_for_azures_python_and_is_not_looked_at_again(app: Path):
    tag = f"cpython-{PYTHON.replace('.', '')}"
    for source in [
        app / "function_app.py",
        *(app / "shared").rglob("*.py"),
        *(app / SITE_PACKAGES).glob("azure/**/*.py"),
    ]:
        compiled = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
        assert compiled.read_bytes()[4:8] == UNCHECKED_HASH


def test_binaries_are_for_azures_platform(names: set[str]):
    binaries = [name for name in names if name.endswith((".so", ".pyd", ".dylib"))]

    assert binaries
    assert all(re.search(r"\.(cpython-313-x86_64-linux-gnu|abi3)\.so$", name) for name in binaries)


def test_nothing_of_the_machine_that_built_it_is_in_it(app: Path):
    paths = [str(ROOT).encode(), str(app.parent).encode()]

    assert [
        path for path in app.rglob("*") if path.is_file() and any(each in path.read_bytes() for each in paths)
    ] == []


def test_core_tools_would_publish_no_more_than_the_package_holds():
    ignored = [line for line in (ROOT / ".funcignore").read_text().splitlines() if line and line[0] != "#"]
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    kept = {name.split("/")[0] for name in listed.splitlines()}

    assert {name for name in kept if not any(fnmatch(name, each) for each in ignored)} == {
        *CONTENTS,
        "requirements.txt",
    }


def test_it_starts_in_a_functions_host_without_any_package_of_this_machine(app: Path, azurite: Azurite, tmp_path: Path):
    settings = {
        "DATA_STORAGE": azurite.connection_string,
        "KEY_VAULT_URI": "https://vault.example",
        "POLL_SCHEDULE": "0 0 0 29 2 *",
        "RETENTION_SCHEDULE": "0 0 0 29 2 *",
    }
    (tmp_path / "local").symlink_to(ROOT / "local")
    bare = str(Path(sys.base_prefix, "bin", f"python{PYTHON}"))

    with hosted(app, tmp_path, settings, bare, import_from=f"{tmp_path}:{app / SITE_PACKAGES}") as host:
        health = host.get("/api/health")

    assert (health.status_code, health.json()["level"]) == (200, "ok")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
