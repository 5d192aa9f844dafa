"""One text is told to many people, each singly, and to nobody twice (req M8)."""

import re
from dataclasses import dataclass, replace
from email.message import EmailMessage
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from local.smtp_server import SmtpServer
from shared.application.announcing import asked_for
from shared.application.own_ids import OwnIds
from shared.application.services import Services
from shared.domain.errors import StoreUnavailable
from shared.entrypoints.http.app import build
from tests.api.desk import Desk, mail, messages
from tests.clock import MovableClock
from tests.intake.mail import bounce
from tests.sources.contract import Secrets


@dataclass
class Audience:
    """A group of contacts that no other test has."""

    api: TestClient
    name: str

    def add(self, *names: str, **details: Any) -> None:
        for name in names:
            answer = self.api.put(f"/api/contacts/{self.address(name)}", json={"groups": [self.name], **details})
            assert answer.status_code in (200, 201), answer.text

    def address(self, name: str) -> str:
        return f"{name}@{self.name}.example.org"

    def contact(self, name: str) -> dict[str, Any]:
        return self.api.get(f"/api/contacts/{self.address(name)}").json()


@pytest.fixture
def group(api: TestClient) -> Audience:
    return Audience(api, f"g{uuid4().hex[:12]}")


@pytest.fixture
def asked(desk: Desk, group: Audience) -> dict[str, Any]:
    """An announcement with nothing wrong."""
    audience = {"kind": "group", "group": group.name}
    return {"mailbox": desk.id, "subject": "Planned work", "text": "It is down from 8 to 9.", "audience": audience}


def told(smtp: SmtpServer) -> list[str]:
    return sorted(recipient for each in smtp.received for recipient in each.recipients)


