"""People work on tickets through the API: answers and notes, fields, merging, links (req W3)."""

from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from typing import Any

import pytest
from fastapi.testclient import TestClient

from local.smtp_server import SmtpServer
from shared.application.services import Services
from tests.api.desk import Desk, mail, messages
from tests.clock import MovableClock

TECHNICIAN = "bob@example.com"
SENDER = {"name": "Main", "from_address": "desk@example.com", "transport": {"kind": "smtp", "host": "smtp.example.com"}}

Change = Callable[..., Any]


@pytest.fixture
def change(api: TestClient, desk: Desk) -> Change:
    """Sends a request for the version of the ticket that is there now, which a customer has opened."""
    desk.take_in(mail("Printer jams").as_bytes())
    api.put(f"/api/contacts/{TECHNICIAN}", json={"name": "Bob Miller", "role": "technician"})

    def send(method: str, path: str, body: Any = None, **headers: str) -> Any:
        tag = path.partition("/")[0]
        version = {"If-Match": api.get(f"/api/tickets/{tag}").headers["ETag"]}
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return api.request(method, f"/api/tickets/{path}", json=body, headers={**version, **more})

    return send


@pytest.fixture
def comment(change: Change) -> Change:
    """Adds a comment to the ticket SUP-1."""
    return lambda key="", **body: change(
        "POST",
        "SUP-1/comments",
        {"kind": "public", "text": "Change the cartridge.", **body},
        **({"Idempotency-Key": key} if key else {}),
    )


def ticket(api: TestClient, tag: str = "SUP-1") -> dict[str, Any]:
    return api.get(f"/api/tickets/{tag}").json()


def owed(desk: Desk) -> list[dict[str, Any]]:
    """What the changes since then are to be told of."""
    found = [entry.payload for entry in desk.services.tickets.outbox(desk.id) if entry.kind == "event"]
    return [{name: value for name, value in each.items() if name != "at"} for each in found if each.get("technician")]


def answers(smtp: SmtpServer) -> tuple[tuple[str, ...], EmailMessage]:
    """The only message that a person wrote, and who got it."""
    sent = zip(smtp.received, messages(smtp), strict=True)
    (found,) = ((received.recipients, message) for received, message in sent if not message["Auto-Submitted"])
    return found


