"""Names, types and required properties against the published resource types, where their checker is at hand."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKER = ROOT.parent / "shared" / "bicep" / "check.py"


@pytest.mark.skipif(not CHECKER.exists(), reason="the checker of resource types is not beside this project")
def test_every_property_exists_in_the_published_types():
    checked = subprocess.run([sys.executable, CHECKER, ROOT / "infra"], check=False, capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout
