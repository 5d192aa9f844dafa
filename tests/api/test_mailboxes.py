"""Configured mailboxes through the API (req C8, C10)."""

import re
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shared.application.arrivals import parsed
from shared.application.intake import Intake, taking_in
from shared.application.ports.tickets import Fenced
from shared.application.services import Services
from shared.domain.message import MessageRef, RawMessage
from tests.api.desk import Desk, mail
from tests.clock import MovableClock


def created(api: TestClient, mailbox: dict[str, Any]) -> tuple[str, str]:
    answer = api.post("/api/mailboxes", json=mailbox)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"], answer.headers["ETag"]


def test_a_created_mailbox_is_found_where_the_answer_says(api: TestClient, support):
    answer = api.post("/api/mailboxes", json=support)

    assert answer.status_code == 201
    found = api.get(answer.headers["Location"])
    assert found.json() == answer.json()
    assert found.headers["ETag"] == answer.headers["ETag"]
    assert found.json()["source"]["sign_in"]["password_secret"] == "imap-password"


def test_what_is_left_out_gets_its_default(api: TestClient, support):
    mailbox = api.post("/api/mailboxes", json=support).json()

    assert mailbox["enabled"] is True
    assert mailbox["schedule"] == {"interval_seconds": 300, "cron": None, "time_zone": "UTC"}
    assert mailbox["settlement"] == {"action": "mark_read"}
    assert mailbox["source"]["tls"] == {"mode": "tls", "verify": True, "ca_certificate": None}


def test_an_id_is_made_from_the_name_in_any_script(api: TestClient, support, billing):
    first, _ = created(api, {**support, "name": "  Büro & Empfang "})
    second, _ = created(api, {**billing, "name": "サポート"})

    assert re.fullmatch(r"buro-empfang-[0-9a-f]{6}", first)
    assert re.fullmatch(r"mailbox-[0-9a-f]{6}", second)
    assert api.get(f"/api/mailboxes/{first}").json()["name"] == "Büro & Empfang"


def test_the_list_shows_every_mailbox_with_its_health(api: TestClient, support, billing):
    created(api, support)
    created(api, {**billing, "enabled": False})

    listed = api.get("/api/mailboxes").json()["mailboxes"]

    assert {each["name"]: each["health"]["level"] for each in listed} == {"Support": "ok", "Billing": "ok"}


def test_a_mailbox_is_replaced_by_who_has_read_its_current_version(api: TestClient, support):
    mailbox_id, etag = created(api, support)

    answer = api.put(f"/api/mailboxes/{mailbox_id}", json={**support, "name": "Help desk"}, headers={"If-Match": etag})

    assert answer.status_code == 200
    assert answer.json()["name"] == "Help desk"
    assert answer.headers["ETag"] != etag
    assert api.get(f"/api/mailboxes/{mailbox_id}").headers["ETag"] == answer.headers["ETag"]


def test_an_answer_can_be_sent_back_as_it_came(api: TestClient, support):
    mailbox_id, etag = created(api, support)
    mailbox = api.get(f"/api/mailboxes/{mailbox_id}").json()

    answer = api.put(f"/api/mailboxes/{mailbox_id}", json=mailbox, headers={"If-Match": etag})

    assert answer.status_code == 200
    assert answer.json()["created_at"] == mailbox["created_at"]


def test_a_replaced_mailbox_is_due_at_once(api: TestClient, services: Services, clock: MovableClock, support):
    mailbox_id, etag = created(api, support)
    services.schedule.postpone({mailbox_id: clock() + timedelta(hours=1)})

    api.put(f"/api/mailboxes/{mailbox_id}", json=support, headers={"If-Match": etag})

    assert services.schedule.get(mailbox_id).next_due_at == clock()


def test_a_change_to_an_older_version_is_refused(api: TestClient, support):
    mailbox_id, old = created(api, support)
    api.put(f"/api/mailboxes/{mailbox_id}", json={**support, "name": "Newer"}, headers={"If-Match": old})

    put = api.put(f"/api/mailboxes/{mailbox_id}", json={**support, "name": "Lost"}, headers={"If-Match": old})
    delete = api.delete(f"/api/mailboxes/{mailbox_id}", headers={"If-Match": old})

    assert (put.status_code, delete.status_code) == (412, 412)
    assert api.get(f"/api/mailboxes/{mailbox_id}").json()["name"] == "Newer"


def test_a_change_without_a_version_is_refused(api: TestClient, support):
    mailbox_id, _ = created(api, support)

    put = api.put(f"/api/mailboxes/{mailbox_id}", json=support)
    delete = api.delete(f"/api/mailboxes/{mailbox_id}")

    assert (put.status_code, delete.status_code) == (428, 428)
    assert put.json()["type"] == "urn:mailroom:if_match_is_required"


def test_what_is_not_there_is_not_found_whether_or_not_a_version_is_named(api: TestClient, support):
    put = api.put("/api/mailboxes/nobody-000000", json=support)
    delete = api.delete("/api/mailboxes/nobody-000000")

    assert (put.status_code, delete.status_code) == (404, 404)


def test_a_version_is_recognised_in_each_way_that_http_writes_it(api: TestClient, support):
    mailbox_id, etag = created(api, support)
    path = f"/api/mailboxes/{mailbox_id}"

    weakened = api.put(path, json=support, headers={"If-Match": f"W/{etag}"})
    one_of_two = api.put(path, json=support, headers={"If-Match": f'"other", {weakened.headers["ETag"]}'})
    any_version = api.put(path, json=support, headers={"If-Match": "*"})

    assert [weakened.status_code, one_of_two.status_code, any_version.status_code] == [200, 200, 200]


