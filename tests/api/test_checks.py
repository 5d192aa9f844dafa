"""A configuration that cannot work is refused with everything that is wrong with it (req C10, D3, S1, F2)."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shared.application import configuration
from shared.application.mailboxes import MAILBOXES
from shared.application.ports.stores import DocumentStore
from shared.application.services import Services
from shared.domain.errors import Invalid
from shared.domain.mailbox import Mailbox
from tests.api.conftest import IMAP, SIGN_IN

GRAPH = {
    "kind": "graph",
    "sign_in": {
        "kind": "microsoft_app",
        "tenant": "contoso.example.com",
        "client_id": "11111111-1111-4111-8111-111111111111",
        "credential": {"kind": "secret", "secret": "graph-secret"},
    },
}


def problems(answer) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:mailroom:invalid"
    return {problem["path"]: problem["message"] for problem in answer.json()["problems"]}


def test_all_problems_are_told_at_once(api: TestClient, support, billing):
    api.post("/api/mailboxes", json=support)
    wrong = {
        "name": "SUPPORT",
        "ticket_prefix": "SUP",
        "source": {**IMAP, "port": 99999, "folders": "INBOX/Mail", "colour": "red"}
        | {"sign_in": {**SIGN_IN, "password_secret": "unknown"}},
        "settlement": {"action": "move", "folder": "inbox\\mail"},
        "schedule": {"interval_seconds": "often"},
    }

    found = problems(api.post("/api/mailboxes", json=wrong))

    assert set(found) == {
        "$.name",
        "$.address",
        "$.ticket_prefix",
        "$.source.port",
        "$.source.sign_in.password_secret",
        "$.source.colour",
        "$.settlement.folder",
        "$.schedule.interval_seconds",
    }


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"name": " "}, "$.name", "must have at least 1 character"),
        ({"name": "Support\r\nBcc: eve@example.net"}, "$.name", "must be on one line"),
        ({"name": 5}, "$.name", "must be text"),
        ({"enabled": "yes"}, "$.enabled", "must be true or false"),
        ({"address": "Support <support@example.com>"}, "$.address", "must be one e-mail address"),
        ({"ticket_prefix": "sup"}, "$.ticket_prefix", "must be 2 to 10 capital letters"),
        ({"colour": "red"}, "$.colour", "is not known here"),
        ({"a b'c": 1}, '$["a b\'c"]', "is not known here"),
        ({"source": None}, "$.source", "must be an object"),
        ({"source": {}}, "$.source.kind", "is missing"),
        ({"source": {"kind": "fax"}}, "$.source.kind", "must be one of 'imap', 'graph'"),
        ({"source": {"kind": "imap"}}, "$.source.host", "is missing"),
        ({"source": {**IMAP, "imap": 1}}, "$.source.imap", "is not known here"),
        ({"source": {**IMAP, "port": 0}}, "$.source.port", "must be greater than or equal to 1"),
        ({"source": {**IMAP, "port": 65536}}, "$.source.port", "must be less than or equal to 65535"),
        ({"source": {**IMAP, "port": "993"}}, "$.source.port", "must be a whole number"),
        ({"source": {**IMAP, "host": "imaps://mail.example.com"}}, "$.source.host", "must be a host name"),
        ({"source": {**IMAP, "host": "mail.example.com:993"}}, "$.source.host", "must be a host name"),
        ({"source": {**IMAP, "tls": {"mode": "ssl"}}}, "$.source.tls.mode", "must be 'none', "),
        ({"source": {**IMAP, "tls": {"ca_certificate": "x"}}}, "$.source.tls.ca_certificate", "must be certificates"),
        (
            {"source": {**GRAPH, "sign_in": {**GRAPH["sign_in"], "client_id": "abc"}}},
            "$.source.sign_in.client_id",
            "must be the application (client) id",
        ),
        ({"intake": {"start_from": "yesterday"}}, "$.intake.start_from", "must be a time with its offset from UTC"),
        ({"intake": {"start_from": "2026-01-01T00:00"}}, "$.intake.start_from", "or must be 'now' or 'beginning'"),
        ({"settlement": {"action": "burn"}}, "$.settlement.action", "must be one of 'keep', 'mark_read'"),
        ({"settlement": {"action": "move"}}, "$.settlement.folder", "is missing"),
    ],
)
def test_a_problem_is_told_with_its_place_and_what_is_expected(
    api: TestClient, support, change: dict[str, Any], path: str, message: str
):
    found = problems(api.post("/api/mailboxes", json={**support, **change}))

    assert message in found[path]


@pytest.mark.parametrize("body", ["[]", '"text"', "5", "null"])
def test_what_is_no_object_is_no_mailbox(api: TestClient, body: str):
    found = problems(api.post("/api/mailboxes", content=body, headers={"Content-Type": "application/json"}))

    assert found == {"$": "must be an object"}


@pytest.mark.parametrize("value", ["correct horse battery", "hunter2", "pass:word!", "x" * 500])
@pytest.mark.parametrize("kind", ["imap", "graph"])
def test_a_secret_in_place_of_its_name_is_refused_without_being_repeated(api: TestClient, support, kind, value):
    imap = {**IMAP, "sign_in": {**SIGN_IN, "password_secret": value}}
    graph = {**GRAPH, "sign_in": {**GRAPH["sign_in"], "credential": {"kind": "secret", "secret": value}}}

    answer = api.post("/api/mailboxes", json={**support, "source": imap if kind == "imap" else graph})

    path = "password_secret" if kind == "imap" else "credential.secret"
    assert "Key Vault" in problems(answer)[f"$.source.sign_in.{path}"]
    assert value not in answer.text


@pytest.mark.parametrize(
    ("read", "target"),
    [
        ("INBOX", "inbox"),
        ("INBOX", " Inbox/ "),
        ("INBOX/Done", "inbox\\done"),
        ("INBOX/Done", "INBOX.Done"),
        ("Ablage/Gru\u0308n", "ablage/Gr\u00fcn"),
    ],
)
def test_messages_are_not_moved_to_the_folder_that_is_read(api: TestClient, support, read: str, target: str):
    settlement = {"action": "move", "folder": target}

    found = problems(
        api.post("/api/mailboxes", json={**support, "source": {**IMAP, "folders": read}, "settlement": settlement})
    )

    assert set(found) == {"$.settlement.folder"}


@pytest.mark.parametrize("twice", [["INBOX", "Inbox"], "Support; Sales/New, Sales\\New"])
def test_no_folder_is_read_twice(api: TestClient, support, twice):
    found = problems(api.post("/api/mailboxes", json={**support, "source": {**IMAP, "folders": twice}}))

    assert set(found) == {"$.source.folders"}


def test_what_failed_is_not_moved_to_the_folder_that_is_read(api: TestClient, support):
    found = problems(api.post("/api/mailboxes", json={**support, "failed_folder": "inbox"}))

    assert set(found) == {"$.failed_folder"}


def test_what_pop3_cannot_do_is_refused_all_at_once(api: TestClient, support):
    wrong = {
        "source": {**IMAP, "kind": "pop3"},
        "settlement": {"action": "move", "folder": "Done"},
        "failed_folder": "Failed",
        "intake": {"start_from": "2026-01-01T00:00:00Z", "unread_only": True},
    }

    found = problems(api.post("/api/mailboxes", json={**support, **wrong}))

    assert set(found) == {"$.settlement", "$.failed_folder", "$.intake.start_from", "$.intake.unread_only"}


def test_what_is_usual_is_good_for_pop3_too(api: TestClient, support):
    assert api.post("/api/mailboxes", json={**support, "source": {**IMAP, "kind": "pop3"}}).status_code == 201


def test_an_inbox_is_not_read_by_pop3_and_imap_at_once(api: TestClient, support, billing):
    api.post("/api/mailboxes", json=support)

    found = problems(api.post("/api/mailboxes", json={**billing, "source": {**IMAP, "kind": "pop3"}}))

    assert set(found) == {"$.source.folders"}


def test_the_inbox_is_read_where_no_folder_is_given(api: TestClient, support):
    found = problems(api.post("/api/mailboxes", json={**support, "settlement": {"action": "move", "folder": "Inbox"}}))

    assert set(found) == {"$.settlement.folder"}


@pytest.mark.parametrize("target", ["INBOX/Done", "Done", "Inbox2"])
def test_messages_are_moved_to_any_other_folder(api: TestClient, support, target: str):
    answer = api.post("/api/mailboxes", json={**support, "settlement": {"action": "move", "folder": target}})

    assert answer.status_code == 201


def test_a_dot_separates_folders_of_imap_only(api: TestClient, support):
    source = {**GRAPH, "folders": ["v1/2"]}

    answer = api.post(
        "/api/mailboxes", json={**support, "source": source, "settlement": {"action": "move", "folder": "v1.2"}}
    )

    assert answer.status_code == 201


def test_a_name_and_a_prefix_belong_to_one_mailbox(api: TestClient, support, billing):
    api.post("/api/mailboxes", json=support)

    found = problems(api.post("/api/mailboxes", json={**billing, "name": " sUPPORT", "ticket_prefix": "SUP"}))

    assert set(found) == {"$.name", "$.ticket_prefix"}


@pytest.mark.parametrize(
    "same",
    [
        {"address": "Support@Example.com"},
        {"address": "Support@Example.com", "source": GRAPH},
        {"source": {**IMAP, "host": "MAIL.example.com", "folders": "inbox"}},
    ],
)
def test_a_folder_is_read_by_one_mailbox(api: TestClient, support, billing, same):
    api.post("/api/mailboxes", json=support)

    found = problems(api.post("/api/mailboxes", json={**billing, **same}))

    assert set(found) == {"$.source.folders"}


@pytest.mark.parametrize(
    "other", [{"source": {**IMAP, "folders": ["Orders"]}}, {"address": "support@example.com", "enabled": False}]
)
def test_another_folder_or_a_mailbox_at_rest_is_in_nobodys_way(api: TestClient, support, billing, other):
    api.post("/api/mailboxes", json=support)

    answer = api.post("/api/mailboxes", json={**billing, **other})

    assert answer.status_code == 201


def test_a_mailbox_is_in_its_own_way_in_nothing_but_its_prefix(api: TestClient, support):
    created = api.post("/api/mailboxes", json=support)
    path, headers = created.headers["Location"], {"If-Match": created.headers["ETag"]}

    found = problems(api.put(path, json={**support, "ticket_prefix": "HELP"}, headers=headers))
    kept = api.put(path, json=support, headers=headers)

    assert found == {"$.ticket_prefix": "cannot be changed: tickets are known as SUP-..."}
    assert kept.status_code == 200


def test_nothing_that_was_refused_is_stored(api: TestClient, support):
    api.post(
        "/api/mailboxes", json={**support, "source": {**IMAP, "sign_in": {**SIGN_IN, "password_secret": "unknown"}}}
    )

    assert api.get("/api/mailboxes").json() == {"mailboxes": []}


def test_of_the_same_requests_at_once_one_is_served(api: TestClient, support):
    with ThreadPoolExecutor(4) as clients:
        answers = [*clients.map(lambda _: api.post("/api/mailboxes", json=support), range(4))]

    assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422]
    assert len(api.get("/api/mailboxes").json()["mailboxes"]) == 1


@dataclass
class Overtaken:
    """The store of mailboxes, where another instance is faster each time by a moment."""

    store: DocumentStore[Mailbox]

    def __getattr__(self, name: str):
        return getattr(self.store, name)

    def add(self, document: Mailbox) -> str:
        self.store.add(document.model_copy(update={"id": "faster-000000"}))
        return self.store.add(document)


def test_what_another_instance_saves_at_the_same_moment_is_seen_afterwards(services: Services, support):
    overtaken = replace(services, mailboxes=Overtaken(services.mailboxes))

    with pytest.raises(Invalid) as refused:
        configuration.create(overtaken, MAILBOXES, support)

    assert {each.path for each in refused.value.problems} >= {"$.name", "$.ticket_prefix"}
    assert [each.value.id for each in services.mailboxes.all()] == ["faster-000000"]
