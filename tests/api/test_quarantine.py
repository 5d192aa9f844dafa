"""People look at what could not be handled, correct it, try it again or drop it (req O9)."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from shared.application.ports.tickets import Commit
from shared.domain.intake import MailboxState, QuarantineEntry
from shared.domain.message import MessageRef
from tests.api.desk import Desk, mail

RFC822 = {"Content-Type": "message/rfc822"}


@pytest.fixture
def quarantine(desk: Desk) -> str:
    return f"/api/mailboxes/{desk.id}/quarantine"


def put(desk: Desk, content: bytes | None, number: int = 1) -> str:
    """A message into quarantine, as a poll does it; its id."""
    pointer = desk.services.raws.keep(desk.id, content) if content is not None else None
    ref = MessageRef("INBOX", str(number))
    entry = QuarantineEntry(ref, desk.services.clock(), 3, "store_rejected", "storage refused the data", pointer)
    desk.services.tickets.commit(desk.id, Commit(quarantined=[entry]))
    return entry.id


def problems(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [each["message"] for each in answer.json()["problems"]]


def test_a_message_is_shown_with_why_it_is_there_and_what_it_says(api: TestClient, desk: Desk, quarantine: str):
    entry = put(desk, mail("Jammed", X_Test="=?utf-8?q?Gr=C3=B6=C3=9Fe?=").as_bytes())

    shown = api.get(f"{quarantine}/{entry}").json()

    assert (shown["attempts"], shown["error_code"], shown["error"]) == (3, "store_rejected", "storage refused the data")
    assert (shown["message"]["subject"], shown["message"]["sender"]["address"]) == ("Jammed", "ann@example.org")
    assert {"name": "x-test", "value": "Größe"} in shown["header"]


def test_one_that_was_never_fetched_is_shown_without_its_message(api: TestClient, desk: Desk, quarantine: str):
    entry = put(desk, None)

    shown = api.get(f"{quarantine}/{entry}").json()

    assert (shown["size"], shown["header"], shown["message"]) == (None, [], None)
    assert api.get(f"{quarantine}/{entry}/message").status_code == 404


def test_its_bytes_are_exported_as_they_were_received(api: TestClient, desk: Desk, quarantine: str):
    content = mail().as_bytes() + b"\x00\xff"
    entry = put(desk, content)

    answer = api.get(f"{quarantine}/{entry}/message")

    assert answer.content == content
    assert answer.headers["Content-Type"] == "message/rfc822"
    assert f'filename="{entry}.eml"' in answer.headers["Content-Disposition"]


def test_a_corrected_message_takes_its_place_and_the_original_can_still_be_exported(
    api: TestClient, desk: Desk, quarantine: str
):
    entry = put(desk, mail("Wrong").as_bytes())
    etag = api.get(f"{quarantine}/{entry}").headers["ETag"]
    corrected = mail("Right").as_bytes()

    answer = api.put(f"{quarantine}/{entry}/message", content=corrected, headers=RFC822 | {"If-Match": etag})

    assert (answer.json()["is_corrected"], answer.json()["message"]["subject"]) == (True, "Right")
    assert api.get(f"{quarantine}/{entry}/message").content == corrected
    assert api.get(f"{quarantine}/{entry}/message?original=true").content == mail("Wrong").as_bytes()
    assert api.post(f"{quarantine}/{entry}/retry").json()["ticket"] == "SUP-1"
    assert api.get("/api/tickets/SUP-1").json()["subject"] == "Right"


def test_a_correction_of_another_version_is_refused(api: TestClient, desk: Desk, quarantine: str):
    entry = put(desk, mail("Wrong").as_bytes())
    right = mail("Right").as_bytes()

    stale = api.put(f"{quarantine}/{entry}/message", content=right, headers=RFC822 | {"If-Match": '"other"'})
    unsaid = api.put(f"{quarantine}/{entry}/message", content=right, headers=RFC822)

    assert (stale.status_code, unsaid.status_code) == (412, 428)


def test_a_correction_that_is_no_message_is_refused_and_nothing_changed(api: TestClient, desk: Desk, quarantine: str):
    entry = put(desk, mail("Wrong").as_bytes())
    headers = RFC822 | {"If-Match": "*"}

    assert "has no From with an address" in problems(
        api.put(f"{quarantine}/{entry}/message", content=b"", headers=headers)
    )
    assert api.get(f"{quarantine}/{entry}").json()["is_corrected"] is False


def test_all_are_retried_at_once_and_what_became_of_each_is_told(api: TestClient, desk: Desk, quarantine: str):
    ids = [put(desk, mail(f"Case {number}").as_bytes(), number) for number in range(3)] + [put(desk, None, 9)]

    answer = api.post(f"{quarantine}/retry").json()

    told = {each["id"]: each["outcome"] for each in answer["messages"]}
    assert told == dict(zip(ids, ["created", "created", "created", "deferred"], strict=True))
    assert answer["left"] == 0
    assert api.get(quarantine).json()["entries"] == []


def test_a_retry_waits_for_a_poll(api: TestClient, desk: Desk, quarantine: str):
    entry = put(desk, mail().as_bytes())
    _, etag = desk.services.tickets.state(desk.id)
    now = desk.services.clock()
    leased = MailboxState(lease_owner="another worker", lease_until=now.replace(year=now.year + 1))
    desk.services.tickets.commit(desk.id, Commit(leased, etag))

    answer = api.post(f"{quarantine}/{entry}/retry")

    assert (answer.status_code, answer.headers["Retry-After"]) == (409, "10")
    assert len(api.get(quarantine).json()["entries"]) == 1


def test_a_message_is_dropped_with_a_reason_that_is_on_record(api: TestClient, desk: Desk, quarantine: str):
    entry = put(desk, mail().as_bytes(), 4711)

    answer = api.post(f"{quarantine}/{entry}/drop", json={"reason": "Nobody needs it"})

    assert answer.status_code == 204
    assert api.get(f"{quarantine}/{entry}").status_code == 404
    record, *_ = api.get("/api/audit", params={"kind": "quarantined message", "id": entry}).json()["entries"]
    assert (record["action"], record["after"]["reason"]) == ("dropped", "Nobody needs it")
    (run,) = api.get(f"/api/mailboxes/{desk.id}/runs").json()["runs"]
    assert run["ignored"] == {"dropped": 1}


@pytest.mark.parametrize("body", [{}, {"reason": " "}, {"reason": 7}, {"reason": "x" * 501}])
def test_a_message_is_not_dropped_without_a_reason(api: TestClient, desk: Desk, quarantine: str, body: dict[str, Any]):
    entry = put(desk, mail().as_bytes())

    assert len(problems(api.post(f"{quarantine}/{entry}/drop", json=body))) == 1
    assert api.get(f"{quarantine}/{entry}").status_code == 200


def test_what_somebody_else_took_out_is_not_there_any_more(api: TestClient, desk: Desk, quarantine: str):
    entry = put(desk, mail().as_bytes())
    api.post(f"{quarantine}/{entry}/retry")

    answers = [
        api.post(f"{quarantine}/{entry}/retry"),
        api.post(f"{quarantine}/{entry}/drop", json={"reason": "late"}),
        api.get(f"{quarantine}/{entry}/message"),
        api.get(f"{quarantine}/nonsense"),
    ]

    assert [each.status_code for each in answers] == [404] * 4
