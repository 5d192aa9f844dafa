"""Subscriptions through the API: settings, tests, and what could not be delivered (req M7)."""

import json
from base64 import b64decode
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shared.application.ports.tickets import Commit
from shared.application.webhooks import deliver_webhook, webhook_entries
from shared.domain.outbox import Delivered, EventType
from shared.entrypoints.http.app import build
from tests.webhooks.conftest import SECRET
from tests.webhooks.receiver import answers


@pytest.fixture
def api(desk) -> TestClient:
    return TestClient(build(desk.services))


@pytest.fixture
def hook(desk) -> dict[str, Any]:
    """Settings with nothing wrong."""
    return {"name": "Service desk", "url": desk.url, "signing_secret": "hook", "events": ["ticket.created"]}


def test_a_created_subscription_is_found_where_the_answer_says(api, hook):
    answer = api.post("/api/subscriptions", json=hook)

    assert answer.status_code == 201, answer.text
    found = api.get(answer.headers["Location"]).json()
    assert found == answer.json()
    assert (found["enabled"], found["include_text"], found["gone_at"]) == (True, False, None)
    assert api.get("/api/subscriptions").json() == {"subscriptions": [found]}
    assert SECRET not in answer.text


def test_a_subscription_is_changed_and_deleted_by_who_has_read_it(api, hook):
    created = api.post("/api/subscriptions", json=hook)
    place, etag = created.headers["Location"], created.headers["ETag"]

    changed = api.put(place, json={**created.json(), "events": []}, headers={"If-Match": etag})

    assert (changed.status_code, changed.json()["events"]) == (200, [])
    assert api.delete(place, headers={"If-Match": etag}).status_code == 412
    assert api.delete(place, headers={"If-Match": changed.headers["ETag"]}).status_code == 204
    assert api.get(place).status_code == 404


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"url": "http://hooks.example/"}, {"$.url"}),
        ({"url": "https://user:password@hooks.example/"}, {"$.url"}),
        ({"url": "https://hooks.example/\r\nX-Evil: 1"}, {"$.url"}),
        ({"url": "https://höoks.example/"}, {"$.url"}),
        ({"url": "https://hooks.example:99999/"}, {"$.url"}),
        ({"url": "https://169.254.169.254/latest"}, {"$.url"}),
        ({"url": "https://[::ffff:169.254.169.254]/"}, {"$.url"}),
        ({"signing_secret": "no-such-secret"}, {"$.signing_secret"}),
        ({"signing_secret": "weak"}, {"$.signing_secret"}),
        ({"events": ["ticket.exploded"]}, {"$.events[0]"}),
        ({"events": ["message.refused", "mail.returned"]}, {"$.events[0]", "$.events[1]"}),
        ({"mailboxes": ["no-such-mailbox"]}, {"$.mailboxes[0]"}),
        (
            {"url": "x", "signing_secret": SECRET, "name": "", "more": 1},
            {"$.url", "$.signing_secret", "$.name", "$.more"},
        ),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(api, desk, hook, changes, paths):
    desk.secrets.values["weak"] = "whsec_c2hvcnQ="

    answer = api.post("/api/subscriptions", json=hook | changes)

    assert answer.status_code == 422
    assert {each["path"] for each in answer.json()["problems"]} == paths
    assert SECRET not in answer.text


def test_a_receiver_may_be_set_up_later(api, hook):
    assert api.post("/api/subscriptions", json=hook | {"url": "https://no-such-host.invalid/"}).status_code == 201


def test_there_are_no_more_subscriptions_than_one_event_can_have_webhooks(api, desk, hook):
    for _ in range(30):
        desk.subscribe()

    answer = api.post("/api/subscriptions", json=hook)

    assert (answer.status_code, [each["path"] for each in answer.json()["problems"]]) == (422, ["$"])


# Tests


def test_a_test_is_posted_and_signed_like_any_event(api, hook, receiver):
    place = api.post("/api/subscriptions", json=hook | {"enabled": False}).headers["Location"]

    answer = api.post(f"{place}/test")

    assert answer.json() == {"ok": True, "status": 204, "detail": "The receiver answered 204.", "advice": ""}
    (arrived,) = receiver.posts
    assert json.loads(arrived.body)["type"] == "mailroom.test"
    assert arrived.headers["webhook-signature"].startswith("v1,")


@pytest.mark.parametrize(
    ("status", "said"), [(500, "answered 500"), (302, "redirects are not followed"), (410, "no more events")]
)
def test_a_test_that_fails_says_how_and_changes_nothing(api, hook, receiver, status, said):
    receiver.behave = answers(status, Location="https://169.254.169.254/")
    place = api.post("/api/subscriptions", json=hook).headers["Location"]

    answer = api.post(f"{place}/test").json()

    assert (answer["ok"], answer["status"]) == (False, status)
    assert said in answer["detail"]
    assert api.get(place).json()["enabled"] is True


