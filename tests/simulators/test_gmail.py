import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from local.simulators import Simulators, gmail_error
from local.simulators.google import ALL_MAIL, LABELS, MODIFY, READONLY, SEND
from tests.clock import MovableClock
from tests.simulators.conftest import Client

ANN = "ann@gmail.example"
RAW = (
    b"From: Bob <bob@example.org>\r\nTo: ann@example.org\r\nSubject: Hi\r\nMessage-ID: <1@example.org>\r\n\r\nHello\r\n"
)
START = datetime(2026, 11, 20, tzinfo=UTC)

Call = Callable[..., requests.Response]


@pytest.fixture(autouse=True)
def ann(simulators: Simulators) -> None:
    simulators.gmail.mailboxes.add(ANN)


@pytest.fixture
def call(simulators: Simulators, client: Client) -> Call:
    def called(method: str, path: str, *, scope: str = MODIFY, user: str = "me", **options: Any) -> requests.Response:
        token = simulators.google.tokens.issue(ANN, "client", scope, 3599)["access_token"]
        headers = {"Authorization": f"Bearer {token}"} | options.pop("headers", {})
        return client.request(method, f"/gmail/v1/users/{user}/{path}", headers=headers, **options)

    return called


def deliver(simulators: Simulators, number: int, **options: Any) -> list[str]:
    """From the oldest to the newest, an hour between."""
    return [
        simulators.gmail.deliver(ANN, RAW, received_at=START + timedelta(hours=hour), **options).id
        for hour in range(number)
    ]


def listed(call: Call, query: str = "") -> list[str]:
    return [message["id"] for message in call("GET", f"messages?{query}").json().get("messages", [])]


def reason(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


def test_a_list_is_newest_first_in_pages(simulators: Simulators, call: Call) -> None:
    ids = deliver(simulators, 5)

    first = call("GET", "messages?maxResults=3").json()
    call("POST", f"messages/{ids[4]}/trash")
    second = call("GET", f"messages?maxResults=3&pageToken={first['nextPageToken']}").json()

    assert [message["id"] for message in first["messages"] + second["messages"]] == ids[::-1]
    assert "nextPageToken" not in second


def test_an_empty_list_has_no_messages_at_all(call: Call) -> None:
    assert call("GET", "messages").json() == {"resultSizeEstimate": 0}


def test_a_page_holds_100_messages_and_never_more_than_500(simulators: Simulators, call: Call) -> None:
    deliver(simulators, 501)

    assert len(listed(call)) == 100
    assert len(listed(call, "maxResults=1000")) == 500


def test_labels_are_all_required(simulators: Simulators, call: Call) -> None:
    [unread] = deliver(simulators, 1)
    deliver(simulators, 1, read=True)

    assert listed(call, "labelIds=INBOX&labelIds=UNREAD") == [unread]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("is:unread", [2, 0]),
        ("is:read", [1]),
        ("-is:unread in:inbox", [1]),
        ("newer_than:1d", []),
        ("newer_than:33h", [2, 1]),
        (f"after:{int(START.timestamp()) + 3600}", [2, 1]),
        ("after:2026/11/21", []),
        ("before:2026/11/21 -is:read", [2, 0]),
        ("older_than:33h", [0]),
        ("rfc822msgid:<1@example.org>", [2, 1, 0]),
        ("rfc822msgid:2@example.org", []),
        ("label:done", [1]),
        ("in:sent", []),
    ],
)
def test_a_query_finds_what_all_its_terms_match(
    simulators: Simulators, call: Call, query: str, found: list[int]
) -> None:
    ids = deliver(simulators, 3)
    label = call("POST", "labels", json={"name": "Done"}).json()["id"]
    call("POST", f"messages/{ids[1]}/modify", json={"addLabelIds": [label], "removeLabelIds": ["UNREAD"]})

    assert listed(call, f"q={query}") == [ids[index] for index in found]


