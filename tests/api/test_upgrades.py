"""What older versions have stored keeps working (req O12). The samples are whole tables, as they were left."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shared.adapters.storage.rows import VERSION
from shared.application.exchange import KINDS
from shared.application.services import Services
from shared.domain.mailbox import MailboxSettings
from tests.api.desk import Desk, mail
from tests.clock import MovableClock
from tests.intake.memory_source import MemoryMailbox

SUBJECT = "Printer jams \N{EN DASH} again"
SAMPLES = {path.stem: path for path in sorted((Path(__file__).parent / "samples").glob("rows-*.json"))}


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest, services: Services, clock: MovableClock) -> Iterator[str]:
    """The storage as the older version has left it."""
    clock.advance(hours=1)
    tables = json.loads(SAMPLES[request.param].read_text("utf-8"))
    clients = services.polls._clients
    for name, rows in tables.items():
        for row in rows:
            clients.table(name).create_entity(_row(row))
    yield request.param
    for partition in {row["PartitionKey"] for row in tables["tickets"]}:
        for row in clients.table("tickets").query_entities(f"PartitionKey eq '{partition}'"):
            clients.table("tickets").delete_entity(row)


@pytest.fixture
def support(sample: str, services: Services) -> Desk:
    """Its mailbox that had mail; message 4 could never be fetched, and message 5 not so far."""
    (mailbox_id,) = (each.value.id for each in services.mailboxes.all() if each.value.ticket_prefix == "SUP")
    return Desk(mailbox_id, services, MemoryMailbox(dict.fromkeys(range(1, 6), b""), unfetchable={4, 5}))


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: base64.b64decode(value["bytes"]) if isinstance(value, dict) else value for name, value in row.items()}


def settings(api: TestClient) -> dict[str, dict[str, Any]]:
    return {each["ticket_prefix"]: each for each in api.get("/api/mailboxes").json()["mailboxes"]}


def test_there_is_a_sample_of_every_older_version_of_rows():
    sampled = {row["v"] for path in SAMPLES.values() for row in json.loads(path.read_text("utf-8"))["tickets"]}

    assert sampled >= {*range(1, VERSION)}, "take a sample before the version is raised"


def test_every_mailbox_is_as_it_was(sample: str, api: TestClient):
    found = settings(api)

    assert {prefix: each["source"]["kind"] for prefix, each in found.items()} == {
        "SUP": "imap", "POP": "pop3", "EWS": "ews", "GRA": "graph", "GMA": "gmail",
    }  # fmt: skip
    assert found["SUP"]["settlement"] == {"action": "move", "folder": "Done", "create": True}
    assert found["SUP"]["failed_folder"] == "Failed"
    assert found["SUP"]["proxy"]["host"] == "proxy.example.com"
    assert (found["SUP"]["intake"]["start_from"], found["SUP"]["intake"]["unread_only"]) == ("beginning", True)
    assert found["EWS"]["source"]["folders"] == ["inbox", "Sales/North"]
    assert found["EWS"]["source"]["sign_in"]["method"] == "ntlm"
    assert found["POP"]["source"]["tls"]["mode"] == "starttls"
    assert found["GRA"]["source"]["sign_in"]["credential"] == {"kind": "secret", "secret": "graph-secret"}
    assert found["GMA"]["source"]["sign_in"]["key_secret"] == "graph-secret"


def test_what_is_new_in_a_mailbox_has_its_default(sample: str, api: TestClient, services: Services):
    known = {name for row in _documents(sample) for name in row}
    defaults = {name: field for name, field in MailboxSettings.model_fields.items() if name not in known}

    assert defaults
    for each in services.mailboxes.all():
        for name, field in defaults.items():
            assert getattr(each.value, name) == field.get_default(call_default_factory=True)


def _documents(sample: str) -> list[dict[str, Any]]:
    tables = json.loads(SAMPLES[sample].read_text("utf-8"))
    return [json.loads(row["document"]) for row in tables["mailboxes"] if row["PartitionKey"] == "mailbox"]


def test_every_mailbox_can_be_saved_again_as_it_is(sample: str, api: TestClient):
    for each in settings(api).values():
        path = f"/api/mailboxes/{each['id']}"
        version = {"If-Match": api.get(path).headers["ETag"]}

        assert api.put(path, json=each, headers=version).status_code == 200, each["ticket_prefix"]


def test_everything_can_be_exported_and_changes_nothing(sample: str, api: TestClient):
    document = api.get("/api/configuration").json()

    planned = api.post("/api/configuration/plan", json=document)

    assert planned.status_code == 200, planned.text
    assert planned.json()["steps"] == []
    assert all(section in document for section in KINDS if section != "installation")


def test_tickets_are_read_with_their_log_and_messages(support: Desk, api: TestClient):
    listed = api.get("/api/tickets", params={"mailbox": support.id}).json()["tickets"]
    ticket = api.get("/api/tickets/SUP-1").json()
    first, second = ticket["comments"]

    assert [each["tag"] for each in listed] == ["SUP-2", "SUP-1"]
    assert ticket["subject"] == SUBJECT
    assert ticket["requester"] == {"address": "ann@example.org", "name": "Ann Exämple"}
    assert "Grüße, it jams." in first["text"]
    assert [each["name"] for each in first["attachments"]] == ["Händbuch.pdf"]
    assert api.get(first["attachments"][0]["href"]).content == b"%PDF-1.4 manual"
    assert api.get(first["message"]["raw_href"]).content.startswith(b"From: Ann =?utf-8?")
    assert "<b>jams</b>" in api.get(first["message"]["html_href"]).text
    assert "It jams still." in second["text"]


def test_fields_of_tickets_are_read_where_they_were_known(support: Desk, sample: str, api: TestClient):
    ticket = api.get("/api/tickets/SUP-2").json()

    found = {name: ticket[name] for name in ("linked_to", "priority", "custom", "tags", "group")}
    written = {"linked_to": ["SUP-1"], "priority": "high", "custom": {"order": "17"}, "tags": ["vip"]}
    assert found == (
        {**written, "group": "Network"}
        if sample != "rows-1"
        else {"linked_to": [], "priority": "", "custom": {}, "tags": [], "group": ""}
    )


def test_quarantine_runs_and_health_are_read(support: Desk, api: TestClient):
    (entry,) = api.get(f"/api/mailboxes/{support.id}/quarantine").json()["entries"]
    runs = api.get(f"/api/mailboxes/{support.id}/runs").json()["runs"]

    assert (entry["attempts"], entry["error_code"], entry["size"]) == (3, "message_error", None)
    assert [each["outcomes"] for each in runs][-2:] == [{"appended": 1, "deferred": 1}, {"created": 2}]
    assert settings(api)["SUP"]["health"]["last_outcomes"] == {"deferred": 1}


def test_mail_goes_on_where_it_stopped(support: Desk, api: TestClient):
    answer = mail(f"Re: {SUBJECT}", **{"In-Reply-To": "<1@example.org>", "Message-ID": "<6@example.org>"})
    date, sender = "Sat, 21 Nov 2026 09:00:00 +0000", "Ann Exämple <ann@example.org>"
    known = mail("Other thing", **{"Message-ID": "<2@example.org>", "Date": date, "From": sender})
    support.take_in(answer.as_bytes(), mail("A new one").as_bytes(), known.as_bytes())

    tags = [each["tag"] for each in api.get("/api/tickets", params={"mailbox": support.id}).json()["tickets"]]
    assert tags == ["SUP-3", "SUP-2", "SUP-1"], "the next number is taken, and what was taken in is known"
    assert len(api.get("/api/tickets/SUP-1").json()["comments"]) == 3


def test_people_go_on_with_their_tickets(support: Desk, api: TestClient):
    note = {"kind": "internal", "text": "It is the cartridge."}

    made = api.post("/api/tickets/SUP-1/comments", json=note, headers={"If-Match": "*"})
    changed = api.patch("/api/tickets/SUP-1", json={"status": "closed"}, headers={"If-Match": "*"})

    assert made.status_code == 201, made.text
    assert (changed.status_code, changed.json()["comment_count"]) == (200, 3)


def test_a_contact_is_as_it_was(sample: str, api: TestClient):
    found = api.get("/api/contacts/ann@example.org")

    assert found.status_code == (404 if sample == "rows-1" else 200)
    if found.is_success:
        assert (found.json()["groups"], found.json()["language"]) == (["Network"], "de")


def test_configuration_of_a_newer_version_is_refused_with_what_to_do(services: Services, api: TestClient):
    table = services.mailboxes._table.client
    table.create_entity(
        {"PartitionKey": "mailbox", "RowKey": "future", "schema_version": 2, "document": '{"schema_version": 2}'}
    )

    answers = [api.get("/api/mailboxes"), api.get("/api/mailboxes/future"), api.get("/api/configuration")]

    table.delete_entity("mailbox", "future")
    for answer in answers:
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:mailroom:written_by_newer")
        assert answer.json()["detail"] == "the mailbox future was written by a newer version of Mailroom"
        assert answer.json()["advice"] == "Deploy that version again, or a later one."
