"""People ask for older mail, see how far its import is, start it and cancel it (req D6)."""

from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shared.application.imports import work
from shared.application.ports.platform import PollRequest
from tests.api.desk import Desk, mail

ALL = {"since": "2020-01-01T00:00:00Z", "until": "2026-11-21T09:30:00Z"}


@pytest.fixture
def imports(desk: Desk) -> str:
    return f"/api/mailboxes/{desk.id}/imports"


def go_on(desk: Desk, queued: Any) -> None:
    """Have the function that reads the queue do what is on it."""
    services = replace(desk.services, open_source=desk.provider.open)
    for message in queued():
        work(services, PollRequest(**message))


def test_an_import_is_counted_started_and_followed_through_the_api(api: TestClient, desk: Desk, imports: str, queued):
    desk.provider.deliver(mail("Old").as_bytes(), mail("Older").as_bytes())
    created = api.post(imports, json=ALL)
    go_on(desk, queued)
    planned = api.get(created.headers["Location"]).json()

    started = api.post(f"{created.headers['Location']}/start")
    go_on(desk, queued)

    assert (created.status_code, created.json()["state"]) == (202, "counting")
    assert (planned["state"], planned["found"], planned["since"]) == ("planned", 2, ALL["since"])
    assert (started.status_code, started.json()["state"]) == (202, "running")
    (done,) = api.get(imports).json()["imports"]
    assert (done["state"], done["listed"]) == ("done", 2)


def test_an_import_is_cancelled_once(api: TestClient, imports: str, queued):
    location = api.post(imports, json=ALL).headers["Location"]

    assert api.post(f"{location}/cancel").json()["state"] == "cancelled"
    assert api.post(f"{location}/cancel").status_code == 409
    assert api.post(f"{location}/start").status_code == 409


def test_a_second_import_is_refused_while_one_is_under_way(api: TestClient, imports: str, queued):
    api.post(imports, json=ALL)

    assert api.post(imports, json=ALL).status_code == 409


def test_the_future_cannot_be_imported(api: TestClient, imports: str, queued):
    answer = api.post(imports, json={"since": "2030-01-01T00:00:00Z", "until": "2029-01-01T00:00:00Z", "folders": []})

    assert answer.status_code == 422
    assert {each["path"] for each in answer.json()["problems"]} == {"$.folders"}
    answer = api.post(imports, json={"since": "2030-01-01T00:00:00Z", "until": "2029-01-01T00:00:00Z"})
    assert {each["path"] for each in answer.json()["problems"]} == {"$.since", "$.until"}


def test_an_import_is_found_in_its_own_mailbox_only(api: TestClient, desks: tuple[Desk, Desk], queued):
    mine, other = (f"/api/mailboxes/{desk.id}/imports" for desk in desks)
    made = api.post(mine, json=ALL).json()["id"]

    assert api.get(f"{other}/{made}").status_code == 404
    assert api.get(f"{mine}/nothing").status_code == 404
    assert api.get("/api/mailboxes/nobody/imports").status_code == 404


def test_who_asked_for_an_import_is_on_record(api: TestClient, imports: str, queued):
    made = api.post(imports, json=ALL).json()["id"]
    api.post(f"{imports}/{made}/cancel")

    entries = api.get("/api/audit", params={"kind": "import", "id": made}).json()["entries"]

    assert {each["action"] for each in entries} == {"created", "cancelled"}