def test_a_query_that_is_not_understood_is_refused(call: Call) -> None:
    assert reason(call("GET", "messages?q=from:bob")) == (400, "invalidArgument")
    assert reason(call("GET", "messages?q=after:yesterday")) == (400, "invalidArgument")


def test_the_bins_are_listed_only_when_asked_for(simulators: Simulators, call: Call) -> None:
    [message] = deliver(simulators, 1)
    trashed = call("POST", f"messages/{message}/trash").json()

    assert trashed["labelIds"] == ["UNREAD", "TRASH"]
    assert listed(call) == []
    for query in ("labelIds=TRASH", "q=in:trash", "q=in:anywhere", "includeSpamTrash=true"):
        assert listed(call, query) == [message]
    assert call("POST", f"messages/{message}/untrash").json()["labelIds"] == ["UNREAD"]


def test_a_message_is_shown_in_the_format_asked_for(simulators: Simulators, call: Call) -> None:
    [message] = deliver(simulators, 1)

    raw = call("GET", f"messages/{message}?format=raw").json()
    metadata = call("GET", f"messages/{message}?format=metadata&metadataHeaders=subject").json()
    minimal = call("GET", f"messages/{message}?format=minimal").json()

    assert base64.urlsafe_b64decode(raw["raw"] + "==") == RAW
    assert raw["internalDate"] == str(int(START.timestamp() * 1000))
    assert metadata["payload"]["headers"] == [{"name": "Subject", "value": "Hi"}]
    assert (minimal["labelIds"], minimal["sizeEstimate"]) == (["INBOX", "UNREAD"], len(RAW))
    assert reason(call("GET", f"messages/{message}?format=pdf")) == (400, "invalidArgument")


def test_a_message_that_is_gone_is_not_found(simulators: Simulators, call: Call) -> None:
    [message] = deliver(simulators, 1)

    assert call("DELETE", f"messages/{message}", scope=ALL_MAIL).status_code == 204

    answer = call("GET", f"messages/{message}")
    assert reason(answer) == (404, "notFound")
    assert answer.json()["error"]["status"] == "NOT_FOUND"


def test_labels_are_changed_one_message_at_a_time_or_many(simulators: Simulators, call: Call) -> None:
    ids = deliver(simulators, 2)

    changed = call("POST", f"messages/{ids[0]}/modify", json={"removeLabelIds": ["UNREAD"]})
    many = call("POST", "messages/batchModify", json={"ids": [*ids, "0"], "addLabelIds": ["STARRED"]})

    assert changed.json()["labelIds"] == ["INBOX"]
    assert (many.status_code, many.content) == (204, b"")
    assert listed(call, "labelIds=STARRED") == ids[::-1]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("messages/{id}/modify", {"addLabelIds": ["Label_404"]}),
        ("messages/{id}/modify", {"addLabelIds": ["SENT"]}),
        ("messages/{id}/modify", {}),
        ("messages/batchModify", {"ids": [], "addLabelIds": ["STARRED"]}),
        ("messages/batchModify", {"ids": ["0"] * 1001, "addLabelIds": ["STARRED"]}),
    ],
)
def test_a_wrong_change_is_refused(simulators: Simulators, call: Call, path: str, body: dict[str, Any]) -> None:
    [message] = deliver(simulators, 1)

    assert reason(call("POST", path.format(id=message), json=body)) == (400, "invalidArgument")


def test_a_label_is_made_once(call: Call) -> None:
    made = call("POST", "labels", json={"name": "Support/Done"}, scope=LABELS).json()

    again = call("POST", "labels", json={"name": "support/done"})

    assert {"id": made["id"], "name": "Support/Done", "type": "user"} in call("GET", "labels").json()["labels"]
    assert again.status_code == 409
    assert again.json()["error"]["message"] == "Label name exists or conflicts"