def test_a_test_that_nobody_answers_says_why(api, desk, hook):
    place = api.post("/api/subscriptions", json=hook | {"url": "https://localhost:1/"}).headers["Location"]

    answer = api.post(f"{place}/test").json()

    assert (answer["ok"], answer["status"]) == (False, None)
    assert "refuses connections" in answer["detail"]
    assert answer["advice"]


def test_nothing_is_tested_that_does_not_exist(api):
    assert api.post("/api/subscriptions/no-such-hook/test").status_code == 404


# How its receiver is doing


def test_a_receiver_that_takes_nothing_is_shown_with_its_error(api, desk, receiver):
    subscription = desk.subscribe()
    desk.ticket()
    receiver.behave = answers(503)
    (entry,) = webhook_entries(desk.services, desk.mailbox.id, desk.event())
    for _ in range(3):
        deliver_webhook(desk.services, desk.mailbox.id, entry)

    shown = api.get(f"/api/subscriptions/{subscription.id}")

    assert shown.json()["receiver"] == {
        "failures_in_a_row": 3,
        "error": "The receiver answered 503.",
        "paused_until": "2026-11-21T10:01:00Z",
    }
    assert api.get("/api/subscriptions").json()["subscriptions"] == [shown.json()]


def test_a_receiver_that_was_spared_is_asked_again_when_its_subscription_is_saved(api, desk, receiver):
    subscription = desk.subscribe()
    desk.ticket()
    receiver.behave = answers(503)
    (entry,) = webhook_entries(desk.services, desk.mailbox.id, desk.event())
    for _ in range(3):
        deliver_webhook(desk.services, desk.mailbox.id, entry)
    shown = api.get(f"/api/subscriptions/{subscription.id}").json()

    saved = api.put(f"/api/subscriptions/{subscription.id}", json=shown, headers={"If-Match": "*"})

    assert (saved.status_code, saved.json()["receiver"]["paused_until"]) == (200, None)
    receiver.behave = answers(204)
    assert deliver_webhook(desk.services, desk.mailbox.id, entry) == Delivered()


# What could not be delivered


@pytest.fixture
def failing(desk):
    """A subscription, and webhooks for it: one that failed, one that is tried again, one that was never tried."""
    subscription = desk.subscribe()
    another = desk.subscribe()
    failed = replace(
        owed(desk, EventType.TICKET_CREATED, subscription), state="failed", attempts=11, error="Not there."
    )
    waiting = replace(owed(desk, EventType.TICKET_COMMENTED, subscription), attempts=1, error="Busy.")
    new = owed(desk, EventType.TICKET_STATUS_CHANGED, subscription)
    of_another = replace(owed(desk, EventType.TICKET_CREATED, another), state="failed", attempts=11, error="Another.")
    desk.services.tickets.commit(desk.mailbox.id, Commit(outbox=[failed, waiting, new, of_another]))
    return subscription


def owed(desk, type_, subscription):
    event = desk.event(type_)
    payload = {**event.payload, "event": event.id, "subscription": subscription.id}
    return replace(event, id=f"{event.id}-{subscription.id}", kind="webhook", payload=payload)


@pytest.fixture
def queued(desk):
    """What has been put on the queue of deliveries since the test began."""
    queue = desk.services.deliveries._clients.queue("deliveries")
    queue.clear_messages()
    return lambda: [json.loads(b64decode(each.content))["entry_id"] for each in queue.receive_messages()]


def test_what_failed_is_listed_with_its_error_and_when_it_is_tried_again(api, desk, failing):
    answer = api.get(f"/api/subscriptions/{failing.id}/undelivered")

    found = {each["about"]: each for each in answer.json()["undelivered"]}
    assert found.keys() == {"ticket.created", "ticket.commented"}
    assert found["ticket.created"] == {
        "id": f"ticket.created-1-{failing.id}",
        "mailbox_id": desk.mailbox.id,
        "kind": "webhook",
        "state": "failed",
        "about": "ticket.created",
        "to": [],
        "ticket_number": 1,
        "at": "2026-11-21T10:00:00Z",
        "attempts": 11,
        "due_at": "2026-11-21T10:00:00Z",
        "error": "Not there.",
    }
    assert (found["ticket.commented"]["state"], found["ticket.commented"]["error"]) == ("waiting", "Busy.")


def test_what_failed_is_delivered_again_on_demand(api, desk, failing, queued):
    answer = api.post(f"/api/subscriptions/{failing.id}/redeliver")

    assert (answer.status_code, answer.json()) == (202, {"redelivered": 2})
    ids = queued()
    assert set(ids) == {f"ticket.{name}-1-{failing.id}" for name in ("created", "commented")}
    again = [desk.services.tickets.entry(desk.mailbox.id, each).value for each in ids]
    assert [(each.state, each.attempts, each.due_at) for each in again] == [("waiting", 0, desk.clock())] * 2
