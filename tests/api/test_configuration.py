"""All configuration as one document: export, plan and apply (req O11)."""

from dataclasses import fields, replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from shared.application.configuration import Kind
from shared.application.exchange import KINDS
from shared.application.services import Services
from shared.domain.errors import StoreUnavailable
from shared.domain.installation import INSTALLATION_ID
from shared.entrypoints.http.app import build
from tests.api.conftest import IMAP
from tests.api.desk import mail
from tests.clock import MovableClock
from tests.emptied import empty

SMTP = {
    "kind": "smtp",
    "host": "smtp.example.com",
    "sign_in": {"kind": "password", "account": "support", "password_secret": "imap-password"},
}
NOTHING = {"schema_version": 1, **{section: [] for section in KINDS if section != "installation"}}


@pytest.fixture
def configured(api: TestClient, support: dict[str, Any], clock: MovableClock) -> dict[str, str]:
    """Something of each kind, made through the API; their ids by their paths."""

    def made(path: str, data: dict[str, Any]) -> str:
        answer = api.post(f"/api/{path}", json=data)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    api.put("/api/secrets/hook-secret", json={"value": f"whsec_{'QUFB' * 8}"}).raise_for_status()
    ids = {"ticket-types": made("ticket-types", {"name": "Complaint", "fields": [{"name": "order", "label": "Order"}]})}
    ids["senders"] = made("senders", {"name": "Post", "from_address": "support@example.com", "transport": SMTP})
    ids["mailboxes"] = made("mailboxes", {**support, "ticket_types": [ids["ticket-types"]]})
    rule = {"name": "All", "sender_id": ids["senders"], "conditions": [{"field": "tag", "value": "vip", "not": True}]}
    ids["outgoing-rules"] = made("outgoing-rules", rule)
    hook = {"name": "Chat", "url": "https://chat.example.com/hook", "signing_secret": "hook-secret"}
    ids["subscriptions"] = made("subscriptions", {**hook, "mailboxes": [ids["mailboxes"]]})
    api.post(f"/api/senders/{ids['senders']}/make-primary").raise_for_status()
    settings = api.get("/api/installation")
    changed = {**settings.json(), "name": "Post room"}
    api.put("/api/installation", json=changed, headers={"If-Match": settings.headers["ETag"]}).raise_for_status()
    clock.advance(minutes=1)
    return ids