def test_history_tells_what_happened_since(simulators: Simulators, call: Call) -> None:
    start = call("GET", "profile").json()["historyId"]
    assert call("GET", f"history?startHistoryId={start}").json() == {"historyId": start}
    [message] = deliver(simulators, 1)
    call("POST", f"messages/{message}/modify", json={"removeLabelIds": ["UNREAD"], "addLabelIds": ["STARRED"]})
    call("DELETE", f"messages/{message}", scope=ALL_MAIL)

    answer = call("GET", f"history?startHistoryId={start}").json()

    kinds = [(set(record) - {"id", "messages"}).pop() for record in answer["history"]]
    assert kinds == ["messagesAdded", "labelsAdded", "labelsRemoved", "messagesDeleted"]
    assert answer["history"][0]["messagesAdded"][0]["message"]["labelIds"] == ["INBOX", "UNREAD"]
    assert answer["history"][2]["labelsRemoved"][0]["labelIds"] == ["UNREAD"]
    assert answer["historyId"] == call("GET", "profile").json()["historyId"] == answer["history"][-1]["id"]


def test_history_is_filtered_and_paged(simulators: Simulators, call: Call) -> None:
    start = call("GET", "profile").json()["historyId"]
    ids = deliver(simulators, 3)
    deliver(simulators, 1, labels=["SPAM"])
    call("POST", f"messages/{ids[0]}/modify", json={"removeLabelIds": ["UNREAD"]})
    query = f"history?startHistoryId={start}&historyTypes=messageAdded&labelId=INBOX&maxResults=2"

    first = call("GET", query).json()
    second = call("GET", f"{query}&pageToken={first['nextPageToken']}").json()

    assert [record["messages"][0]["id"] for record in first["history"] + second["history"]] == ids
    assert "nextPageToken" not in second


def test_history_that_is_too_old_is_not_found(simulators: Simulators, call: Call) -> None:
    start = call("GET", "profile").json()["historyId"]

    simulators.gmail.expire_history(ANN)

    assert reason(call("GET", f"history?startHistoryId={start}")) == (404, "notFound")
    assert reason(call("GET", "history?startHistoryId=99999999")) == (404, "notFound")
    assert reason(call("GET", "history")) == (400, "invalidArgument")
    fresh = call("GET", "profile").json()["historyId"]
    assert call("GET", f"history?startHistoryId={fresh}").status_code == 200


def test_a_sent_message_joins_its_thread(simulators: Simulators, call: Call) -> None:
    [message] = deliver(simulators, 1)
    thread = call("GET", f"messages/{message}?format=minimal").json()["threadId"]
    raw = base64.urlsafe_b64encode(b"To: bob@x.example\r\nSubject: Re: Hi\r\n\r\nYes\r\n").decode()

    sent = call("POST", "messages/send", json={"raw": raw, "threadId": thread}, scope=SEND).json()

    assert (sent["threadId"], sent["labelIds"]) == (thread, ["SENT"])
    assert listed(call, "q=in:sent") == [sent["id"]]
    assert call("POST", "messages/send", json={"raw": raw, "threadId": "0"}).status_code == 404
    assert call("POST", "messages/send", json={"raw": 1}).status_code == 400


def test_a_message_needs_a_recipient(simulators: Simulators, call: Call) -> None:
    raw = base64.urlsafe_b64encode(b"Subject: Hi\r\n\r\n").decode()

    assert call("POST", "messages/send", json={"raw": raw}).status_code == 400
    assert simulators.post.sent == []


@pytest.mark.parametrize(
    ("aliases", "kept"), [({}, False), ({"desk@x.example": False}, False), ({"desk@x.example": True}, True)]
)
def test_an_address_that_is_not_the_account_s_is_replaced(
    simulators: Simulators, call: Call, aliases: dict[str, bool], kept: bool
) -> None:
    simulators.gmail.mailboxes.get(ANN).aliases = aliases
    raw = base64.urlsafe_b64encode(b"From: Desk <desk@x.example>\r\nTo: bob@x.example\r\n\r\n").decode()

    call("POST", "messages/send", json={"raw": raw})

    assert (b"desk@x.example" in simulators.post.sent[0].raw) is kept
    known = call("GET", "settings/sendAs").json()["sendAs"]
    assert [each["sendAsEmail"] for each in known] == [ANN, *aliases]


