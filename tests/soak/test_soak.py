"""Mailboxes in all states for some seconds, with storage that fails and workers that are killed."""

import json
import subprocess
import sys

import pytest

QUICK = [
    "--mailboxes",
    "40",
    "--speed",
    "60",
    "--seconds",
    "12",
    "--hidden",
    "8",
    "--threads",
    "6",
    "--faults",
    "--kill",
    "3",
]


@pytest.mark.exhaustive
@pytest.mark.timeout(450)  # a mailbox whose server hangs must have its poll too
def test_nothing_is_lost_or_doubled_and_counts_add_up(tmp_path, azurite):
    figures = tmp_path / "soak.json"

    ended = subprocess.run(
        [sys.executable, "-m", "bench.soak", *QUICK, "--figures", figures],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads(figures.read_text())
    assert (found["lost"], found["doubled"], found["runs_that_do_not_add_up"]) == (0, 0, 0)
    assert found["messages"] > 20
