"""Build what is deployed: `make package` leaves it in dist/app, and as dist/mailroom.zip.

The code, the pinned wheels for Azure's platform, and byte code for its Python: nothing is built after the tests.
The same sources give the same bytes.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONTENTS = ("function_app.py", "host.json", "shared")
SITE_PACKAGES = Path(".python_packages", "lib", "site-packages")
PYTHON = (ROOT / ".python-version").read_text().strip()
_PLATFORM = "x86_64-manylinux_2_28"
_DEPLOYED_TO = "/home/site/wwwroot"
_OLDEST_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_COMPILE = f"""
import compileall, py_compile, sys
sys.exit(not compileall.compile_dir(
    ".", quiet=1, stripdir=".", prependdir="{_DEPLOYED_TO}",
    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
))
"""


def build(target: Path) -> Path:
    """Build the folder `app` and the file `mailroom.zip` in `target`; the path of the file."""
    app = target / "app"
    shutil.rmtree(app, ignore_errors=True)
    app.mkdir(parents=True)
    _copy_code(app)
    _install_wheels(app / SITE_PACKAGES)
    _compile(app)
    return _zip(app, target / "mailroom.zip")


def _copy_code(app: Path) -> None:
    for name in CONTENTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, app / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, app / name)


def _install_wheels(site_packages: Path) -> None:
    wanted = ["--require-hashes", "--requirement", ROOT / "requirements.txt", "--only-binary", ":all:"]
    kind = ["--python-version", PYTHON, "--python-platform", _PLATFORM, "--no-compile-bytecode", "--link-mode", "copy"]
    uv = Path(sys.executable).parent / "uv"
    subprocess.run([uv, "pip", "install", "--quiet", "--target", site_packages, *wanted, *kind], check=True)
    shutil.rmtree(site_packages / "bin", ignore_errors=True)  # commands, with a path of this machine in them
    (site_packages / ".lock").unlink(missing_ok=True)


def _compile(app: Path) -> None:
    """Byte code that Python takes as it is, without a look at the source (PEP 552): half of a cold start."""
    python = subprocess.run([ROOT / "tools" / "find-python", PYTHON], check=False, capture_output=True, text=True)
    if python.returncode:
        sys.exit(f"Azure runs Python {PYTHON}, so the package is compiled by it; it was not found here.")
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    subprocess.run([python.stdout.strip(), "-c", _COMPILE], cwd=app, env=environment, check=True)


def _zip(app: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(each for each in app.rglob("*") if each.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(app).as_posix(), _OLDEST_ZIP_TIME)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return target


if __name__ == "__main__":
    package = build(ROOT / "dist")
    print(f"{package.relative_to(ROOT)}: {package.stat().st_size / 1e6:.1f} MB")
