"""What is special to Gmail; what it shares with all sources is in the contract."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.simulators import Simulators, gmail_error
from shared.application.ports.connections import CheckStage, FetchFailure, Source
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CredentialsRejected,
    FolderMissing,
    MessageError,
    MessageGone,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
    Throttled,
)
from shared.domain.message import Cursor
from shared.domain.settlement import Delete, MarkRead, Move
from tests.sources.contract import mail, read_all, refs, subjects
from tests.sources.gmail_mailbox import ADDRESS, GmailMailbox

BEGINNING = datetime(2026, 11, 1, tzinfo=UTC)
Opened = Callable[..., Source]


@pytest.fixture
def provider(simulators: Simulators) -> GmailMailbox:
    return GmailMailbox(simulators, lambda: datetime.now(UTC))


@pytest.fixture
def opened(provider: GmailMailbox, request: pytest.FixtureRequest) -> Opened:
    def opened(**changes: Any) -> Source:
        source = provider.open(provider.mailbox(**changes))
        request.addfinalizer(source.close)
        return source

    return opened


def deliver(provider: GmailMailbox, number: int) -> list[str]:
    names = [f"Number {each}" for each in range(number)]
    for minute, name in enumerate(names):
        provider.deliver(mail(name), arrived_at=BEGINNING + timedelta(minutes=minute))
    return names


# Budgets


def test_an_idle_poll_is_one_request(simulators, provider, opened):
    provider.create_folder("Support")
    cursor = opened(source={"folders": ["Support"]}).changes(None, 100).cursor
    simulators.counts.clear()

    page = opened(source={"folders": ["Support"]}).changes(cursor, 100)

    assert page.messages == ()
    assert simulators.requests("gmail") == 1


def test_taking_in_a_message_costs_little_more_than_its_download(simulators, provider, opened):
    deliver(provider, 100)
    source = opened()

    page = source.changes(None, 100)
    for start in range(0, 100, 16):
        fetched = list(source.fetch(page.messages[start : start + 16]))
        source.settle([message.ref for message in fetched], Move(folder="Done"))

    assert len(provider.stored("Done")) == 100
    assert simulators.requests("gmail") <= 1.2 * 100


# Listing


def test_a_backlog_of_many_pages_is_listed_from_its_oldest_message(simulators, provider, opened):
    for second in range(501):
        provider.deliver(b"\r\n", arrived_at=BEGINNING + timedelta(seconds=second))
    source = opened()

    pages = [source.changes(None, 200)]
    while pages[-1].more:
        pages.append(source.changes(pages[-1].cursor, 200))

    oldest_first = [message.id for message in provider.store.newest_first()[::-1]]
    assert [ref.id for page in pages for ref in refs(page)] == oldest_first
    assert simulators.counts["gmail.list"] == 2


@pytest.mark.parametrize("settlement", [MarkRead(), Move(folder="Done"), Delete()])
def test_another_process_goes_on_with_a_backlog(provider, opened, settlement):
    names = deliver(provider, 5)
    source = opened()
    first = source.changes(None, 2)
    source.settle(refs(first), settlement)

    assert read_all(opened(), first.cursor) == names[2:]


def test_a_backlog_begins_anew_where_its_place_is_lost(provider, opened):
    names = deliver(provider, 5)
    first = opened().changes(None, 2)
    provider.store.delete(provider.store.message(first.messages[-1].ref.id))

    assert read_all(opened(), first.cursor) == [names[0], *names[2:]]


def test_what_arrives_while_the_mailbox_is_first_listed_is_not_missed(simulators, provider, opened):
    provider.deliver(mail("Before"))
    simulators.faults.add("gmail.list", status=200, body={})

    page = opened().changes(None, 10)

    assert page.messages == ()
    provider.deliver(mail("After"))
    assert read_all(opened(), page.cursor) == ["After"]


def test_a_message_that_gets_the_label_is_listed_though_it_is_old(provider, opened):
    provider.deliver(mail("Found in spam"), folder="SPAM", arrived_at=BEGINNING)
    source = opened()
    cursor = source.changes(None, 10).cursor
    [message] = provider.store.newest_first()

    provider.store.modify(message, ["INBOX"], ["SPAM"])

    assert read_all(source, cursor) == ["Found in spam"]


def test_a_change_of_another_label_is_no_arrival(provider, opened):
    provider.deliver(mail("There"))
    source = opened()
    cursor = source.changes(None, 10).cursor
    [message] = provider.store.newest_first()

    provider.store.modify(message, ["STARRED"], [])

    assert read_all(source, cursor) == []


def test_unread_only_holds_for_what_arrives_later_too(provider, opened):
    source = opened(intake={"start_from": "beginning", "unread_only": True})
    cursor = source.changes(None, 10).cursor

    provider.deliver(mail("Read"), is_read=True)
    provider.deliver(mail("Unread"))

    assert read_all(source, cursor) == ["Unread"]


def test_a_history_is_read_page_by_page(provider, opened):
    source = opened()
    page = source.changes(None, 10)
    names = deliver(provider, 5)

    pages = [source.changes(page.cursor, 2)]
    while pages[-1].more:
        pages.append(opened().changes(pages[-1].cursor, 2))

    assert subjects(list(source.fetch([each for page in pages for each in page.messages]))) == names
    assert len(pages) == 3


def test_an_empty_page_of_the_history_is_not_its_end(simulators, provider, opened):
    source = opened()
    cursor = source.changes(None, 10).cursor
    provider.deliver(mail("New"))
    simulators.faults.add("gmail.history", status=200, body={"nextPageToken": "1", "historyId": "1013"})

    assert read_all(source, cursor) == ["New"]


def test_a_history_that_is_forgotten_lists_everything_again(simulators, provider, opened):
    provider.deliver(mail("Known"))
    cursor = opened().changes(None, 10).cursor
    simulators.gmail.expire_history(ADDRESS)
    provider.deliver(mail("New"))

    assert read_all(opened(), cursor) == ["Known", "New"]


@pytest.mark.parametrize("change", [{"address": "other@desk.example"}, {"folder": "Support"}, {"link": "x"}])
def test_a_cursor_of_another_configuration_lists_everything_again(provider, opened, change):
    provider.deliver(mail("Known"))
    source = opened()
    stored = json.loads(json.loads(source.changes(None, 10).cursor)["INBOX"])

    assert read_all(source, Cursor(json.dumps({"INBOX": json.dumps(stored | change)}))) == ["Known"]


def test_messages_of_several_labels_come_in_one_listing(provider, opened):
    provider.create_folder("Support")
    for number in range(3):
        provider.deliver(mail(f"In the inbox {number}"))
        provider.deliver(mail(f"In Support {number}"), folder="Support")

    found = read_all(opened(source={"folders": "inbox; Support"}))

    assert sorted(found) == [f"In {place} {number}" for place in ("Support", "the inbox") for number in range(3)]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("gmail.profile", b"<html>"),
        ("gmail.profile", {}),
        ("gmail.list", {"messages": {}}),
        ("gmail.list", {"messages": [{"threadId": "x"}]}),
        ("gmail.labels", []),
        ("gmail.history", {}),
        ("gmail.history", {"history": [{"id": "1", "messagesAdded": [{}]}], "historyId": "1"}),
        ("gmail.history", {"history": [{"id": "1", "labelsAdded": 7}], "historyId": "1"}),
    ],
)
def test_an_answer_that_makes_no_sense_is_the_services_fault(simulators, opened, kind, body):
    cursor = opened().changes(None, 10).cursor if kind == "gmail.history" else None
    simulators.faults.add(kind, status=200, body=body)

    with pytest.raises(SourceMisbehaved):
        opened().changes(cursor, 10)


# Fetching


def test_a_download_that_breaks_is_tried_once_more(simulators, provider, opened):
    names = deliver(provider, 1)
    simulators.faults.add("gmail.get", drop="midway")

    assert read_all(opened()) == names


@pytest.mark.parametrize(
    "fault",
    [
        {"drop": "midway"},
        {"status": 413},
        {"status": 502, "headers": {"Retry-After": "0"}},
        {"status": 200, "body": b"{"},
        {"status": 200, "body": []},
        {"status": 200, "body": {"raw": "x"}},
    ],
)
def test_a_message_that_cannot_be_had_does_not_hold_up_the_others(simulators, provider, opened, fault):
    deliver(provider, 3)
    source = opened()
    messages = source.changes(None, 10).messages
    simulators.faults.add("gmail.get", path=f"*{messages[1].ref.id}*", times=None, **fault)

    fetched = list(source.fetch(messages))

    assert isinstance(fetched[1], FetchFailure)
    assert not isinstance(fetched[1].error, MessageGone)
    assert subjects([fetched[0], fetched[2]]) == ["Number 0", "Number 2"]


def test_an_id_that_cannot_be_one_is_of_a_message_that_is_gone(simulators, provider, opened):
    deliver(provider, 1)
    source = opened()
    messages = source.changes(None, 10).messages
    simulators.faults.add("gmail.get", **gmail_error(400, "invalidArgument", "Invalid id value"))

    [failure] = source.fetch(messages)

    assert isinstance(failure.error, MessageGone)


def test_the_size_of_a_message_that_is_cut_is_looked_up(simulators, provider, opened):
    arrived_at = BEGINNING
    provider.deliver(mail("Big", "x" * 1_000_000), arrived_at=arrived_at)
    source = opened(intake={"start_from": "beginning", "max_message_bytes": 100_000})

    [message] = source.fetch(source.changes(None, 10).messages)

    assert len(message.content) == 100_000
    assert message.full_size == len(provider.stored()[0].content)
    assert message.received_at == arrived_at


@pytest.mark.parametrize("size", [99_999, 100_000, 100_001])
def test_the_limit_is_that_of_the_message_itself(provider, opened, size):
    content = mail("Large")
    provider.deliver(content + b"x" * (size - len(content)))
    source = opened(intake={"start_from": "beginning", "max_message_bytes": 100_000})

    [message] = source.fetch(source.changes(None, 10).messages)

    assert message.is_cut == (size > 100_000)
    assert message.full_size == size


# Waiting and signing in again


@pytest.mark.parametrize(
    "fault",
    [
        gmail_error(403, "userRateLimitExceeded"),
        gmail_error(403, "rateLimitExceeded"),
        gmail_error(429, "rateLimitExceeded"),
        gmail_error(500, "backendError"),
        gmail_error(503, "backendError"),
    ],
)
def test_a_short_wait_is_kept_and_the_request_repeated(simulators, provider, opened, fault):
    names = deliver(provider, 1)
    simulators.faults.add("gmail.*", headers={"Retry-After": "0"}, times=2, **fault)

    assert read_all(opened()) == names


def test_a_long_wait_is_handed_on(simulators, opened):
    simulators.faults.add("gmail.list", headers={"Retry-After": "120"}, **gmail_error(403, "dailyLimitExceeded"))

    with pytest.raises(Throttled) as caught:
        opened().changes(None, 10)

    assert caught.value.retry_after == timedelta(seconds=120)


def test_a_token_that_is_rejected_is_renewed_once(simulators, provider, opened):
    names = deliver(provider, 1)
    source = opened()
    source.changes(None, 10)
    simulators.google.revoke(ADDRESS)

    assert read_all(source) == names
    assert simulators.counts["google.token"] == 2


@pytest.mark.parametrize(
    ("status", "reason", "error"),
    [
        (400, "failedPrecondition", SourceMisconfigured),
        (401, "authError", CredentialsRejected),
        (403, "accessNotConfigured", AccessDenied),
        (403, "domainPolicy", AccessDenied),
        (403, "forbidden", AccessDenied),
        (403, "insufficientPermissions", AccessDenied),
        (403, "somethingNew", AccessDenied),
    ],
)
def test_a_refusal_is_told_by_its_reason_with_advice(
    simulators, opened, status: int, reason: str, error: type[AppError]
):
    simulators.faults.add("gmail.list", times=None, **gmail_error(status, reason, f"about {ADDRESS}"))

    with pytest.raises(error) as caught:
        opened().changes(None, 10)

    assert caught.value.advice
    assert ADDRESS not in f"{caught.value} {caught.value.advice}"


def test_a_service_that_is_out_of_order_is_unavailable(simulators, opened):
    simulators.faults.add("gmail.list", times=None, headers={"Retry-After": "0"}, **gmail_error(503, "backendError"))

    with pytest.raises(SourceUnavailable):
        opened().changes(None, 10)


# Settling


def test_messages_are_settled_in_one_request(simulators, provider, opened):
    deliver(provider, 45)
    source = opened()
    page = source.changes(None, 50)

    source.settle(refs(page), MarkRead())

    assert simulators.counts["gmail.batch_modify"] == 1


def test_what_is_deleted_lies_in_the_trash(provider, opened):
    provider.deliver(mail("Deleted"))
    source = opened()

    source.settle(refs(source.changes(None, 10)), Delete())

    assert [message.content for message in provider.stored("TRASH")] == [mail("Deleted")]


def test_a_message_that_is_moved_keeps_its_other_labels(provider, opened):
    provider.deliver(mail("Moved"))
    [message] = provider.store.newest_first()
    provider.store.modify(message, ["STARRED"], [])
    source = opened()

    source.settle(refs(source.changes(None, 10)), Move(folder="Done"))

    assert sorted(provider.store.labels.get(label, label) for label in message.labels) == ["Done", "STARRED", "UNREAD"]


def test_a_message_that_cannot_be_settled_does_not_hold_up_the_others(simulators, provider, opened):
    deliver(provider, 2)
    source = opened()
    page = source.changes(None, 10)
    simulators.faults.add("gmail.batch_modify", times=2, **gmail_error(400, "invalidArgument"))

    settled = source.settle(refs(page), MarkRead())

    assert [each.ref for each in settled] == refs(page)
    assert [type(each.error) for each in settled] == [MessageError, type(None)]
    assert [message.is_read for message in provider.stored()] == [False, True]


def test_a_label_that_somebody_else_makes_meanwhile_is_used(simulators, provider, opened):
    provider.deliver(mail("Moved"))
    provider.create_folder("Done")
    source = opened()
    page = source.changes(None, 10)
    simulators.faults.add("gmail.labels", status=200, body={})

    opened_later = opened()
    opened_later.settle(refs(page), Move(folder="done"))

    assert [message.content for message in provider.stored("Done")] == [mail("Moved")]


def test_a_label_that_cannot_be_made_is_missing(simulators, provider, opened):
    provider.deliver(mail("Stays"))
    source = opened()
    page = source.changes(None, 10)
    simulators.faults.add("gmail.create_label", **gmail_error(400, "invalidArgument"))

    with pytest.raises(FolderMissing) as missing:
        source.settle(refs(page), Move(folder="Done"))

    assert missing.value.advice


# Testing the connection


def last(source: Source) -> CheckStage:
    return list(source.check())[-1]


def test_a_connection_test_ends_at_an_account_without_gmail(simulators, opened):
    simulators.faults.add("gmail.profile", **gmail_error(400, "failedPrecondition"))

    stage = last(opened())

    assert (stage.name, stage.code) == ("mailbox", "source_misconfigured")


def test_a_connection_test_ends_where_the_sign_in_may_not_change_messages(simulators, opened):
    simulators.faults.add("gmail.modify", **gmail_error(403, "insufficientPermissions"))

    stage = last(opened(settlement={"action": "mark_read"}))

    assert (stage.name, stage.code) == ("settlement", "access_denied")
    assert all(stage.ok for stage in opened(settlement={"action": "keep"}).check())


def test_a_connection_test_refuses_to_move_to_the_label_that_is_read(opened):
    stage = last(opened(settlement={"action": "move", "folder": "Inbox"}))

    assert (stage.name, stage.code) == ("settlement", "source_misconfigured")


def test_an_address_that_is_an_alias_reads_the_mailbox_of_its_account(provider, opened):
    provider.deliver(mail("There"))

    assert read_all(opened(address="alias@desk.example", source={"mailbox": ADDRESS})) == ["There"]
