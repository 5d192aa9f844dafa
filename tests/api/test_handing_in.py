"""Messages that are handed in by HTTP are taken in like polled ones (req C13)."""

import gzip
from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from shared.application.ports.tickets import Commit
from shared.domain.intake import MailboxState
from shared.mime import mbox

RFC822 = {"Content-Type": "message/rfc822"}
MBOX = {"Content-Type": "application/mbox"}


def mail(subject: str, *more: str, body: str = "Hello") -> bytes:
    head = ["From: Ann <ann@example.org>", f"Subject: {subject}", f"Message-ID: <{subject}@example.org>", *more]
    return "\r\n".join([*head, "", body, ""]).encode()


@pytest.fixture
def messages(api: TestClient, support) -> str:
    """The address to hand messages in."""
    return f"/api/mailboxes/{api.post('/api/mailboxes', json=support).json()['id']}/messages"


def told(answer) -> list[tuple[str, str | None]]:
    assert answer.status_code == 200, answer.text
    return [(each["outcome"], each["ticket"]) for each in answer.json()["messages"]]


def test_a_message_makes_a_ticket_whose_tag_is_told(api, messages):
    answer = api.post(messages, content=mail("one"), headers=RFC822)

    assert told(answer) == [("created", "SUP-1")]
    [ticket] = api.get("/api/tickets").json()["tickets"]
    assert (ticket["tag"], ticket["subject"]) == ("SUP-1", "one")


def test_a_message_that_comes_again_is_a_duplicate_of_the_same_ticket(api, messages):
    api.post(messages, content=mail("one"), headers=RFC822)

    assert told(api.post(messages, content=mail("one"), headers=RFC822)) == [("duplicate", "SUP-1")]


def test_a_reply_is_appended_to_its_ticket(api, messages):
    api.post(messages, content=mail("one"), headers=RFC822)

    answer = api.post(messages, content=mail("re", "In-Reply-To: <one@example.org>"), headers=RFC822)

    assert told(answer) == [("appended", "SUP-1")]


def test_another_message_under_the_same_id_tells_its_own_ticket(api, messages):
    api.post(messages, content=mail("one"), headers=RFC822)
    other = mail("one").replace(b"ann@", b"bob@")

    assert told(api.post(messages, content=other, headers=RFC822)) == [("created", "SUP-2")]


def test_a_message_may_come_compressed(api, messages):
    headers = RFC822 | {"Content-Encoding": "gzip"}

    assert told(api.post(messages, content=gzip.compress(mail("one")), headers=headers)) == [("created", "SUP-1")]


def test_many_messages_come_as_mbox_and_are_answered_in_their_order(api, messages):
    parts = [mail(f"m{number}") for number in range(25)] + [mail("m3")]
    content = b"".join(b"From ann Sat Nov 21 10:00:00 2026\n" + part + b"\n" for part in parts)

    answer = api.post(messages, content=content, headers=MBOX)

    expected = [("created", f"SUP-{number}") for number in range(1, 26)]
    assert told(answer) == [*expected, ("duplicate", "SUP-4")]


def test_what_was_handed_in_is_among_the_runs(api, messages):
    api.post(messages, content=mail("one"), headers=RFC822)

    [run] = api.get(messages.replace("/messages", "/runs")).json()["runs"]

    assert (run["reason"], run["listed"], run["outcomes"]) == ("http", 1, {"created": 1})


def test_the_mailbox_is_not_leased_afterwards(api, services, messages):
    api.post(messages, content=mail("one"), headers=RFC822)

    state, _ = services.tickets.state(messages.split("/")[3])

    assert state.lease_owner is None
    assert state.deferred == ()


def test_while_the_mailbox_is_being_polled_the_caller_is_to_wait(api, services, clock, messages):
    until = clock() + timedelta(minutes=5)
    services.tickets.commit(messages.split("/")[3], Commit(MailboxState(lease_owner="poll", lease_until=until), None))

    answer = api.post(messages, content=mail("one"), headers=RFC822)

    assert answer.status_code == 409
    assert int(answer.headers["Retry-After"]) > 0


def test_a_poll_that_commits_meanwhile_is_no_failure(api, services, messages, monkeypatch):
    mailbox_id, store = messages.split("/")[3], services.tickets
    state = store.state

    def state_before_somebody_commits(asked):
        found, etag = state(asked)
        monkeypatch.undo()
        store.commit(asked, Commit(replace(found, next_number=7), etag))
        return found, etag

    monkeypatch.setattr(type(store), "state", lambda _, asked: state_before_somebody_commits(asked))

    assert told(api.post(f"/api/mailboxes/{mailbox_id}/messages", content=mail("one"), headers=RFC822)) == [
        ("created", "SUP-7")
    ]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", RFC822, 400),
        (b"", MBOX, 400),
        (mail("one"), MBOX, 400),
        (mail("one"), {"Content-Type": "text/plain"}, 415),
        (mail("one"), RFC822 | {"Content-Encoding": "br"}, 415),
        (mail("one"), RFC822 | {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(mail("one"))[:-9], RFC822 | {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(bytes(160_000_000)), RFC822 | {"Content-Encoding": "gzip"}, 413),
        (mail("one", body="x" * 36_000_000), RFC822, 413),
    ],
    ids=["empty", "empty mbox", "no mbox", "other type", "other encoding", "no gzip", "cut gzip", "bomb", "too large"],
)
def test_what_cannot_be_taken_in_is_refused_as_a_whole(api, messages, content, headers, status):
    answer = api.post(messages, content=content, headers=headers)

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert api.get("/api/tickets").json()["tickets"] == []


def test_an_unknown_mailbox_takes_nothing(api):
    assert api.post("/api/mailboxes/nowhere/messages", content=mail("one"), headers=RFC822).status_code == 404


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_an_mbox_is_split_where_messages_begin_and_nowhere_else(end):
    lines = [b"From a", b"A: 1", b"", b"text", b"From here", b">From there", b">>From it", b"", b"From b", b"", b"body"]

    assert list(mbox.messages(end.join([*lines, b""]))) == [
        end.join([b"A: 1", b"", b"text", b"From here", b"From there", b">From it", b""]),
        end.join([b"", b"body", b""]),
    ]
