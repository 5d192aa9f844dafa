from pathlib import Path

import pytest

CORPUS = Path(__file__).parents[1] / "corpus"


@pytest.fixture(scope="session")
def corpus() -> dict[str, bytes]:
    """The messages of the corpus, by name."""
    return {path.stem: path.read_bytes() for path in sorted(CORPUS.glob("*.eml"))}
