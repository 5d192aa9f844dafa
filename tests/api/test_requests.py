"""Whatever is sent, the answer is problem details (RFC 9457) and tells nothing that it should not (req W1)."""

import gzip
import json
import logging
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from shared.application.services import Services
from shared.domain.errors import StoreUnavailable
from shared.entrypoints.http.app import build


def kind(answer) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["type"].removeprefix("urn:mailroom:")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"name=Support", b'{"name": NaN}', b'"\xff"', b'"\\ud800"', b"[" * 100_000, b"1" * 10_000],
    ids=["empty", "unfinished", "form", "NaN", "no UTF-8", "lone surrogate", "deep", "huge number"],
)
def test_a_body_that_is_no_json_is_a_bad_request(api: TestClient, body: bytes):
    answer = api.post("/api/mailboxes", content=body, headers={"Content-Type": "application/json"})

    assert kind(answer) == (400, "bad_request")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_of_another_type_is_not_supported(api: TestClient, content_type: str):
    answer = api.post("/api/mailboxes", content=b"{}", headers={"Content-Type": content_type})

    assert kind(answer) == (415, "unsupported_media_type")


def test_a_charset_beside_the_type_is_no_trouble(api: TestClient, support):
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}

    answer = api.post("/api/mailboxes", content=json.dumps(support), headers=headers)

    assert answer.status_code == 201


def test_a_body_may_come_compressed(api: TestClient, support):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    answer = api.post("/api/mailboxes", content=gzip.compress(json.dumps(support).encode()), headers=headers)
    too_large = api.post("/api/mailboxes", content=gzip.compress(b" " * 1_000_001), headers=headers)

    assert answer.status_code == 201
    assert kind(too_large) == (413, "too_large")


def test_a_body_over_one_megabyte_is_too_large(api: TestClient):
    answer = api.post("/api/mailboxes", content=b" " * 1_000_001, headers={"Content-Type": "application/json"})

    assert kind(answer) == (413, "too_large")


def test_an_unknown_path_is_not_found(api: TestClient):
    assert [kind(api.get(path)) for path in ("/api", "/api/nothing", "/api/mailboxes/")] == [(404, "not_found")] * 3


def test_a_method_that_is_not_allowed_is_told_with_those_that_are(api: TestClient):
    answer = api.patch("/api/health")

    assert kind(answer) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET"
    assert api.patch("/api/mailboxes").headers["Allow"] == "GET, POST"


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=many", "status=closed", "mailbox=No%2FId"])
def test_a_parameter_out_of_range_is_named(api: TestClient, query: str):
    answer = api.get(f"/api/tickets?{query}")

    assert kind(answer) == (422, "invalid")
    assert [each["path"] for each in answer.json()["problems"]] == [f"query.{query.partition('=')[0]}"]


class _Broken:
    """A store of mailboxes with a bug or without a connection."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def all(self):
        raise self._error


def test_a_bug_is_logged_under_the_id_that_the_answer_names(services: Services, caplog):
    api = TestClient(build(replace(services, mailboxes=_Broken(KeyError("hunter2")))))

    with caplog.at_level(logging.ERROR, "mailroom"):
        answer = api.get("/api/mailboxes")

    assert kind(answer) == (500, "internal_error")
    assert "hunter2" not in answer.text
    event = json.loads(caplog.records[0].message)
    assert event["event"] == "request.failed"
    assert event["correlation"] == answer.json()["correlation_id"]
    assert (event["method"], event["route"]) == ("GET", "/api/mailboxes")


def test_a_store_that_does_not_answer_is_told_as_such(services: Services):
    api = TestClient(build(replace(services, mailboxes=_Broken(StoreUnavailable("storage answered 500")))))

    answer = api.get("/api/mailboxes")

    assert kind(answer) == (503, "store_unavailable")


def test_no_answer_is_stored_or_guessed_at_by_a_browser(api: TestClient):
    for answer in (api.get("/api/mailboxes"), api.get("/api/nothing")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
