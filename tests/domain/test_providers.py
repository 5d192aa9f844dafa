"""Presets are the beginnings of configurations that work, and ways in that are closed are told (req C7)."""

from copy import deepcopy

import pytest
from pydantic import TypeAdapter

from shared.domain.providers import BASIC_AT_MICROSOFT, EWS_ONLINE, PRESETS, retirement
from shared.domain.sources import Source

SOURCE = TypeAdapter(Source)
VALUES = {
    "host": "mail.example.com",
    "account": "ann@example.com",
    "tenant": "example.com",
    "client_id": "22222222-2222-4222-8222-222222222222",
}
PASSWORD = {"kind": "password", "account": "ann", "password_secret": "secret"}


def filled_in(preset):
    source = deepcopy(preset.source)
    for path in preset.to_fill_in:
        *parents, last = path.removeprefix("$.").split(".")
        place = source
        for parent in parents:
            place = place[parent]
        place[last] = VALUES.get(last, "secret-name")
    return source


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.id)
def test_a_preset_that_is_filled_in_is_a_source_that_works(preset):
    source = SOURCE.validate_python(filled_in(preset))

    assert retirement(source) == ""


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.id)
def test_a_preset_asks_for_nothing_that_is_not_needed(preset):
    for path in preset.to_fill_in:
        *parents, last = path.removeprefix("$.").split(".")
        source = filled_in(preset)
        place = source
        for parent in parents:
            place = place[parent]
        del place[last]
        with pytest.raises(ValueError, match="missing"):
            SOURCE.validate_python(source)


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ({"kind": "imap", "host": "outlook.office365.com", "sign_in": PASSWORD}, BASIC_AT_MICROSOFT),
        ({"kind": "pop3", "host": "pop-mail.outlook.com", "sign_in": PASSWORD}, BASIC_AT_MICROSOFT),
        ({"kind": "imap", "host": "outlook.com.example.com", "sign_in": PASSWORD}, ""),
        ({"kind": "ews", "server": "outlook.office365.com", "sign_in": PASSWORD}, EWS_ONLINE),
        ({"kind": "ews", "server": "mail.example.com", "sign_in": PASSWORD}, ""),
        ({"kind": "ews", "sign_in": PASSWORD}, ""),
    ],
)
def test_a_way_in_that_is_closed_is_told(source, advice):
    assert retirement(SOURCE.validate_python(source)) == advice
