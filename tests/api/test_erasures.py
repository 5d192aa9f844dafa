"""Whoever runs Mailroom counts and erases what is stored about a person."""

from fastapi.testclient import TestClient

from tests.api.desk import Desk, mail

ASKED = {"address": "ann@customer.example"}


def test_a_person_is_counted_then_erased_and_the_record_tells_of_it(api: TestClient, desk: Desk):
    desk.take_in(mail("Mine", From=ASKED["address"]).as_bytes())

    planned = api.post("/api/erasures", json=ASKED)
    erased = api.post("/api/erasures", json={**ASKED, "plan": False})

    assert (planned.status_code, planned.json()["counts"]["tickets"], planned.json()["finished_at"]) == (200, 1, None)
    assert (erased.status_code, erased.json()["counts"]["tickets"]) == (200, 1)
    assert api.get("/api/erasures").json()["erasures"] == [erased.json()]
    assert api.get(f"/api/erasures/{erased.json()['id']}").json() == erased.json()
    assert ASKED["address"] not in erased.text + api.get("/api/tickets").text + api.get("/api/audit").text


def test_a_record_that_there_is_not_is_not_found(api: TestClient):
    assert api.get("/api/erasures/erasure-none").status_code == 404


def test_what_is_wrong_with_a_request_is_told(api: TestClient):
    answer = api.post("/api/erasures", json={"address": "nobody", "plans": True})

    assert answer.status_code == 422
    assert {each["path"] for each in answer.json()["problems"]} == {"$.address", "$.plans"}
