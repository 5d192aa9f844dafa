"""Contacts through the API, and from files (req P1)."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from shared.application import contacts
from shared.application.services import Services
from shared.domain.errors import Conflict
from tests.clock import MovableClock

KIM = {"name": "Kim", "role": "technician", "groups": ["Network"], "company": "ACME", "language": "pt-BR"}
Import = Callable[..., Response]


@pytest.fixture
def imported(api: TestClient) -> Import:
    def send(content: str | bytes, kind: str = "text/csv", **query: str) -> Response:
        return api.post("/api/contacts/import", params=query, content=content, headers={"Content-Type": kind})

    return send


def put(api: TestClient, address: str = "kim@example.com", **details: Any) -> Response:
    answer = api.put(f"/api/contacts/{address}", json=details)
    assert answer.is_success, answer.text
    return answer


def problems(answer: Response) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    return [(each["path"], each["message"]) for each in answer.json()["problems"]]


def everybody(api: TestClient, **query: Any) -> set[str]:
    return {each["address"] for each in api.get("/api/contacts", params=query).json()["contacts"]}


def test_a_contact_is_created_and_found_by_any_spelling_of_its_address(api: TestClient):
    created = put(api, "kim@bücher.example", **KIM)

    found = api.get("/api/contacts/KIM@xn--bcher-kva.example")
    assert created.status_code == 201
    assert found.json() == created.json()
    assert found.headers["ETag"] == created.headers["ETag"]
    assert found.json() == KIM | {
        "address": "kim@bücher.example",
        "bounced_at": None,
        "bounce": "",
        "unsubscribed_at": None,
    }


def test_saving_again_replaces_all_of_a_contact(api: TestClient):
    put(api, **KIM)

    answer = put(api, name="Kim Lee")

    assert answer.status_code == 200
    assert answer.json()["name"] == "Kim Lee"
    assert (answer.json()["role"], answer.json()["groups"], answer.json()["company"]) == ("requester", [], "")


def test_an_answer_can_be_sent_back_with_changes(api: TestClient):
    answer = put(api, **KIM, bounced_at="2026-01-31T00:00:00Z", bounce="5.1.1 no such user")

    changed = put(api, **answer.json() | {"company": "Other"})

    assert changed.json() == answer.json() | {"company": "Other"}


def test_a_version_that_is_named_must_be_the_current_one(api: TestClient):
    old = put(api, **KIM).headers["ETag"]
    new = put(api, name="Kim Lee").headers["ETag"]
    path = "/api/contacts/kim@example.com"

    assert api.put(path, json={}, headers={"If-Match": old}).status_code == 412
    assert api.delete(path, headers={"If-Match": old}).status_code == 412
    assert api.put("/api/contacts/lee@example.com", json={}, headers={"If-Match": "*"}).status_code == 412
    assert api.put(path, json={}, headers={"If-Match": new}).status_code == 200


def test_a_contact_that_is_deleted_is_gone(api: TestClient):
    put(api, **KIM)

    assert api.delete("/api/contacts/KIM@example.com").status_code == 204
    assert [api.get("/api/contacts/kim@example.com").status_code] == [404]
    assert api.delete("/api/contacts/kim@example.com").status_code == 404
    assert everybody(api) == everybody(api, role="technician") == set()


def test_an_address_may_hold_a_slash(api: TestClient):
    put(api, "office/berlin@example.com", name="Berlin")

    assert api.get("/api/contacts/office/berlin@example.com").json()["name"] == "Berlin"


@pytest.mark.parametrize(
    ("address", "details", "paths"),
    [
        ("kim", {}, ["$.address"]),
        ("kim@example.com%00", {}, ["$.address"]),
        ("kim@example.com", {"role": "boss", "language": "german"}, ["$.role", "$.language"]),
        ("kim@example.com", {"groups": ["ok", "a,b"], "company": "x" * 201}, ["$.groups[1]", "$.company"]),
        ("kim@example.com", {"group": "Network"}, ["$.group"]),
        ("kim@example.com", {"name": "two\nlines"}, ["$.name"]),
        ("kim@example.com", {"unsubscribed_at": "2026-01-31"}, ["$.unsubscribed_at"]),
    ],
)
def test_a_contact_that_is_wrong_is_refused_with_all_problems(
    api: TestClient, address: str, details: dict[str, Any], paths: list[str]
):
    answer = api.put(f"/api/contacts/{address}", json=details)

    assert [path for path, _ in problems(answer)] == paths
    assert everybody(api) == set()


def test_a_list_is_filtered_by_all_that_is_asked_for(api: TestClient):
    put(api, **KIM)
    put(api, "lee@example.com", name="Lee", company="ACME", groups=["Network", "Desk"])
    put(api, "max@client.example", company="Client")

    assert everybody(api, role="technician") == {"kim@example.com"}
    assert everybody(api, group="network", role="requester") == {"lee@example.com"}
    assert everybody(api, company="acme") == {"kim@example.com", "lee@example.com"}
    assert everybody(api, text="CLIENT") == {"max@client.example"}
    assert everybody(api, text="lee", company="Client") == set()


def test_a_list_goes_on_page_by_page(api: TestClient, imported: Import):
    imported("address\n" + "\n".join(f"{number}@example.com" for number in range(25)))
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 10}

    while query:
        page = api.get("/api/contacts", params=query).json()
        seen += [each["address"] for each in page["contacts"]]
        query = {"limit": 10, "continuation": page["continuation"]} if page["continuation"] else {}

    assert len(seen) == len(set(seen)) == 25


@pytest.mark.parametrize("query", ["limit=0", "continuation=x", "role=boss"])
def test_a_list_is_refused_parameters_out_of_range(api: TestClient, query: str):
    answer = api.get(f"/api/contacts?{query}")

    assert [path for path, _ in problems(answer)] == [f"query.{query.partition('=')[0]}"]


EXCEL = (
    "\ufeffAddress;Name;Role;Groups;Company;Language\r\n"
    'kim@example.com;"Lee; Kim";Technician;"Network, Desk";"ACME ""North""";pt-BR\r\n'
    ";;;;;\r\n"
    "max@example.com;Müller;;;;\r\n"
)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (EXCEL.encode(), "text/csv"),
        (EXCEL.replace(";", "\t").replace("Lee\t", "Lee;").encode("utf-16"), "text/csv"),
        (EXCEL.replace("\r\n", "\n").removeprefix("\ufeff").encode("cp1252"), "text/csv; charset=windows-1252"),
        (EXCEL.replace("\r\n", "\r").encode(), "TEXT/CSV; charset=utf-8"),
        (EXCEL.replace(";", ",").replace("Lee,", "Lee;").encode(), 'text/csv;charset="UTF-8"'),
    ],
    ids=["Excel", "Unicode text", "windows-1252", "old Mac", "commas"],
)
def test_a_file_is_read_as_spreadsheets_write_it(api: TestClient, imported: Import, content: bytes, kind: str):
    answer = imported(content, kind)

    assert answer.json() == {"added": 2, "changed": 0, "unchanged": 0}
    kim, other = (api.get(f"/api/contacts/{name}@example.com").json() for name in ("kim", "max"))
    assert (kim["name"], kim["role"], kim["groups"]) == ("Lee; Kim", "technician", ["Desk", "Network"])
    assert (kim["company"], kim["language"]) == ('ACME "North"', "pt-BR")
    assert (other["name"], other["role"], other["groups"]) == ("Müller", "requester", [])


