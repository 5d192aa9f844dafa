"""The OpenAPI document describes the API as it is (req W1)."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shared.domain.mailbox import MailboxSettings


@pytest.fixture
def document(api: TestClient) -> dict[str, Any]:
    return api.get("/api/openapi.json").json()


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "$ref")
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from references(each)


def test_every_operation_has_a_name_a_tag_and_the_shape_of_its_failures(document):
    names = [operation["operationId"] for operation in operations(document)]

    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)
    for operation in operations(document):
        assert operation["tags"][0] in {tag["name"] for tag in document["tags"]}
        assert "application/problem+json" in operation["responses"]["default"]["content"]
        assert operation["security"] == [{"functionKey": []}]


def test_every_reference_leads_somewhere(document):
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}

    assert set(references(document)) <= known


def test_every_shape_says_what_it_is(document):
    undescribed = {
        name
        for name, schema in document["components"]["schemas"].items()
        if not schema.get("description") and "enum" not in schema and len(schema["properties"]) > 3
    }

    assert undescribed == set()


@pytest.mark.parametrize(("path", "method"), [("/api/mailboxes", "post"), ("/api/mailboxes/{mailbox_id}", "put")])
def test_a_mailbox_is_sent_in_the_shape_of_its_settings(document, path: str, method: str):
    body = document["paths"][path][method]["requestBody"]["content"]["application/json"]

    assert body["schema"] == {"$ref": "#/components/schemas/MailboxSettings"}
    assert set(document["components"]["schemas"]["MailboxSettings"]["properties"]) == set(MailboxSettings.model_fields)


def test_a_change_asks_for_the_version_it_is_meant_for(document):
    parameters = document["paths"]["/api/mailboxes/{mailbox_id}"]["put"]["parameters"]

    assert [each["required"] for each in parameters if each["name"] == "If-Match"] == [True]


@pytest.mark.parametrize(
    ("method", "path", "failures"),
    [
        ("put", "/api/mailboxes/{mailbox_id}", {400, 404, 412, 413, 415, 422, 428}),
        ("post", "/api/mailboxes/{mailbox_id}/poll", {404, 409}),
        ("put", "/api/contacts/{address}", {400, 404, 409, 412, 413, 415, 422}),
        ("get", "/api/audit", {422}),
    ],
)
def test_an_operation_tells_how_it_can_fail(document, method: str, path: str, failures: set[int]):
    told = document["paths"][path][method]["responses"].keys() - {"default"}

    assert {int(status) for status in told if status >= "400"} == failures


def test_no_interactive_page_is_served(api: TestClient):
    assert [api.get(path).status_code for path in ("/docs", "/redoc", "/api/docs", "/openapi.json")] == [404] * 4