def paths(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [each["path"] for each in answer.json()["problems"]]


def test_a_plan_counts_and_sends_nothing(api: TestClient, smtp, sender, group: Audience, asked, run):
    group.add("ann", "bob")
    group.add("eve", unsubscribed_at="2026-01-01T00:00:00Z")
    group.add("dan", bounced_at="2026-01-01T00:00:00Z")
    group.add("noreply")

    answer = api.post("/api/announcements?plan=true", json=asked)

    run()
    assert answer.status_code == 200, answer.text
    planned = answer.json()
    assert (planned["id"], planned["status"], planned["recipients"]) == (None, "planned", 2)
    assert planned["left_out"] == {"unsubscribed": 1, "bounced": 1, "no_reply_address": 1}
    assert smtp.received == []


def test_each_is_told_singly_by_a_message_that_is_marked_automatic(
    api: TestClient, smtp, sender, group: Audience, asked, run
):
    group.add("ann", "bob")

    begun = api.post("/api/announcements", json=asked)
    run()

    assert begun.status_code == 201, begun.text
    assert told(smtp) == [group.address("ann"), group.address("bob")]
    for message, received in zip(messages(smtp), smtp.received, strict=True):
        assert (message["To"],) == received.recipients
        assert message["Subject"] == "Planned work"
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["Precedence"] == "bulk"
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert "It is down from 8 to 9." in message.get_body(("plain",)).get_content()
    shown = api.get(begun.headers["Location"]).json()
    assert (shown["status"], shown["queued"], shown["sent"], shown["waiting"]) == ("sent", 2, 2, 0)


def test_html_is_sanitised_and_has_a_text(api: TestClient, smtp, sender, group: Audience, asked, run):
    group.add("ann")
    del asked["text"]

    api.post("/api/announcements", json={**asked, "html": "<p onclick='x()'>Down <b>soon</b></p>"})
    run()

    (message,) = messages(smtp)
    assert "<b>soon</b>" in message.get_body(("html",)).get_content()
    assert "onclick" not in message.get_body(("html",)).get_content()
    assert "Down soon" in message.get_body(("plain",)).get_content()


def test_more_than_a_sender_may_send_is_spread_over_minutes(api: TestClient, smtp, sender, group: Audience, asked, run):
    asked["audience"] = {"kind": "addresses", "addresses": [group.address(f"a{place}") for place in range(50)]}

    url = api.post("/api/announcements", json=asked).headers["Location"]
    run()
    first, shown = len(smtp.received), api.get(url).json()
    run()

    assert first == 40
    assert (shown["status"], shown["recipients"], shown["queued"], shown["sent"]) == ("sending", 50, 40, 40)
    assert told(smtp) == sorted(asked["audience"]["addresses"])
    assert api.get(url).json()["status"] == "sent"


def test_who_waits_for_an_answer_comes_before_an_announcement(
    api: TestClient, smtp, sender, desk: Desk, group: Audience, asked, run
):
    slow = api.get(f"/api/senders/{sender}")
    limited = {**slow.json(), "limits": {"messages_per_minute": 5}}
    assert api.put(slow.url.path, json=limited, headers={"If-Match": slow.headers["ETag"]}).status_code == 200
    asked["audience"] = {"kind": "addresses", "addresses": [group.address(f"a{place}") for place in range(70)]}
    api.post("/api/announcements", json=asked)
    run()

    desk.take_in(mail(From=group.address("ann")).as_bytes())
    run()

    assert len(smtp.received) == 10
    assert group.address("ann") in told(smtp)


def test_who_is_named_twice_is_told_once(api: TestClient, smtp, sender, group: Audience, asked, run):
    ann = group.address("ann")
    asked["audience"] = {"kind": "addresses", "addresses": [ann, ann.upper(), ann]}

    api.post("/api/announcements", json=asked)
    run()

    assert len(smtp.received) == 1


def test_it_goes_on_where_it_was_broken_off_and_tells_nobody_twice(
    api: TestClient, services: Services, smtp, sender, group: Audience, asked, run, monkeypatch
):
    asked["audience"] = {"kind": "addresses", "addresses": [group.address(f"a{place}") for place in range(50)]}
    store, commit, left = services.tickets, services.tickets.commit, [0, 1, 2, 30, 31]

    def breaks(mailbox_id: str, changes: Any) -> str:
        left[:] = [each - 1 for each in left]
        if -1 in left:
            raise StoreUnavailable
        return commit(mailbox_id, changes)

    api.post("/api/announcements", json=asked, headers={"Idempotency-Key": f"{group.name}-1"})
    monkeypatch.setattr(type(store), "commit", lambda _, mailbox_id, changes: breaks(mailbox_id, changes))
    for _ in range(12):
        try:
            run()
        except StoreUnavailable:
            continue

    assert told(smtp) == sorted(asked["audience"]["addresses"])


def test_a_request_that_is_sent_again_announces_once(api: TestClient, smtp, sender, group: Audience, asked, run):
    group.add("ann")
    key = {"Idempotency-Key": group.name}

    first = api.post("/api/announcements", json=asked, headers=key)
    run()
    again = api.post("/api/announcements", json=asked, headers=key)
    run()

    assert again.json()["id"] == first.json()["id"]
    assert len(smtp.received) == 1
    assert paths(api.post("/api/announcements", json={**asked, "text": "x"}, headers=key)) == ["header.Idempotency-Key"]


def test_what_is_cancelled_goes_no_further(api: TestClient, smtp, sender, group: Audience, asked, run):
    asked["audience"] = {"kind": "addresses", "addresses": [group.address(f"a{place}") for place in range(50)]}
    url = api.post("/api/announcements", json=asked).headers["Location"]
    run()

    cancelled = api.post(f"{url}/cancel").json()
    run()

    assert len(smtp.received) == 40
    assert (cancelled["status"], cancelled["queued"], cancelled["sent"]) == ("cancelled", 40, 40)
    assert api.get(url).json() == cancelled == api.post(f"{url}/cancel").json()


def test_who_announced_what_and_who_cancelled_it_is_on_record(
    api: TestClient, clock: MovableClock, sender, group: Audience, asked
):
    group.add("ann")
    begun = api.post("/api/announcements", json=asked, headers={"x-ms-client-principal-name": "bob@example.com"}).json()
    clock.advance(minutes=1)
    api.post(f"/api/announcements/{begun['id']}/cancel")

    records = api.get(f"/api/audit?kind=announcement&id={begun['id']}").json()["entries"]

    assert begun["by"] == "bob@example.com"
    assert [(each["by"], each["action"]) for each in records] == [
        ("function key", "cancelled"),
        ("bob@example.com", "created"),
    ]
    assert "Planned work" not in str(records)


def unsubscribe_path(message: EmailMessage) -> str:
    url = re.fullmatch("<https://mailroom.example(.*)>", message["List-Unsubscribe"].replace(" ", ""))
    assert url
    return url[1]


def test_one_click_unsubscribes_a_contact(api: TestClient, smtp, sender, group: Audience, asked, run):
    group.add("ann", name="Ann", company="Example")
    api.post("/api/announcements", json=asked)
    run()
    link = unsubscribe_path(messages(smtp)[0])

    asked_first = api.get(link)
    before = group.contact("ann")
    clicked = api.post(link, data={"List-Unsubscribe": "One-Click"})

    assert (asked_first.status_code, before["unsubscribed_at"]) == (200, None)
    assert group.address("ann") in asked_first.text
    assert clicked.status_code == 200
    assert group.contact("ann")["unsubscribed_at"] == "2026-11-21T10:01:00Z"
    assert group.contact("ann")["company"] == "Example"
    assert api.post("/api/announcements?plan=true", json=asked).json()["recipients"] == 0


def test_a_guest_who_unsubscribes_becomes_a_contact_who_has(api: TestClient, smtp, sender, group: Audience, asked, run):
    asked["audience"] = {"kind": "addresses", "addresses": [group.address("guest")]}
    api.post("/api/announcements", json=asked)
    run()

    api.post(unsubscribe_path(messages(smtp)[0]))

    assert group.contact("guest")["unsubscribed_at"] is not None
    assert api.post("/api/announcements?plan=true", json=asked).json()["left_out"] == {"unsubscribed": 1}


def test_the_link_tells_strangers_nothing(api: TestClient, smtp, sender, group: Audience, asked, run):
    group.add("ann")
    api.post("/api/announcements", json=asked)
    run()
    link = unsubscribe_path(messages(smtp)[0])

    forged = link[:-6] + ("A" if link[-6] != "A" else "B") + link[-5:]

    assert "ann" not in link
    for path in (forged, "/hooks/unsubscribe?token=", "/hooks/unsubscribe?token=%C3%A9", "/hooks/unsubscribe"):
        assert (api.get(path).status_code, api.post(path).status_code) == (404, 404)


def test_what_people_must_know_reaches_those_who_have_unsubscribed(
    api: TestClient, smtp, sender, group: Audience, asked, run
):
    group.add("ann", unsubscribed_at="2026-01-01T00:00:00Z")

    api.post("/api/announcements", json={**asked, "required": True})
    run()

    (message,) = messages(smtp)
    assert message["List-Unsubscribe"] is None
    assert "nsubscribe" not in message.get_body(("plain",)).get_content()


def test_each_is_told_in_their_language_where_there_is_a_template(
    api: TestClient, smtp, sender, group: Audience, asked, run
):
    group.add("ann", language="it")
    template = {"name": group.name, "kind": "announcement", "language": "it", "mailbox_id": asked["mailbox"]}
    words = {"subject": "Avviso: {{ message.subject }}", "text": "{{ message.text }}"}
    assert api.post("/api/templates", json=template | words).status_code == 201

    api.post("/api/announcements", json=asked)
    run()

    (message,) = messages(smtp)
    assert (message["Subject"], message["Content-Language"]) == ("Avviso: Planned work", "it")


def test_the_sender_that_is_named_sends_it(api: TestClient, smtp, sender, group: Audience, asked, run):
    group.add("ann")
    transport = {"kind": "smtp", "host": "localhost", "port": smtp.port, "tls": {"mode": "none"}}
    other = api.post(
        "/api/senders", json={"name": "Other", "from_address": "other@example.com", "transport": transport}
    ).json()["id"]

    api.post("/api/announcements", json={**asked, "sender": other})
    run()

    assert "other@example.com" in messages(smtp)[0]["From"]


_BAD: list[tuple[dict[str, Any], list[str]]] = [
    ({"subject": "a\r\nBcc: b@example.org"}, ["$.subject"]),
    ({"text": None}, ["$"]),
    ({"html": "x"}, ["$"]),
    ({"audience": {"kind": "everybody"}}, ["$.audience.kind"]),
    ({"audience": {"kind": "addresses", "addresses": ["nobody"]}}, ["$.audience.addresses[0]"]),
    ({"audience": {"kind": "addresses", "addresses": []}}, ["$.audience.addresses"]),
    ({"audience": {"kind": "company", "company": ""}}, ["$.audience.company"]),
    ({"mailbox": "nothing"}, ["$.mailbox"]),
    ({"sender": "nothing"}, ["$.sender"]),
    ({"attachments": []}, ["$.attachments"]),
]


def test_an_announcement_that_cannot_be_is_refused(api: TestClient, sender, asked):
    found = [(change, paths(api.post("/api/announcements", json={**asked, **change}))) for change, _ in _BAD]

    assert found == _BAD


def test_nothing_begins_where_nothing_can_be_sent(api: TestClient, asked):
    assert api.post("/api/announcements", json=asked).status_code == 409


def test_nothing_begins_where_nobody_could_unsubscribe(services: Services, desk: Desk, sender, asked):
    without_key = TestClient(build(replace(services, own_ids=OwnIds(Secrets({})))))
    without_url = TestClient(build(replace(services, settings=replace(services.settings, public_url=""))))

    refused = [each.post("/api/announcements", json=asked).json()["type"] for each in (without_key, without_url)]

    assert refused == ["urn:mailroom:secret_missing", "urn:mailroom:conflict"]
    assert without_url.post("/api/announcements", json={**asked, "required": True}).status_code == 201


def test_what_does_not_exist_is_not_found(api: TestClient):
    assert api.get("/api/announcements/nothing").status_code == 404
    assert api.post("/api/announcements/nothing/cancel").status_code == 404


def test_announcements_are_listed_newest_first(
    api: TestClient, clock: MovableClock, sender, group: Audience, asked, smtp
):
    for subject in ("One", "Two"):
        api.post("/api/announcements", json={**asked, "subject": f"{subject} {group.name}"})
        clock.advance(minutes=1)

    shown = [each["subject"] for each in api.get("/api/announcements").json()["announcements"]]

    assert [each for each in shown if group.name in each] == [f"Two {group.name}", f"One {group.name}"]


def test_who_is_erased_is_taken_out_of_the_lists_of_announcements(api: TestClient, services, sender, group, asked, run):
    ann, bob = group.address("ann"), group.address("bob")
    lists = [[ann, bob], [ann.upper(), bob], [ann]]
    begun = [
        api.post("/api/announcements", json={**asked, "audience": {"kind": "addresses", "addresses": each}}).json()
        for each in (*lists, lists[0])
    ]
    run(5)

    counts = api.post("/api/erasures", json={"address": ann, "plan": False}).json()["counts"]

    kept = [str(asked_for(services, services.announcements.get(each["id"]).value).audience) for each in begun]
    assert counts["announcements"] == 4
    assert ann not in "".join(kept).lower()
    assert [bob in each for each in kept] == [True, True, False, True]


def test_mail_that_comes_back_from_an_announcement_marks_the_contact_it_went_to(
    api: TestClient, desk: Desk, smtp, sender, group: Audience, asked, run
):
    group.add("ann", "bob")
    api.post("/api/announcements", json=asked)
    run()
    (sent,) = (each["Message-ID"] for each in messages(smtp) if each["To"] == group.address("ann"))

    desk.take_in(bounce(group.address("ann"), sent))
    desk.take_in(bounce(group.address("bob"), sent).replace(b"<bounce@", b"<forged@"))
    run()

    assert group.contact("ann")["bounce"].startswith("5.1.1")
    assert group.contact("bob")["bounced_at"] is None
    assert api.get("/api/tickets").json()["tickets"] == []
