"""Tickets are read through the API: lists, one ticket with its log, and what its messages hold (req W1, X3, X4)."""

from base64 import b64decode
from collections.abc import Iterator
from itertools import chain

import pytest
from fastapi.testclient import TestClient

from tests.api.desk import Desk, mail
from tests.clock import MovableClock

PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


def tags(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [ticket["tag"] for ticket in answer.json()["tickets"]]


def walk(api: TestClient, query: str) -> Iterator[list[str]]:
    """The tags of each page."""
    continuation = ""
    while continuation is not None:
        answer = api.get(f"/api/tickets?{query}{continuation and f'&continuation={continuation}'}")
        yield tags(answer)
        continuation = answer.json()["continuation"]


def test_the_tickets_of_a_mailbox_are_listed_newest_first(api: TestClient, desks):
    support, billing = desks
    support.take_in(mail("One").as_bytes(), mail("Two").as_bytes())
    billing.take_in(mail("Other").as_bytes())

    answer = api.get(f"/api/tickets?mailbox={support.id}")

    assert tags(answer) == ["SUP-2", "SUP-1"]
    assert answer.json()["continuation"] is None
    assert answer.json()["tickets"][0]["subject"] == "Two"
    assert answer.json()["tickets"][0]["requester"] == {"address": "ann@example.org", "name": "Ann Example"}


def test_the_tickets_of_all_mailboxes_are_merged_newest_first(api: TestClient, clock: MovableClock, desks):
    for index, desk in enumerate(desks * 3):
        desk.take_in(mail(f"Number {index}").as_bytes())
        clock.advance(minutes=1)

    assert tags(api.get("/api/tickets")) == ["BIL-3", "SUP-3", "BIL-2", "SUP-2", "BIL-1", "SUP-1"]


@pytest.mark.parametrize("limit", [1, 2, 5, 7])
def test_pages_hold_every_ticket_once_and_in_order(api: TestClient, clock: MovableClock, desks, limit: int):
    support, billing = desks
    for index, desk in enumerate([support] * 8 + [billing, support] * 3 + [billing] * 8):
        desk.take_in(mail(f"Number {index}").as_bytes())
        clock.advance(minutes=1)

    pages = list(walk(api, f"limit={limit}"))

    late, mixed, early = range(11, 3, -1), ["SUP-11", "BIL-3", "SUP-10", "BIL-2", "SUP-9", "BIL-1"], range(8, 0, -1)
    assert list(chain(*pages)) == [*(f"BIL-{each}" for each in late), *mixed, *(f"SUP-{each}" for each in early)]
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)


def test_a_mailbox_can_fill_a_page_alone(api: TestClient, desk: Desk):
    desk.take_in(*(mail(f"Number {index}").as_bytes() for index in range(30)))

    assert next(walk(api, "limit=25")) == [f"SUP-{number}" for number in range(30, 5, -1)]


def test_a_ticket_that_comes_while_somebody_reads_moves_no_other(api: TestClient, clock: MovableClock, desk: Desk):
    desk.take_in(*(mail(f"Number {index}").as_bytes() for index in range(4)))
    pages = walk(api, "limit=2")

    first = next(pages)
    clock.advance(minutes=1)
    desk.take_in(mail("Meanwhile").as_bytes())

    assert [first, *pages] == [["SUP-4", "SUP-3"], ["SUP-2", "SUP-1"]]


@pytest.mark.parametrize(
    "continuation", ["x", "SUP-1", "eJwrSS0uAQAEXQHB", "%00", "eJyrVipKVbIy0lFQKkotTs1T0lGqBQA-zQZI", "é"]
)
def test_a_continuation_that_is_not_ours_is_refused(api: TestClient, continuation: str):
    answer = api.get(f"/api/tickets?continuation={continuation}")

    assert answer.status_code == 422
    assert [each["path"] for each in answer.json()["problems"]] == ["query.continuation"]


def test_a_list_of_an_unknown_mailbox_is_not_found(api: TestClient):
    assert api.get("/api/tickets?mailbox=nobody").status_code == 404


def test_a_ticket_shows_its_log_and_where_its_messages_are(api: TestClient, desk: Desk):
    desk.take_in(mail("Printer jams").as_bytes())
    desk.take_in(mail("RE: Printer jams [SUP-1]").as_bytes())

    ticket = api.get("/api/tickets/SUP-1").json()

    assert (ticket["tag"], ticket["mailbox_id"], ticket["comment_count"]) == ("SUP-1", desk.id, 2)
    assert [(each["seq"], each["kind"], each["text"].strip()) for each in ticket["comments"]] == [
        (1, "public", "It jams."),
        (2, "public", "It jams."),
    ]
    assert ticket["comments"][1]["message"]["raw_href"] == "/api/tickets/SUP-1/comments/2/raw"


def test_a_comment_tells_how_its_message_is_protected_and_what_was_broken_in_it(api: TestClient, desk: Desk):
    header, _, rest = mail().as_string().partition("Content-Type: text/plain")
    parts = f"Content-Type: text/plain{rest}--b\nContent-Type: application/pgp-signature\n\nsigned\n--b--\n"
    signed = f'Date: soon\n{header}Content-Type: multipart/signed; boundary="b"\n\n--b\n{parts}'
    desk.take_in(signed.encode(), mail("Plain").as_bytes())

    first, plain = (api.get(f"/api/tickets/SUP-{number}").json()["comments"][0]["message"] for number in (1, 2))

    assert (first["protection"], first["defects"]) == ("pgp-signed", ["date-invalid"])
    assert (plain["protection"], plain["defects"]) == ("", [])