def test_a_deleted_mailbox_is_gone_with_its_schedule(api: TestClient, services: Services, clock: MovableClock, support):
    mailbox_id, etag = created(api, support)
    services.schedule.postpone({mailbox_id: clock()})

    answer = api.delete(f"/api/mailboxes/{mailbox_id}", headers={"If-Match": etag})

    assert answer.status_code == 204
    assert api.get(f"/api/mailboxes/{mailbox_id}").status_code == 404
    assert services.schedule.get(mailbox_id) is None


def test_a_mailbox_with_tickets_stays_because_they_are_found_by_its_prefix(api: TestClient, desks):
    support, billing = desks
    support.take_in(mail("Printer").as_bytes())
    settings = api.get(f"/api/mailboxes/{billing.id}").json()
    route = {"name": "Printers", "actions": [{"action": "route", "mailbox": support.id}]}
    api.put(f"/api/mailboxes/{billing.id}", json={**settings, "rules": [route]}, headers={"If-Match": "*"})

    refused = api.delete(f"/api/mailboxes/{support.id}", headers={"If-Match": "*"})

    assert refused.status_code == 409
    assert f"is needed by its tickets, a rule of mailbox {billing.id}" in refused.json()["detail"]
    assert api.get("/api/tickets/SUP-1").status_code == 200


def test_a_poll_that_goes_on_while_its_mailbox_is_deleted_takes_nothing_in(api: TestClient, desk: Desk):
    """It may have read the configuration some seconds ago."""
    state, etag = desk.services.tickets.state(desk.id)
    mailbox = desk.services.mailboxes.get(desk.id)
    begun = Intake(desk.services, mailbox.value, state, etag, owner="a poll")
    raw = RawMessage(MessageRef("INBOX", "1"), mail("Printer").as_bytes(), None, 0)

    assert api.delete(f"/api/mailboxes/{desk.id}", headers={"If-Match": "*"}).status_code == 204

    with closing(begun), pytest.raises(Fenced):
        begun.take_in([parsed(raw, frozenset())])


def test_a_mailbox_is_not_deleted_while_it_is_polled(api: TestClient, desk: Desk):
    with taking_in(desk.services, desk.services.mailboxes.get(desk.id).value, "test") as poll:
        poll.lease()

        assert api.delete(f"/api/mailboxes/{desk.id}", headers={"If-Match": "*"}).status_code == 412


def test_what_does_not_exist_is_not_found(api: TestClient, support):
    headers = {"If-Match": "*"}
    answers = [
        api.get("/api/mailboxes/nobody"),
        api.get("/api/mailboxes/NOT%20AN%20ID"),
        api.put("/api/mailboxes/nobody", json=support, headers=headers),
        api.delete("/api/mailboxes/nobody", headers=headers),
        *(api.post(f"/api/mailboxes/nobody/{action}") for action in ("poll", "test-connection")),
        *(api.get(f"/api/mailboxes/nobody/{part}") for part in ("runs", "quarantine", "folders")),
    ]

    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert {answer.headers["Content-Type"] for answer in answers} == {"application/problem+json"}


def test_a_poll_on_demand_is_put_on_the_queue(api: TestClient, support, queued):
    mailbox_id, _ = created(api, support)

    answer = api.post(f"/api/mailboxes/{mailbox_id}/poll")

    assert answer.status_code == 202
    (request,) = queued()
    expected = {"mailbox_id": mailbox_id, "reason": "demand", "correlation_id": answer.json()["correlation_id"]}
    assert request == {**expected, "failures": 0, "import_id": None}


def test_a_mailbox_that_is_not_enabled_is_not_polled_on_demand(api: TestClient, support, queued):
    mailbox_id, _ = created(api, {**support, "enabled": False})

    answer = api.post(f"/api/mailboxes/{mailbox_id}/poll")

    assert answer.status_code == 409
    assert queued() == []


def long_rules(count: int, length: int) -> list[dict[str, Any]]:
    actions = [{"action": "set", "field": "category", "value": "😀" * length}]
    return [{"name": f"Rule {number}", "actions": actions} for number in range(count)]


def test_a_mailbox_may_have_all_the_rules_that_are_allowed(api: TestClient, support):
    path, etag = created(api, support)
    rules = long_rules(200, 100)

    changed = api.put(f"/api/mailboxes/{path}", json=support | {"rules": rules}, headers={"If-Match": etag})

    assert changed.status_code == 200, changed.text
    assert [each["actions"] for each in api.get(f"/api/mailboxes/{path}").json()["rules"]] == [
        each["actions"] for each in rules
    ]
    shorter = api.put(f"/api/mailboxes/{path}", json=support, headers={"If-Match": changed.headers["ETag"]})
    assert shorter.status_code == 200, shorter.text
    assert api.get(f"/api/mailboxes/{path}").json()["rules"] == []


def test_settings_that_no_row_holds_are_refused_with_the_reason(api: TestClient, support):
    answer = api.post("/api/mailboxes", json=support | {"rules": long_rules(200, 1200)})

    assert answer.status_code == 422
    assert "too large" in answer.json()["detail"]