def exported(api: TestClient, **query: Any) -> dict[str, Any]:
    answer = api.get("/api/configuration", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def plan(api: TestClient, document: object) -> dict[str, Any]:
    answer = api.post("/api/configuration/plan", json=document)
    assert answer.status_code == 200, answer.text
    return answer.json()


def apply(api: TestClient, document: object, digest: str) -> Response:
    return api.post("/api/configuration/apply", params={"digest": digest}, json=document)


def applied(api: TestClient, document: object) -> list[tuple[str, str]]:
    answer = apply(api, document, plan(api, document)["digest"])
    assert answer.status_code == 200, answer.text
    return [(each["action"], each["section"]) for each in answer.json()["steps"]]


def problems(api: TestClient, document: object) -> dict[str, str]:
    answer = api.post("/api/configuration/plan", json=document)
    assert answer.status_code == 422, answer.text
    return {each["path"]: each["message"] for each in answer.json()["problems"]}


def mailbox(document_id: str, **settings: Any) -> dict[str, Any]:
    sign_in = {"kind": "password", "account": document_id, "password_secret": "imap-password"}
    address = f"{document_id}@example.com"
    source = {**IMAP, "sign_in": sign_in}
    return {"id": document_id, "name": document_id, "address": address, "source": source, **settings}


def test_an_export_changes_nothing_where_it_came_from(api: TestClient, configured):
    document = exported(api)

    assert [section for section in KINDS if not document[section]] == ["templates"]
    assert plan(api, document)["steps"] == []


def test_an_export_makes_the_same_configuration_elsewhere(api: TestClient, services: Services, configured):
    document = exported(api)
    empty(services)

    applied(api, document)

    assert exported(api) == document
    assert api.get("/api/senders").json()["senders"][0]["primary"] is True
    assert services.mailboxes.all()[0].value.created_at == services.clock(), "no mail is taken in that was there before"


def test_an_export_has_no_value_of_a_secret(api: TestClient, configured):
    assert "whsec_" not in str(exported(api))
    assert "open-sesame" not in str(exported(api))


def test_a_plan_tells_what_is_added_changed_and_removed(api: TestClient, configured, billing):
    document = exported(api)
    document["mailboxes"][0]["name"] = "Help"
    document["mailboxes"].append({"id": "billing", **billing})
    document["outgoing_rules"] = []

    planned = plan(api, document)

    steps = [(each["action"], each["section"], each["id"], each["name"]) for each in planned["steps"]]
    assert steps == [
        ("change", "mailboxes", configured["mailboxes"], "Help"),
        ("add", "mailboxes", "billing", "Billing"),
        ("remove", "outgoing_rules", configured["outgoing-rules"], "All"),
    ]
    assert (planned["steps"][0]["before"], planned["steps"][0]["after"]) == ({"name": "Support"}, {"name": "Help"})
    assert exported(api) != document, "a plan changes nothing"


def test_what_others_name_is_there_first_and_goes_last(api: TestClient, services: Services, configured):
    document = exported(api)
    removed = applied(api, NOTHING)
    added = applied(api, document)

    sections = ["ticket_types", "senders", "mailboxes", "outgoing_rules", "subscriptions"]
    assert removed == [("remove", section) for section in reversed(sections)]
    assert added == [("add", section) for section in sections]


def test_a_sender_that_a_section_left_out_still_names_cannot_go(api: TestClient, configured):
    found = problems(api, {"schema_version": 1, "senders": []})

    assert found.keys() == {"$.senders"}
    assert f"is needed by outgoing rule {configured['outgoing-rules']}" in found["$.senders"]


def test_a_mailbox_with_tickets_cannot_be_left_out(api: TestClient, desks):
    support, _ = desks
    support.take_in(mail("Printer").as_bytes())

    planned = api.post("/api/configuration/plan", json={"schema_version": 1, "mailboxes": []})

    assert planned.status_code == 422
    assert planned.json()["problems"] == [
        {"path": "$.mailboxes", "message": f"the mailbox {support.id} is needed by its tickets"}
    ]


def test_sections_that_are_left_out_stay_as_they_are(api: TestClient, configured):
    document = exported(api)

    assert plan(api, {"schema_version": 1, "outgoing_rules": document["outgoing_rules"]})["steps"] == []


def test_a_plan_is_void_once_the_configuration_has_changed(api: TestClient, configured, billing):
    document = {**exported(api), "outgoing_rules": []}
    digest = plan(api, document)["digest"]
    api.post("/api/mailboxes", json=billing).raise_for_status()

    assert apply(api, document, digest).status_code == 412
    assert len(exported(api)["outgoing_rules"]) == 1


def test_a_plan_is_void_for_another_document(api: TestClient, configured):
    document = exported(api)

    assert apply(api, {**document, "outgoing_rules": []}, plan(api, document)["digest"]).status_code == 412


def test_what_broke_off_is_completed_by_planning_and_applying_again(api: TestClient, services: Services, billing):
    document = {**NOTHING, "ticket_types": [{"id": "first", "name": "First"}], "mailboxes": [{"id": "bill", **billing}]}

    class Broken:
        def __getattr__(self, name: str) -> Any:
            return getattr(services.mailboxes, name)

        def add(self, document: object) -> str:
            raise StoreUnavailable("storage answered 503")

    broken = TestClient(build(replace(services, mailboxes=Broken())))

    assert apply(broken, document, plan(broken, document)["digest"]).status_code == 503
    assert applied(api, document) == [("add", "mailboxes")]
    assert plan(api, document)["steps"] == []


def test_what_is_applied_is_on_record_one_by_one(api: TestClient, configured):
    document = exported(api)
    document["mailboxes"][0]["name"] = "Help"
    applied(api, document)

    entry = api.get("/api/audit", params={"id": configured["mailboxes"]}).json()["entries"][0]
    assert (entry["action"], entry["before"], entry["after"]) == ("changed", {"name": "Support"}, {"name": "Help"})


def test_contacts_come_along_where_they_are_asked_for_and_none_is_removed(api: TestClient):
    for name in ("ann", "ben"):
        api.put(f"/api/contacts/{name}@example.com", json={"groups": ["Network"]}).raise_for_status()
    document = exported(api, contacts=True)
    api.delete("/api/contacts/ann@example.com")
    api.put("/api/contacts/cid@example.com", json={}).raise_for_status()

    assert "contacts" not in exported(api)
    assert plan(api, document)["contacts"] == {"added": 1, "changed": 0, "unchanged": 1}
    applied(api, document)
    assert [each["address"] for each in exported(api, contacts=True)["contacts"]] == [
        f"{name}@example.com" for name in ("ann", "ben", "cid")
    ]


def test_a_document_that_cannot_work_is_refused_with_all_that_is_wrong(api: TestClient):
    document = {
        "schema_version": 1,
        "mailboxen": [],
        "ticket_types": {},
        "contacts": "all of them",
    }

    assert problems(api, document) == {
        "$.mailboxen": "is not known here",
        "$.ticket_types": "must be a list",
        "$.contacts": "must be a list",
    }


def test_each_problem_of_each_part_is_told_at_its_place(api: TestClient):
    secret = {"kind": "password", "account": "x", "password_secret": "hunter2!", "password": "hunter2!"}
    document = {
        **NOTHING,
        "mailboxes": [
            mailbox("first", ticket_prefix="SUP"),
            mailbox("second", ticket_prefix="SUP", colour="red"),
            mailbox("third", ticket_prefix="THI", source={**IMAP, "sign_in": secret}),
            mailbox("third", ticket_prefix="FOU", created_at="2026-01-01T00:00:00Z"),
            {key: value for key, value in mailbox("no-id", ticket_prefix="NOI").items() if key != "id"},
            17,
        ],
        "outgoing_rules": [{"id": "all", "name": "All", "sender_id": "nobody"}],
        "contacts": [{"address": "nobody"}],
    }

    found = problems(api, document)

    assert found["$.mailboxes[1].ticket_prefix"] == "is already used by mailbox first"
    assert found["$.mailboxes[1].colour"] == "is not known here"
    assert found["$.mailboxes[2].source.sign_in.password"] == "is not known here"
    assert "never the secret itself" in found["$.mailboxes[2].source.sign_in.password_secret"]
    assert found["$.mailboxes[3].id"] == "is there twice"
    assert found["$.mailboxes[3].created_at"] == "is not known here"
    assert found["$.mailboxes[4].id"] == "is missing"
    assert found["$.mailboxes[5]"] == "must be an object"
    assert found["$.outgoing_rules[0].sender_id"] == "is no sender"
    assert "$.contacts[0].address" in found
    assert "hunter2" not in str(found)
    assert exported(api) == NOTHING, "nothing is half applied"


def test_two_mailboxes_of_one_prefix_are_refused(api: TestClient):
    two = [mailbox("first", ticket_prefix="SUP"), mailbox("second", ticket_prefix="SUP")]

    assert problems(api, {"schema_version": 1, "mailboxes": two}) == {
        "$.mailboxes[0].ticket_prefix": "is already used by mailbox second",
        "$.mailboxes[1].ticket_prefix": "is already used by mailbox first",
    }


def test_mailboxes_can_change_their_places(api: TestClient):
    before = [mailbox("first", ticket_prefix="SUP"), mailbox("second", ticket_prefix="BIL", enabled=False)]
    after = [{**before[0], "name": "second"}, {**before[1], "name": "first"}]
    applied(api, {"schema_version": 1, "mailboxes": before})

    applied(api, {"schema_version": 1, "mailboxes": after})

    assert [each["name"] for each in exported(api)["mailboxes"]] == ["second", "first"]


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (2, "is that of a newer Mailroom; this one knows 1"),
        (None, "must be 1"),
        (True, "must be 1"),
        ("1", "must be 1"),
    ],
)
def test_a_document_of_another_version_is_refused(api: TestClient, version: object, message: str):
    assert problems(api, {"schema_version": version}) == {"$.schema_version": message}


@pytest.mark.parametrize("document", [[], "text", 1])
def test_what_is_no_document_is_refused(api: TestClient, document: object):
    assert "$" in problems(api, document)


def test_installation_settings_are_an_object_without_id(api: TestClient):
    assert applied(api, {"schema_version": 1, "installation": {"name": "Post room"}}) == [("add", "installation")]
    assert exported(api)["installation"]["name"] == "Post room"
    assert problems(api, {"schema_version": 1, "installation": {"id": INSTALLATION_ID, "name": 1}}) == {
        "$.installation.id": "is not known here",
        "$.installation.name": "must be text",
    }


def test_every_kind_of_configuration_is_in_the_document(services: Services):
    stores = {field.name for field in fields(services) if "DocumentStore" in str(field.type)}

    work = {"announcements", "erasures", "imports"}
    assert set(KINDS) == stores - work
    assert all(isinstance(kind, Kind) for kind in KINDS.values())
    assert all(kind.store(services) is getattr(services, section) for section, kind in KINDS.items())