def paths(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [each["path"] for each in answer.json()["problems"]]


def test_an_answer_is_kept_in_the_log_and_owed_to_the_customer(api: TestClient, desk: Desk, comment: Change):
    answer = comment(author=TECHNICIAN)

    assert answer.status_code == 201, answer.text
    assert answer.headers["ETag"] == api.get("/api/tickets/SUP-1").headers["ETag"]
    log = ticket(api)["comments"]
    assert log[1] == answer.json()
    assert (log[1]["seq"], log[1]["kind"], log[1]["text"].strip()) == (2, "public", "Change the cartridge.")
    assert log[1]["author"] == {"address": TECHNICIAN, "name": "Bob Miller"}
    told, opened = sorted(owed(desk), key=lambda each: each["type"])
    assert told == {
        "type": "ticket.commented",
        "ticket": 1,
        "seq": 2,
        "by": TECHNICIAN,
        "technician": True,
        "internal": False,
    }
    assert (opened["before"], opened["after"], opened["quiet"]) == ("new", "open", True)


def test_an_answer_wakes_up_who_delivers(desk: Desk, comment: Change):
    queue = desk.services.deliveries._clients.queue("deliveries")
    queue.clear_messages()

    comment()

    assert len(list(queue.receive_messages())) == 1


def test_the_first_answer_opens_a_new_ticket_and_a_note_does_not(api: TestClient, comment: Change):
    comment(kind="internal")
    assert ticket(api)["status"] == "new"

    comment()
    assert ticket(api)["status"] == "open"


def test_an_answer_can_close_the_ticket(api: TestClient, desk: Desk, clock: MovableClock, comment: Change):
    clock.advance(hours=1)

    comment(status="closed")

    found = ticket(api)
    assert (found["status"], found["closed_at"]) == ("closed", "2026-11-21T11:00:00Z")
    assert [each["tag"] for each in api.get("/api/tickets").json()["tickets"]] == []
    assert [(each["before"], each["after"], each["quiet"]) for each in owed(desk) if "before" in each] == [
        ("new", "closed", False)
    ]


def test_attachments_and_html_are_read_as_those_of_messages_are(api: TestClient, comment: Change):
    files = [
        {"name": "manual.pdf", "content_type": "application/pdf", "content": b64encode(b"%PDF-1").decode()},
        {"name": "dot.gif", "content_type": "image/gif", "content": b64encode(b"GIF89a").decode(), "content_id": "dot"},
    ]

    answer = comment(text=None, html='<p onclick="x()">See <b>this</b></p><img src="cid:dot">', attachments=files)

    made = answer.json()
    assert [(each["name"], each["inline"]) for each in made["attachments"]] == [
        ("dot.gif", True),
        ("manual.pdf", False),
    ]
    assert api.get(made["attachments"][1]["href"]).content == b"%PDF-1"
    html = api.get(made["message"]["html_href"]).text
    assert "<b>this</b>" in html
    assert "onclick" not in html
    assert "data:image/gif" in html
    assert "See this" in made["text"]


def test_who_is_put_in_copy_may_answer(api: TestClient, desk: Desk, comment: Change):
    comment(cc=[{"address": "boss@example.org", "name": "Boss"}])

    assert ticket(api)["cc"] == [{"address": "boss@example.org", "name": "Boss"}]
    desk.take_in(mail("Re: [SUP-1]", From="boss@example.org").as_bytes())
    assert ticket(api)["comment_count"] == 3


def test_who_is_in_copy_has_a_part_in_a_ticket_however_many_others_have(api: TestClient, desk: Desk, change: Change):
    for first in (0, 50, 100):
        people = [{"address": f"{place}@example.net"} for place in range(first, first + 50)]
        assert change("PATCH", "SUP-1", {"cc": people}).status_code == 200

    desk.take_in(*(mail(f"{who}: [SUP-1]", From=who).as_bytes() for who in ("149@example.net", "ann@example.org")))

    assert ticket(api)["comment_count"] == 3
    stored = desk.services.tickets.ticket(desk.id, 1)
    assert stored is not None
    assert len(stored.value.participants) == 100


def test_a_caller_who_is_a_technician_is_the_author(api: TestClient, change: Change):
    body = {"kind": "internal", "text": "Call them."}

    signed_in = change("POST", "SUP-1/comments", body, **{"x-ms-client-principal-name": TECHNICIAN})
    by_key = change("POST", "SUP-1/comments", body)

    assert signed_in.json()["author"] == {"address": TECHNICIAN, "name": "Bob Miller"}
    assert by_key.json()["author"] == {"address": "", "name": "function key"}


_BAD_COMMENTS: list[tuple[Any, list[str]]] = [
    ({}, ["$.kind"]),
    ({"kind": "secret", "text": "x"}, ["$.kind"]),
    ({"kind": "public"}, ["$"]),
    ({"kind": "public", "text": "x", "html": "x"}, ["$"]),
    ({"kind": "public", "text": ""}, ["$.text"]),
    ({"kind": "public", "text": " \n\x00"}, ["$.text"]),
    ({"kind": "public", "text": "x" * 200_001}, ["$.text"]),
    ({"kind": "public", "text": "x", "author": "ann@example.org"}, ["$.author"]),
    ({"kind": "public", "text": "x", "author": "nobody@example.org"}, ["$.author"]),
    ({"kind": "public", "text": "x", "sender": "nobody"}, ["$.sender"]),
    ({"kind": "internal", "text": "x", "cc": [{"address": "a@example.org"}]}, ["$.cc"]),
    ({"kind": "public", "text": "x", "cc": [{"address": "support@example.com"}]}, ["$.cc[0].address"]),
    ({"kind": "public", "text": "x", "cc": [{"address": "a@b\r\nBcc: c@d"}]}, ["$.cc[0].address"]),
    (
        {"kind": "public", "text": "x", "cc": [{"address": "a@example.org", "name": "A\r\nBcc: c@d"}]},
        ["$.cc[0].name"],
    ),
    ({"kind": "public", "text": "x", "attachments": [{"name": "a", "content": "?"}]}, ["$.attachments[0].content"]),
    (
        {
            "kind": "public",
            "text": "x",
            "attachments": [{"name": "a\r\nb", "content_type": "x", "content": "eA=="}],
        },
        ["$.attachments[0].name", "$.attachments[0].content_type"],
    ),
    ({"kind": "public", "text": "x", "status": "lost"}, ["$.status"]),
    ({"kind": "public", "text": "x", "bcc": []}, ["$.bcc"]),
]


def test_a_comment_that_cannot_be_is_refused_with_all_its_problems(api: TestClient, desk: Desk, change: Change):
    found = [(body, paths(change("POST", "SUP-1/comments", body))) for body, _ in _BAD_COMMENTS]

    assert found == _BAD_COMMENTS
    assert ticket(api)["comment_count"] == 1
    assert owed(desk) == []


def test_more_attachments_than_servers_take_are_refused(comment: Change):
    files = [{"name": f"{place}.bin", "content": "A" * 9_000_000} for place in range(3)]

    assert paths(comment(attachments=files)) == ["$.attachments"]


def test_a_technician_chooses_among_the_senders_that_are_enabled(api: TestClient, desk: Desk, comment: Change):
    sender = api.post("/api/senders", json=SENDER).json()["id"]

    comment(sender=sender)

    assert [each["sender"] for each in owed(desk) if "sender" in each] == [sender]


def test_a_mailbox_may_leave_no_choice(api: TestClient, desk: Desk, comment: Change):
    sender = api.post("/api/senders", json=SENDER).json()["id"]
    current = api.get(f"/api/mailboxes/{desk.id}")
    settled = current.json() | {"notices": {"technicians_choose_sender": False}}
    api.put(f"/api/mailboxes/{desk.id}", json=settled, headers={"If-Match": current.headers["ETag"]})

    assert paths(comment(sender=sender)) == ["$.sender"]


def test_no_text_makes_a_header(api: TestClient, change: Change):
    change("PATCH", "SUP-1", {"subject": "Bcc: eve@example.net"})
    change("POST", "SUP-1/comments", {"kind": "public", "text": "Bcc: eve@example.net\r\n\r\nX: y"})

    raw = api.get("/api/tickets/SUP-1/comments/2/raw").content
    fields = raw.partition(b"\r\n\r\n")[0]
    assert b"\nBcc:" not in fields
    assert b"\nX:" not in fields


def test_fields_are_changed_as_far_as_they_are_named(api: TestClient, change: Change):
    values = {
        "subject": "Stripes",
        "status": "open",
        "assignee": "BOB@example.com",
        "group": "First level",
        "category": "Hardware",
        "priority": "high",
        "type": "incident",
        "service": "Printing",
        "company": "Example Ltd",
        "custom": {"impact": "everybody"},
        "tags": ["printer", "printer", "2nd floor"],
        "cc": [{"address": "boss@example.org", "name": ""}],
    }

    first = change("PATCH", "SUP-1", values).json()
    second = change("PATCH", "SUP-1", {"priority": None, "tags": None, "custom": None}).json()

    expected = {**values, "assignee": TECHNICIAN, "custom": {"impact": "Everybody"}, "tags": ["printer", "2nd floor"]}
    assert {name: first[name] for name in values} == expected
    assert {name: second[name] for name in values} == {**expected, "priority": "", "tags": [], "custom": {}}
    assert ticket(api)["subject"] == "Stripes"


def test_a_patch_is_also_sent_under_its_own_media_type(api: TestClient, change: Change):
    change("PATCH", "SUP-1", {"group": "Second level"}, **{"Content-Type": "application/merge-patch+json"})
    refused = change("PATCH", "SUP-1", {"group": "Third level"}, **{"Content-Type": "text/plain"})

    assert ticket(api)["group"] == "Second level"
    assert refused.status_code == 415


def test_a_new_type_keeps_the_fields_that_it_has_too(api: TestClient, services: Services, change: Change):
    fields = [{"name": "supplier", "label": "Supplier"}, {"name": "why", "label": "Why", "required": True}]
    complaint = api.post("/api/ticket-types", json={"name": "Complaint", "fields": fields}).json()["id"]
    change("PATCH", "SUP-1", {"type": "purchase-order", "custom": {"supplier": "ACME", "amount": "12.5"}})

    refused = change("PATCH", "SUP-1", {"type": complaint})
    answer = change("PATCH", "SUP-1", {"type": complaint, "custom": {"why": "Late"}})
    listed = api.get("/api/ticket-types").json()["ticket_types"]

    services.ticket_types.delete(complaint, "*")
    assert paths(refused) == ["$.custom.why"]
    assert (listed[complaint]["name"], listed["incident"]["name"]) == ("Complaint", "Incident")
    assert answer.json()["custom"] == {"supplier": "ACME", "why": "Late"}


_BAD_PATCHES: list[tuple[Any, list[str]]] = [
    ({"status": None, "subject": None}, ["$.subject", "$.status"]),
    ({"subject": "a\r\nBcc: b@example.org"}, ["$.subject"]),
    (
        {"assignee": "ann@example.org", "type": "nothing", "cc": [{"address": "support@example.com"}]},
        ["$.assignee", "$.cc[0].address", "$.type"],
    ),
    ({"type": "incident", "custom": {"impact": "No one", "colour": "red"}}, ["$.custom.colour", "$.custom.impact"]),
    ({"priority": "hot"}, ["$.priority"]),
    ({"assignee": ["x"], "type": {"a": 1}, "priority": []}, ["$.assignee", "$.priority", "$.type"]),
    ({"tags": ["a,b"]}, ["$.tags[0]"]),
    ({"number": 7}, ["$.number"]),
    ([], ["$"]),
]


def test_fields_that_cannot_be_are_refused_with_all_their_problems(api: TestClient, desk: Desk, change: Change):
    before = ticket(api)

    found = [(body, sorted(paths(change("PATCH", "SUP-1", body)))) for body, _ in _BAD_PATCHES]

    assert found == [(body, sorted(wrong)) for body, wrong in _BAD_PATCHES]
    assert ticket(api) == before
    assert owed(desk) == []


def test_a_change_of_status_is_told(api: TestClient, desk: Desk, clock: MovableClock, change: Change):
    change("PATCH", "SUP-1", {"status": "closed"})
    clock.advance(minutes=1)
    change("PATCH", "SUP-1", {"status": "open"})

    told = [(each["before"], each["after"], each["quiet"], each["by"]) for each in owed(desk)]
    assert sorted(told) == [("closed", "open", False, "function key"), ("new", "closed", False, "function key")]
    assert ticket(api)["closed_at"] == "2026-11-21T10:00:00Z"
    assert [each["tag"] for each in api.get("/api/tickets").json()["tickets"]] == ["SUP-1"]


def test_a_change_for_a_version_that_is_gone_is_refused(api: TestClient, desk: Desk, change: Change):
    old = api.get("/api/tickets/SUP-1").headers["ETag"]
    desk.take_in(mail("Re: [SUP-1] more").as_bytes())

    answer = change("POST", "SUP-1/comments", {"kind": "public", "text": "Done"}, **{"If-Match": old})

    assert answer.status_code == 412
    assert ticket(api)["comment_count"] == 2


def test_a_change_without_a_version_is_refused(api: TestClient, change: Change):
    answer = api.patch("/api/tickets/SUP-1", json={"group": "x"})

    assert answer.status_code == 428


def test_a_request_that_is_sent_again_is_served_once(api: TestClient, desk: Desk, comment: Change):
    first = comment(key="abc")
    again = comment(key="abc")

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert ticket(api)["comment_count"] == 2
    assert len([each for each in owed(desk) if each["type"] == "ticket.commented"]) == 1


def test_a_repeated_request_is_served_also_for_the_version_of_the_first_one(api: TestClient, change: Change):
    old = {"If-Match": api.get("/api/tickets/SUP-1").headers["ETag"], "Idempotency-Key": "k"}

    first = change("PATCH", "SUP-1", {"status": "closed"}, **old)
    again = change("PATCH", "SUP-1", {"status": "closed"}, **old)

    assert (first.status_code, again.json()) == (200, first.json())


def test_another_request_under_the_same_key_is_refused(api: TestClient, comment: Change):
    comment(key="abc")

    assert paths(comment(key="abc", text="Something else.")) == ["header.Idempotency-Key"]
    assert ticket(api)["comment_count"] == 2


@pytest.fixture
def second(desk: Desk, change: Change) -> str:
    """Another customer's ticket."""
    desk.take_in(mail("No paper", From="Eve <eve@example.net>").as_bytes())
    return "SUP-2"


def test_what_comes_for_a_merged_ticket_goes_to_the_other_one(api: TestClient, desk: Desk, change: Change, second: str):
    answer = change("POST", f"{second}/merge", {"tag": "SUP-1"})

    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["merged_into"]) == ("closed", "SUP-1")
    desk.take_in(mail("Re: [SUP-2] No paper", From="eve@example.net").as_bytes())
    first = ticket(api)
    assert [each["author"]["address"] for each in first["comments"]] == ["ann@example.org", "", "eve@example.net"]
    assert first["comments"][1]["text"] == "SUP-2 was merged into this ticket."
    assert [each["address"] for each in first["cc"]] == ["eve@example.net"]
    assert [each["text"].strip() for each in ticket(api, second)["comments"]] == ["It jams.", "Merged into SUP-1."]
    assert [(each["after"], each["quiet"]) for each in owed(desk)] == [("closed", True)]