def test_json_is_imported_as_lists_answer_it(api: TestClient, imported: Import):
    put(api, **KIM, bounced_at="2026-01-31T00:00:00Z", bounce="full")
    listed = api.get("/api/contacts").json()["contacts"]

    again = imported(json.dumps([*listed, {"address": "lee@example.com"}]), "application/json")

    assert again.json() == {"added": 1, "changed": 0, "unchanged": 1}
    assert api.get("/api/contacts/kim@example.com").json() == listed[0]


def test_an_import_tells_what_it_changed_and_a_repetition_changes_nothing(imported: Import):
    assert imported("address,company\na@x.example,A\nb@x.example,B\n").json()["added"] == 2

    lines = "address,company\nA@X.example,A\nb@x.example,BB\nc@x.example,C\n"
    assert imported(lines).json() == {"added": 1, "changed": 1, "unchanged": 1}
    assert imported(lines).json() == {"added": 0, "changed": 0, "unchanged": 3}


def test_a_plan_tells_what_an_import_would_change_and_changes_nothing(api: TestClient, imported: Import):
    put(api, **KIM)

    answer = imported("address,company\nkim@example.com,Other\nlee@example.com,New\n", plan="true")

    assert answer.json() == {"added": 1, "changed": 1, "unchanged": 0}
    assert everybody(api, company="ACME") == everybody(api) == {"kim@example.com"}


def test_what_a_file_has_no_column_for_stays_and_an_empty_cell_empties(api: TestClient, imported: Import):
    before = put(api, **KIM, bounced_at="2026-01-31T00:00:00Z", bounce="full").json()

    imported("address,company,language\nKIM@example.com,,de\n")

    assert api.get("/api/contacts/kim@example.com").json() == before | {"company": "", "language": "de"}


def test_roles_that_a_file_changes_show_in_the_list_of_technicians(api: TestClient, imported: Import):
    put(api, **KIM)

    imported("address,role\nkim@example.com,requester\nlee@example.com,TECHNICIAN\n")

    assert everybody(api, role="technician") == {"lee@example.com"}


def test_an_import_puts_right_what_a_broken_change_of_roles_left_behind(
    api: TestClient, services: Services, imported: Import
):
    put(api, "lee@example.com")
    table = services.contacts._table.client
    table.create_entity({**next(table.list_entities()), "PartitionKey": "technician", "role": "technician"})

    answer = imported("address,role\nlee@example.com,requester\n")

    assert answer.json()["changed"] == 1
    assert everybody(api, role="technician") == set()


