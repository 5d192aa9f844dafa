"""Tests talk to real servers. Where one is not installed its tests skip; under CI they fail instead."""

import os

import pytest


def require(found: bool, what: str) -> None:
    if found:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is not installed, and under CI nothing may be skipped")
    pytest.skip(f"{what} is not installed")