def test_a_merged_ticket_is_not_changed_any_more(api: TestClient, change: Change, second: str):
    change("POST", f"{second}/merge", {"tag": "SUP-1"})

    for method, path, body in (
        ("PATCH", second, {"status": "open"}),
        ("POST", f"{second}/comments", {"kind": "public", "text": "x"}),
        ("POST", "SUP-1/merge", {"tag": second}),
        ("POST", "SUP-1/links", {"tag": second}),
    ):
        assert change(method, path, body).status_code == 409, path


def test_only_another_ticket_of_the_same_mailbox_is_merged_and_linked(desks, change: Change):
    desks[1].take_in(mail("Invoice").as_bytes())
    tags, operations = ("SUP-1", "SUP-9", "XYZ-1", "BIL-1", "nonsense"), ("merge", "links")

    found = [paths(change("POST", f"SUP-1/{operation}", {"tag": tag})) for tag in tags for operation in operations]

    assert found == [["$.tag"]] * 10


def test_linked_tickets_name_each_other(api: TestClient, change: Change, second: str):
    change("POST", "SUP-1/links", {"tag": second})
    linked = [ticket(api)["linked_to"], ticket(api, second)["linked_to"]]

    unlinked = change("DELETE", f"{second}/links/SUP-1")

    assert linked == [[second], ["SUP-1"]]
    assert unlinked.json()["linked_to"] == []
    assert ticket(api)["linked_to"] == []
    assert change("DELETE", f"{second}/links/SUP-1").status_code == 404