def test_every_bad_line_of_a_file_is_named_and_nothing_is_imported(api: TestClient, imported: Import):
    answer = imported(
        "address,name,role,groups\n"
        "ok@example.com,Fine,,\n"
        "nobody,Bad,boss,\n"
        '\n"two@example.com","Line\nbreak",,\n'
        "short@example.com,Short\n"
        "OK@example.com,Again,,\n"
        "g@example.com,,," + "x" * 101 + "\n"
    )

    assert problems(answer) == [
        ("line 3, column address", "must be one e-mail address without a display name"),
        ("line 3, column role", "must be 'requester' or 'technician'"),
        ("line 5, column name", "must be one line of 200 characters at most"),
        ("line 7", "has 2 cells, but there are 4 columns"),
        ("line 8, column address", "is that of line 2 already"),
        (
            "line 9, column groups",
            "must be the name of a group: 100 characters at most, none of them a comma, semicolon or bar",
        ),
    ]
    assert everybody(api) == set()


def test_every_bad_entry_of_a_json_file_is_named(imported: Import):
    entries = [{"address": "a@x.example"}, {"name": "Kim"}, "b@x.example", {"address": "A@x.example", "role": "boss"}]
    entries += [{"address": "a@X.example"}]

    assert [path for path, _ in problems(imported(json.dumps(entries), "application/json"))] == [
        "$[1].address",
        "$[2]",
        "$[3].role",
        "$[4].address",
    ]


@pytest.mark.parametrize(
    ("content", "place", "reason"),
    [
        ("", "line 1", "one of them must be `address`"),
        ("kim@example.com,Kim\n", "line 1", "one of them must be `address`"),
        ("address,name,Name\n", "line 1", "names column 'name' twice"),
        (
            "address,e-mail\nkim@example.com,x\n",
            "line 1",
            "names column 'e-mail', which is none of address, name, role",
        ),
        (b"address,name\nkim@example.com,M\xfcller\n", "line 2", "is no text in utf-8"),
        ('address,name\nkim@example.com,"Kim\n', "line 2", "cannot be read, nor what follows"),
        ('"address', "line 1", "cannot be read"),
        ("address\n" + "x" * 140_000 + "@example.com\n", "line 2", "cannot be read"),
        ("address\n" + "a@x.example\n" * 10_001, "$", "has 10001 contacts; 10000 at most"),
    ],
    ids=["empty", "no names", "twice", "unknown", "charset", "quote", "quote in names", "huge cell", "many"],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_place(
    imported: Import, content: str | bytes, place: str, reason: str
):
    found = problems(imported(content))

    assert (found[0][0], reason in found[0][1]) == (place, True), found[:3]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        ("address\n", "text/plain", 415),
        ("address\n", "text/csv; charset=klingon", 422),
        ("address\n", "text/csv; charset=rot13", 422),
        ("address\n", "text/csv; charset=punycode", 422),
        (b"address\n+2AA-@example.com\n", "text/csv; charset=utf-7", 422),
        ('{"address": "kim@example.com"}', "application/json", 422),
        ("[", "application/json", 400),
        (b" " * 5_000_001, "text/csv", 413),
    ],
)
def test_a_body_that_is_no_file_of_contacts_is_refused(imported: Import, content: str | bytes, kind: str, status: int):
    assert imported(content, kind).status_code == status


def test_an_empty_list_is_imported_as_nothing(imported: Import):
    assert imported("address\r\n").json() == imported("[]", "application/json").json()


def test_more_are_imported_than_fit_into_one_transaction(api: TestClient, imported: Import):
    lines = "".join(f"{number}@example.com,technician\n" for number in range(110))

    assert imported("address,role\n" + lines).json()["added"] == 110
    assert len(everybody(api, role="technician", limit=200)) == 110
    assert imported("address,role\n" + lines.replace("technician", "")).json()["changed"] == 110
    assert everybody(api, role="technician") == set()


def test_a_bounce_is_remembered_of_a_contact_and_of_nobody_else(
    api: TestClient, services: Services, clock: MovableClock
):
    put(api, **KIM)

    contacts.mark_bounced(services, "KIM@example.com", "550 5.1.1\r\n no\x00such user" + "!" * 300)
    contacts.mark_bounced(services, "guest@example.com", "550")

    kim = api.get("/api/contacts/kim@example.com").json()
    assert (kim["bounce"][:25], kim["company"]) == ("550 5.1.1 no such user!!!", "ACME")
    assert kim["bounced_at"] == clock().isoformat().replace("+00:00", "Z")
    assert everybody(api) == {"kim@example.com"}


def test_who_loses_the_race_for_a_contact_is_told(api: TestClient, services: Services):
    put(api, **KIM)
    current = contacts.find(services, "kim@example.com")
    put(api, name="Faster")

    with pytest.raises(Conflict):
        contacts.save(services, "kim@example.com", current, {})