def test_a_tag_is_found_in_any_case(api: TestClient, desk: Desk):
    desk.take_in(mail().as_bytes())

    assert api.get("/api/tickets/sup-1").json()["tag"] == "SUP-1"


def test_a_new_ticket_that_speaks_of_another_names_it(api: TestClient, desk: Desk):
    desk.take_in(mail().as_bytes())
    desk.take_in(mail("About [SUP-1]", From="Eve <eve@example.net>").as_bytes())

    assert api.get("/api/tickets/SUP-2").json()["linked_to"] == ["SUP-1"]


@pytest.mark.parametrize(
    "path",
    [
        "SUP-9",
        "XXX-1",
        "SUP-0",
        "SUP",
        "SUP-1/comments/2/raw",
        "SUP-1/comments/x/raw",
        "SUP-1/comments/1/attachments/7",
    ],
)
def test_what_does_not_exist_is_not_found(api: TestClient, desk: Desk, path: str):
    desk.take_in(mail().as_bytes())

    answer = api.get(f"/api/tickets/{path}")

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_raw_message_is_what_was_received(api: TestClient, desk: Desk):
    content = mail(Subject="caf\xe9".encode("latin-1").decode("utf-8", "surrogateescape")).as_bytes() + b"\xff\x00\r\n"
    desk.take_in(content)

    answer = api.get("/api/tickets/SUP-1/comments/1/raw")

    assert answer.content == content
    assert answer.headers["Content-Type"] == "message/rfc822"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="SUP-1-1.eml"')


def test_html_is_shown_without_script_and_with_its_images_inside(api: TestClient, desk: Desk):
    message = mail()
    message.add_alternative(
        '<p onclick="x()">Hi</p><script>alert(1)</script><img src="cid:dot"><img src="https://tracker.example/x.gif">'
        '<img src="cid:drawing">',
        subtype="html",
    )
    html_part = message.get_payload()[1]
    html_part.add_related(PIXEL, "image", "gif", cid="<dot>")
    html_part.add_related(b"<svg/>", "image", "svg+xml", cid="<drawing>")
    desk.take_in(message.as_bytes())

    answer = api.get("/api/tickets/SUP-1/comments/1/html")

    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Hi" in answer.text
    assert 'src="data:image/gif;base64,' in answer.text
    assert not [word for word in ("script", "onclick", "tracker", "cid:", "svg") if word in answer.text]
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy


def test_remote_images_are_loaded_when_somebody_asks_for_them(api: TestClient, desk: Desk):
    message = mail()
    message.add_alternative('<img src="https://pictures.example/x.gif">', subtype="html")
    desk.take_in(message.as_bytes())

    answer = api.get("/api/tickets/SUP-1/comments/1/html?remote_images=true")

    assert 'src="https://pictures.example/x.gif"' in answer.text
    assert "img-src 'self' data: https: http:;" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_a_message_without_html_has_none_to_show(api: TestClient, desk: Desk):
    desk.take_in(mail().as_bytes())

    assert api.get("/api/tickets/SUP-1/comments/1/html").status_code == 404


@pytest.mark.parametrize(
    ("declared", "served"),
    [
        ("application/pdf", "application/pdf"),
        ("image/png", "image/png"),
        ("image/svg+xml", "application/octet-stream"),
        ("text/html", "application/octet-stream"),
    ],
)
def test_an_attachment_is_saved_and_never_run(api: TestClient, desk: Desk, declared: str, served: str):
    message = mail()
    message.add_attachment(b"\x00\xff<script>", *declared.split("/"), filename='Größe "7".dat')
    desk.take_in(message.as_bytes())
    (attachment,) = api.get("/api/tickets/SUP-1").json()["comments"][0]["attachments"]

    answer = api.get(attachment["href"])

    assert answer.content == b"\x00\xff<script>"
    assert answer.headers["Content-Type"] == served
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename=")
    assert "filename*=UTF-8''Gr%C3%B6%C3%9Fe" in disposition


def test_what_a_run_did_is_shown(api: TestClient, desk: Desk):
    desk.take_in(mail("One").as_bytes(), mail("Two").as_bytes(), mail("Two").as_bytes())

    (run,) = api.get(f"/api/mailboxes/{desk.id}/runs").json()["runs"]

    assert (run["reason"], run["listed"], run["outcomes"]) == ("demand", 3, {"created": 2, "duplicate": 1})


def test_a_message_that_could_not_be_handled_is_shown_in_quarantine(api: TestClient, desk: Desk):
    desk.provider.unfetchable.add(1)
    desk.take_in(mail().as_bytes())
    desk.take_in()
    desk.take_in()

    (entry,) = api.get(f"/api/mailboxes/{desk.id}/quarantine").json()["entries"]

    assert (entry["folder"], entry["attempts"], entry["error_code"], entry["size"]) == (
        "INBOX",
        3,
        "message_error",
        None,
    )
