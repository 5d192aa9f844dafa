"""What providers refuse is told by the tables of `refusals.toml`."""

import tomllib
from pathlib import Path

import pytest

from shared.adapters import refusals
from shared.domain.errors import AppError, SourceMisbehaved, SourceUnavailable, Throttled

TABLES = tomllib.loads(Path(refusals.__file__).with_suffix(".toml").read_text("utf-8"))
TEXTS = ("advice", "sign_in", "sign_in_to_send")


@pytest.mark.parametrize("table", [name for name in TABLES if name not in TEXTS])
def test_every_code_stands_for_an_error_and_no_name_of_an_advice_is_shown(table: str) -> None:
    for code, meaning in refusals.meanings(table).items():
        error = meaning.error("It is refused.")
        assert isinstance(error, AppError), code
        assert not error.advice or " " in error.advice, code


@pytest.mark.parametrize("kind", [SourceUnavailable, Throttled, SourceMisbehaved])
def test_what_goes_wrong_at_the_provider_has_an_advice_whoever_tells_of_it(kind: type[AppError]) -> None:
    assert kind("It is down.").advice
    assert kind("It is down.", advice="Start it.").advice == "Start it."


def test_every_advice_is_given_by_its_name() -> None:
    rows = [row for name, table in TABLES.items() if name != "advice" for row in table.values()]
    used = {row if isinstance(row, str) else row[-1] for row in rows}
    code = "".join(path.read_text("utf-8") for path in Path(refusals.__file__).parent.rglob("*.py"))

    assert [name for name in TABLES["advice"] if name not in used and f'advice("{name}")' not in code] == []
