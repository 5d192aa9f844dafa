"""Who changed what, and when (req O6)."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shared.application.continuations import Continuation
from shared.application.exchange import KINDS
from shared.application.ports.tickets import Commit
from shared.application.services import Services
from shared.domain.audit import AuditEntry, AuditOutcome, differences
from shared.domain.errors import StoreUnavailable
from shared.domain.outbox import EventType, event
from shared.entrypoints.http.app import build
from tests.api.desk import Desk, mail
from tests.clock import MovableClock

RECORDED = {
    *("make_primary_sender", "retry_outbox_entry", "drop_outbox_entry", "redeliver", "apply_configuration"),
    *("retry_quarantine", "correct_quarantined", "retry_quarantined", "drop_quarantined"),
    *("create_import", "start_import", "cancel_import", "create_announcement", "cancel_announcement"),
    *("change_ticket", "add_comment", "merge_ticket", "link_ticket", "unlink_ticket"),
    *("put_contact", "delete_contact", "import_contacts", "put_secret", "start_sign_in", "erase"),
}
CHANGING_NOTHING = {
    *("test_connection", "test_unsaved_connection", "test_sender", "test_unsaved_sender", "test_subscription"),
    *("plan_configuration", "preview_template", "explain_messages", "dry_run_mailbox", "dry_run_unsaved"),
    *("poll_mailbox", "hand_in_messages"),
}
"""The last two take mail in, as polls do all the time."""

KIM = {"x-ms-client-principal-name": "kim@example.com"}


def audit(api: TestClient, **query: Any) -> list[dict[str, Any]]:
    answer = api.get("/api/audit", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["entries"]


def test_a_change_of_configuration_is_on_record_with_who_when_and_what(api: TestClient, clock: MovableClock, support):
    created = api.post("/api/mailboxes", json=support, headers=KIM)
    path, version = f"/api/mailboxes/{created.json()['id']}", {"If-Match": created.headers["ETag"]}
    clock.advance(minutes=1)
    api.put(path, json={**support, "name": "Help"}, headers={**version, **KIM})
    clock.advance(minutes=1)
    api.delete(path, headers={"If-Match": "*"})

    deleted, changed, made = audit(api)

    assert [each["action"] for each in (made, changed, deleted)] == ["created", "changed", "deleted"]
    assert {each["subject"] for each in (made, changed, deleted)} == {created.json()["id"]}
    assert [each["by"] for each in (made, changed, deleted)] == ["kim@example.com", "kim@example.com", "function key"]
    assert (changed["before"], changed["after"]) == ({"name": "Support"}, {"name": "Help"})
    assert made["before"] == deleted["after"] == {}
    assert made["after"]["source.host"] == deleted["before"]["source.host"] == "mail.example.com"
    assert {each["outcome"] for each in (made, changed, deleted)} == {"made"}


def test_a_secret_is_on_record_by_its_name_alone(api: TestClient):
    api.put("/api/secrets/imap-password", json={"value": "open-sesame"})

    (entry,) = audit(api)

    assert (entry["kind"], entry["subject"]) == ("secret", "imap-password")
    assert entry["after"] == {"value": "***", "expires_at": None}


def test_a_contact_is_on_record_without_what_is_personal(api: TestClient, clock: MovableClock):
    api.put("/api/contacts/ann@example.com", json={"name": "Ann", "company": "ACME"})
    clock.advance(minutes=1)
    api.put("/api/contacts/ann@example.com", json={"name": "Anna", "company": "Example"})
    clock.advance(minutes=1)
    api.delete("/api/contacts/ann@example.com")

    entries = audit(api, kind="contact")

    assert [each["action"] for each in reversed(entries)] == ["created", "changed", "deleted"]
    assert entries[1]["before"] == {"name": "***", "company": "ACME"}
    assert "ann" not in str(entries).lower().replace("example", "")


def test_a_file_of_contacts_is_one_entry_and_a_plan_none(api: TestClient):
    people = [{"address": "ann@example.com"}, {"address": "ben@example.com"}]
    api.post("/api/contacts/import?plan=true", json=people)
    api.post("/api/contacts/import", json=people)
    api.post("/api/contacts/import", json=people)

    (entry,) = audit(api)

    assert (entry["action"], entry["after"]) == ("imported", {"added": 2, "changed": 0, "unchanged": 0})


def test_what_people_do_to_a_ticket_is_on_record(api: TestClient, desk: Desk, clock: MovableClock):
    desk.take_in(mail().as_bytes())
    api.patch("/api/tickets/SUP-1", json={"priority": "high", "subject": "Ann's"}, headers={**KIM, "If-Match": "*"})
    clock.advance(minutes=1)
    api.post("/api/tickets/SUP-1/comments", json={"kind": "internal", "text": "Why?"}, headers={"If-Match": "*"})

    commented, changed = audit(api, id="SUP-1")

    assert changed["by"] == "kim@example.com"
    assert changed["after"] == {"priority": "high", "subject": "***"}
    assert commented["after"] == {"comment.seq": 2, "comment.kind": "internal"}


def test_a_change_that_is_refused_is_on_record_as_such(
    api: TestClient, services: Services, clock: MovableClock, support
):
    created = api.post("/api/mailboxes", json=support)
    mailbox = services.mailboxes.get(created.json()["id"])
    assert mailbox
    clock.advance(minutes=1)
    stale = _Stale(services.mailboxes, mailbox.value.model_copy(update={"name": "Faster"}))
    late = TestClient(build(replace(services, mailboxes=stale)))

    answer = late.delete(f"/api/mailboxes/{mailbox.value.id}", headers={"If-Match": "*"})

    assert answer.status_code == 412
    assert [each["outcome"] for each in audit(api)] == ["refused", "made"]


def test_a_change_that_broke_off_stays_begun(api: TestClient, services: Services, support):
    class Broken:
        def __getattr__(self, name: str) -> Any:
            return getattr(services.mailboxes, name)

        def add(self, document: object) -> str:
            raise StoreUnavailable("storage answered 503")

    broken = TestClient(build(replace(services, mailboxes=Broken())))

    assert broken.post("/api/mailboxes", json=support).status_code == 503

    assert [each["outcome"] for each in audit(api)] == ["begun"]


def test_what_is_made_is_made_where_the_record_cannot_say_so(api: TestClient, services: Services, support):
    class Forgetful:
        def add(self, entry: AuditEntry) -> None:
            services.audit.add(entry)

        def settle(self, entry: AuditEntry, outcome: AuditOutcome) -> None:
            raise StoreUnavailable("storage answered 503")

    forgetful = TestClient(build(replace(services, audit=Forgetful())))

    assert forgetful.post("/api/mailboxes", json=support).status_code == 201
    assert [each["outcome"] for each in audit(api)] == ["begun"]


def test_no_change_is_made_that_cannot_be_put_on_record(api: TestClient, services: Services, support):
    class Full:
        def add(self, entry: AuditEntry) -> None:
            raise StoreUnavailable("storage answered 503")

    unrecorded = TestClient(build(replace(services, audit=Full())))

    assert unrecorded.post("/api/mailboxes", json=support).status_code == 503
    assert api.get("/api/mailboxes").json() == {"mailboxes": []}


def test_it_is_filtered_and_paged_newest_first_across_months(api: TestClient, clock: MovableClock):
    start = clock.now
    for index in range(5):
        api.put(f"/api/secrets/name-{index}", json={"value": "open-sesame"}, headers=KIM if index % 2 else {})
        clock.advance(days=20)

    first = api.get("/api/audit", params={"limit": 2}).json()
    pages = [first]
    while pages[-1]["continuation"]:
        query = {"limit": 2, "continuation": pages[-1]["continuation"]}
        pages.append(api.get("/api/audit", params=query).json())

    listed = [each["subject"] for page in pages for each in page["entries"]]
    assert listed == ["name-4", "name-3", "name-2", "name-1", "name-0"]
    assert len(first["entries"]) == 2
    assert [each["subject"] for each in audit(api, who="kim@example.com")] == ["name-3", "name-1"]
    assert [each["subject"] for each in audit(api, id="name-2")] == ["name-2"]
    assert audit(api, kind="mailbox") == []
    since, until = start + timedelta(days=20), start + timedelta(days=60)
    within = audit(api, since=since.isoformat(), until=until.isoformat())
    assert [each["subject"] for each in within] == ["name-2", "name-1"]


def test_it_goes_on_with_a_month_that_storage_names_no_entry_of(api: TestClient):
    api.put("/api/secrets/late", json={"value": "open-sesame"})
    place = Continuation[tuple[str, str | None]](tuple[str, str | None]).write(("0", None))

    assert [each["subject"] for each in audit(api, continuation=place)] == ["late"]


def test_times_are_understood_in_any_zone_at_the_turn_of_a_month_too(api: TestClient, clock: MovableClock):
    clock.now = datetime(2026, 11, 30, 22, 45, tzinfo=UTC)
    api.put("/api/secrets/late", json={"value": "open-sesame"})

    assert len(audit(api, since="2026-12-01T00:30:00+02:00")) == 1
    assert len(audit(api, until="2026-11-30T12:00:00-11:00")) == 1
    assert audit(api, since="2026-12-01T01:00:00+02:00") == audit(api, until="2026-11-30T11:30:00-11:00") == []
    assert len(audit(api, since="0001-01-01T00:00:00+14:00", until="9999-12-31T23:59:59-14:00")) == 1


@pytest.mark.parametrize("query", ["continuation=nonsense", "continuation=W10=", "since=yesterday", "limit=0"])
def test_a_question_that_makes_no_sense_is_refused(api: TestClient, query: str):
    assert api.get(f"/api/audit?{query}").status_code == 422


def test_of_every_operation_it_is_decided_whether_it_is_on_record(api: TestClient):
    paths = api.get("/api/openapi.json").json()["paths"].values()
    changing = {each["operationId"] for path in paths for method, each in path.items() if method != "get"}

    kinds = {
        f"{verb}_{kind.noun.replace(' ', '_')}" for kind in KINDS.values() for verb in ("create", "replace", "delete")
    }
    assert changing - kinds - RECORDED - CHANGING_NOTHING == set(), (
        "put it on record: `audited`, or `acts` on its route"
    )


def test_nothing_changes_the_audit_through_the_api(api: TestClient):
    paths = api.get("/api/openapi.json").json()["paths"]

    assert {method for path in paths if path.startswith("/api/audit") for method in paths[path]} == {"get"}


@pytest.mark.parametrize(("method", "action"), [("DELETE", "dropped"), ("POST", "retried")])
def test_what_people_do_to_what_is_owed_is_on_record(
    api: TestClient, desk: Desk, clock: MovableClock, method: str, action: str
):
    entry = event(EventType.TICKET_CREATED, "1", clock(), ticket=1)
    desk.services.tickets.commit(desk.id, Commit(outbox=[replace(entry, state="failed")]))
    path = f"/api/outbox/{desk.id}/{entry.id}{'/retry' if method == 'POST' else ''}"

    answers = [api.request(method, each, headers=KIM).is_success for each in (path, path.replace(entry.id, "none"))]

    assert answers == [True, False]
    found = {each["subject"]: each for each in audit(api, kind="outbox entry")}
    assert found[f"{desk.id}/{entry.id}"]["outcome"] == "made"
    assert found[f"{desk.id}/none"]["outcome"] == "refused"
    assert {(each["by"], each["action"]) for each in found.values()} == {("kim@example.com", action)}


def test_long_values_are_cut_and_many_are_bounded():
    _, long = differences({}, {"text": "x" * 5_000})
    _, many = differences({}, {f"key{index}": "x" * 900 for index in range(100)})

    assert re.fullmatch(r"x{1000}\.\.\. \(5000 characters\)", long["text"])
    assert len(str(many)) < 13_000
    assert many["..."] == f"and {100 - len(many) + 1} more"


class _Stale:
    """A store that somebody is faster at, each time."""

    def __init__(self, store: Any, faster: Any) -> None:
        self._store, self._faster = store, faster

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def delete(self, document_id: str, etag: str) -> None:
        self._store.replace(self._faster, etag)
        self._store.delete(document_id, etag)