def test_a_message_may_be_uploaded_as_it_is(simulators: Simulators, client: Client) -> None:
    token = simulators.google.tokens.issue(ANN, "client", SEND, 3599)["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "message/rfc822"}

    sent = client.request("POST", "/upload/gmail/v1/users/me/messages/send?uploadType=media", data=RAW, headers=headers)

    assert sent.json()["labelIds"] == ["SENT"]


def test_a_reply_joins_the_thread_of_what_it_answers(simulators: Simulators, call: Call) -> None:
    [message] = deliver(simulators, 1)
    reply = simulators.gmail.deliver(ANN, b"References: <0@x> <1@example.org>\r\n\r\n")

    assert reply.thread_id == call("GET", f"messages/{message}").json()["threadId"]


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        (READONLY, ["get"]),
        (SEND, ["send"]),
        (MODIFY, ["get", "send", "trash"]),
        (ALL_MAIL, ["get", "send", "trash", "delete"]),
    ],
)
def test_a_token_opens_what_its_scope_says(simulators: Simulators, call: Call, scope: str, allowed: list[str]) -> None:
    [message] = deliver(simulators, 1)
    calls = {
        "get": ("GET", f"messages/{message}"),
        "send": ("POST", "messages/send"),
        "trash": ("POST", f"messages/{message}/trash"),
        "delete": ("DELETE", f"messages/{message}"),
    }
    raw = base64.urlsafe_b64encode(RAW).decode()

    answers = {name: call(*target, scope=scope, json={"raw": raw}) for name, target in calls.items()}

    assert [name for name, answer in answers.items() if answer.ok] == allowed
    assert all(reason(answer) == (403, "insufficientPermissions") for answer in answers.values() if not answer.ok)


def test_a_mailbox_is_me_or_the_address_of_the_token(simulators: Simulators, call: Call) -> None:
    simulators.gmail.mailboxes.add("bob@gmail.example")

    assert call("GET", "profile", user=ANN).json()["emailAddress"] == ANN
    assert reason(call("GET", "profile", user="bob@gmail.example")) == (403, "forbidden")


def test_an_account_without_mail_fails_the_precondition(simulators: Simulators, client: Client) -> None:
    token = simulators.google.tokens.issue("nobody@gmail.example", "client", MODIFY, 3599)["access_token"]

    answer = client.request("GET", "/gmail/v1/users/me/profile", headers={"Authorization": f"Bearer {token}"})

    assert reason(answer) == (400, "failedPrecondition")


def test_a_token_must_be_there_and_in_time(
    simulators: Simulators, call: Call, client: Client, clock: MovableClock
) -> None:
    assert reason(call("GET", "profile", headers={"Authorization": ""})) == (401, "authError")
    token = simulators.google.tokens.issue(ANN, "client", MODIFY, 3599)["access_token"]
    clock.advance(seconds=3599)

    answer = client.request("GET", "/gmail/v1/users/me/profile", headers={"Authorization": f"Bearer {token}"})

    assert reason(answer) == (401, "authError")


def test_calls_cost_units_of_a_quota_by_the_minute(simulators: Simulators, call: Call, clock: MovableClock) -> None:
    simulators.gmail.mailboxes.get(ANN).units_per_minute = 45
    [message] = deliver(simulators, 1)

    answers = [call("GET", f"messages/{message}") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 403]
    assert reason(answers[2]) == (403, "userRateLimitExceeded")
    assert call("GET", "messages").status_code == 200
    clock.advance(seconds=60)
    assert call("GET", f"messages/{message}").status_code == 200


def test_gmail_can_be_out_of_order(simulators: Simulators, call: Call) -> None:
    simulators.faults.add("gmail.list", **gmail_error(429, "rateLimitExceeded", "Too many concurrent requests"))

    assert reason(call("GET", "messages")) == (429, "rateLimitExceeded")
    assert call("GET", "messages").status_code == 200
    assert simulators.counts["gmail.list"] == 2
