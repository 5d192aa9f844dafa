from pathlib import Path

import pytest

from shared.domain.kinds import MAX_SERVERS, Kind

PAGE = Path("docs/kinds.md").read_text()


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_is_explained(kind):
    assert f"\n| `{kind}` | " in PAGE


def test_the_limit_of_servers_is_the_one_that_counts():
    assert f"more than {MAX_SERVERS}\nservers" in PAGE
