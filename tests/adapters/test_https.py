from datetime import timedelta
from pathlib import Path

import pytest
import requests
import trustme

from local.simulators import HOME_TENANT, Simulators
from shared.adapters.https import Session, retry_after
from shared.settings import Settings


def url(simulators: Simulators) -> str:
    return f"{simulators.url}/{HOME_TENANT}/v2.0/.well-known/openid-configuration"


def test_authorities_of_the_settings_are_trusted_whatever_the_environment_names(
    simulators: Simulators, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    another = tmp_path / "another.pem"
    trustme.CA().cert_pem.write_to_path(str(another))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(another))

    with Session(settings) as session:
        assert session.get(url(simulators)).status_code == 200


def test_no_other_authority_is_trusted(simulators: Simulators, configured) -> None:
    with Session(configured(EXTRA_CA_FILE="")) as session, pytest.raises(requests.exceptions.SSLError):
        session.get(url(simulators))


def test_a_certificate_must_be_for_the_host(simulators: Simulators, settings: Settings) -> None:
    with Session(settings) as session, pytest.raises(requests.exceptions.SSLError):
        session.get(url(simulators).replace("localhost", "127.1"))


def test_proxies_of_the_environment_are_used(
    simulators: Simulators, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")

    with Session(settings) as session, pytest.raises(requests.exceptions.ProxyError):
        session.get(url(simulators))


def test_a_read_whose_connection_is_closed_is_tried_once_more(simulators: Simulators, settings: Settings) -> None:
    simulators.faults.add("entra.configuration", drop="before")

    with Session(settings) as session:
        assert session.get(url(simulators)).status_code == 200


def test_a_change_whose_connection_is_closed_is_not_tried_again(simulators: Simulators, settings: Settings) -> None:
    simulators.faults.add("entra.token", drop="after")

    with Session(settings) as session, pytest.raises(requests.ConnectionError):
        session.post(f"{simulators.url}/{HOME_TENANT}/oauth2/v2.0/token", data={})

    assert simulators.counts["entra.token"] == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("90", timedelta(seconds=90)),
        ("Sat, 21 Nov 2026 10:01:30 GMT", timedelta(seconds=90)),
        ("Sat, 21 Nov 2026 09:00:00 GMT", timedelta()),
        ("-1", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_wait_is_given_in_seconds_or_as_a_date_by_the_clock_of_the_service(
    value: str, expected: timedelta | None
) -> None:
    assert retry_after({"Date": "Sat, 21 Nov 2026 10:00:00 GMT", "Retry-After": value}) == expected


def test_a_date_to_wait_for_is_of_no_use_without_the_time_of_the_service() -> None:
    assert retry_after({"Retry-After": "Sat, 21 Nov 2026 10:01:30 GMT"}) is None