def test_a_poll_goes_on_beside_a_change(desk: Desk, services: Services, comment: Change):
    """Whoever polls is fenced by the mailbox's state, which a change leaves alone."""
    before = services.tickets.state(desk.id)

    comment()

    assert services.tickets.state(desk.id) == before


def test_changes_that_are_made_at_the_same_time_are_all_kept(api: TestClient, desk: Desk, change: Change):
    """One after the other, whoever is first: customers by mail, technicians through the API."""
    anybody = {"If-Match": "*"}

    def answer(number: int) -> int:
        body = {"kind": "internal", "text": f"Note {number}"}
        return api.post("/api/tickets/SUP-1/comments", json=body, headers=anybody).status_code

    with ThreadPoolExecutor(4) as pool:
        taken = pool.submit(desk.take_in, mail("Re: [SUP-1] more").as_bytes())
        codes = list(pool.map(answer, range(3)))
    taken.result()

    log = ticket(api)["comments"]
    assert codes == [201] * 3
    assert [each["seq"] for each in log] == [1, 2, 3, 4, 5]
    assert {each["text"].strip() for each in log} == {"It jams.", "Note 0", "Note 1", "Note 2"}


def test_a_request_that_is_sent_twice_at_the_same_time_is_served_once(api: TestClient, change: Change):
    headers = {"If-Match": "*", "Idempotency-Key": "twice"}

    def answer(_: int) -> Any:
        body = {"kind": "public", "text": "Once."}
        return api.post("/api/tickets/SUP-1/comments", json=body, headers=headers).json()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(answer, range(2))

    assert first == second
    assert ticket(api)["comment_count"] == 2


def test_an_answer_goes_to_the_requester_and_those_in_copy(smtp, sender: str, comment: Change, run: Change):
    file = {"name": "manual.pdf", "content_type": "application/pdf", "content": b64encode(b"%PDF-1").decode()}

    comment(cc=[{"address": "boss@example.org"}], attachments=[file], author=TECHNICIAN)
    comment(kind="internal", text="They are angry.")
    run()

    received, message = answers(smtp)
    assert received == ("ann@example.org", "boss@example.org")
    assert (message["Subject"], message["Auto-Submitted"]) == ("Re: [SUP-1] Printer jams", None)
    assert message["In-Reply-To"] == mail("Printer jams")["Message-ID"]
    assert "Change the cartridge." in message.get_body(("plain",)).get_content()
    assert [each.get_content() for each in message.iter_attachments()] == [b"%PDF-1"]


def test_a_long_answer_is_sent_whole(smtp, sender: str, comment: Change, run: Change):
    comment(text="word " * 30_000 + "the end")
    run()

    _, message = answers(smtp)
    for kind in ("plain", "html"):
        assert "the end" in message.get_body((kind,)).get_content()
