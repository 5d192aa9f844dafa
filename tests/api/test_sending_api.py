"""Templates, outgoing rules and the outbox through the API (req M4, M5)."""

import pytest

from shared.application.ports.tickets import Commit
from shared.domain.outbox import OutboxEntry

TEMPLATE = {
    "name": "Our own",
    "kind": "acknowledgement",
    "language": "en",
    "subject": "We have {{ ticket.subject }}",
    "text": "Dear {{ recipient.name }}",
}


@pytest.fixture
def template(api):
    created = api.post("/api/templates", json=TEMPLATE)
    yield created
    path = created.headers["Location"]
    api.delete(path, headers={"If-Match": api.get(path).headers["ETag"]})


def test_a_template_is_kept(api, template):
    assert template.status_code == 201
    assert api.get(template.headers["Location"]).json()["text"] == "Dear {{ recipient.name }}"
    assert template.json()["id"] in [each["id"] for each in api.get("/api/templates").json()["templates"]]


def test_a_template_that_cannot_work_is_refused_with_each_line_and_reason(api):
    refused = api.post("/api/templates", json=TEMPLATE | {"text": "Hello\n{{ ticket.nothing }}", "subject": "{% if %}"})

    problems = {each["path"]: each["message"] for each in refused.json()["problems"]}
    assert refused.status_code == 422
    assert problems.keys() == {"$.subject", "$.text"}
    assert problems["$.text"].startswith("line 2: ")


def test_a_kind_of_message_has_one_template_in_a_language(api, template):
    second = api.post("/api/templates", json=TEMPLATE | {"name": "Another"})

    assert [each["path"] for each in second.json()["problems"]] == ["$.kind"]


def test_a_template_is_for_mailboxes_that_exist(api):
    refused = api.post("/api/templates", json=TEMPLATE | {"mailbox_id": "nowhere"})

    assert [each["path"] for each in refused.json()["problems"]] == ["$.mailbox_id"]


def test_a_template_can_be_looked_at_before_it_is_saved(api):
    preview = api.post("/api/templates/preview", json=TEMPLATE)

    assert preview.json()["subject"] == "We have The printer prints only stripes"
    assert preview.json()["text"] == "Dear Ann Smith\n"
    assert api.post("/api/templates/preview", json=TEMPLATE | {"text": "{{ x"}).status_code == 422


def test_an_outgoing_rule_names_a_sender(api):
    rule = {"name": "Rule", "sender_id": "nobody", "conditions": [{"field": "group", "value": "x", "not": True}]}

    refused = api.post("/api/outgoing-rules", json=rule)

    assert [each["path"] for each in refused.json()["problems"]] == ["$.sender_id"]


def test_a_mailbox_names_a_sender_that_exists(api, support):
    refused = api.post("/api/mailboxes", json=support | {"notices": {"sender_id": "nobody"}})

    assert "$.notices.sender_id" in [each["path"] for each in refused.json()["problems"]]


def test_what_is_owed_can_be_seen_tried_again_and_dropped(api, services, support):
    mailbox_id = api.post("/api/mailboxes", json=support).json()["id"]
    at = services.clock().isoformat()
    payload = {"notice": "reply", "to": [["ann@example.org", "Ann"]], "cc": [], "ticket": 1, "at": at}
    failed = OutboxEntry("mail-1", "email", services.clock(), payload, 3, "failed", "It was refused.")
    busy = OutboxEntry("mail-2", "email", services.clock(), payload)
    services.tickets.commit(mailbox_id, Commit(outbox=[busy, failed]))

    (first, second) = api.get(f"/api/outbox?mailbox={mailbox_id}").json()["entries"]
    again = api.post(f"/api/outbox/{mailbox_id}/mail-1/retry")
    after = services.tickets.entry(mailbox_id, "mail-1").value
    dropped = api.delete(f"/api/outbox/{mailbox_id}/mail-2")

    assert (first["id"], first["state"], first["to"], first["error"]) == (
        "mail-1",
        "failed",
        ["ann@example.org"],
        "It was refused.",
    )
    assert second["id"] == "mail-2"
    assert (again.status_code, after.state, after.attempts) == (202, "waiting", 0)
    assert (dropped.status_code, services.tickets.entry(mailbox_id, "mail-2")) == (204, None)
    assert api.delete(f"/api/outbox/{mailbox_id}/mail-2").status_code == 404
