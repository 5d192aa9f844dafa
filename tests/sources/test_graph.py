"""What is special to Graph; what it shares with all sources is in the contract."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.simulators import Simulators, graph_error
from local.simulators.graph_batch import CONCURRENCY
from local.simulators.graph_delta import FILTERED_ROUND_LIMIT
from shared.application.ports.connections import CheckStage, FetchFailure, Source
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CredentialsRejected,
    CursorExpired,
    FolderMissing,
    MailboxError,
    MessageError,
    MessageGone,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
    Throttled,
)
from shared.domain.message import Cursor, Listed
from shared.domain.settlement import Delete, MarkRead, Move
from tests.sources.contract import mail, read_all, refs, subjects
from tests.sources.graph_mailbox import ADDRESS, APP, GraphMailbox

BEGINNING = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def provider(simulators: Simulators) -> GraphMailbox:
    return GraphMailbox(simulators, lambda: datetime.now(UTC))


@pytest.fixture
def opened(provider: GraphMailbox, request: pytest.FixtureRequest):
    def opened(**changes: Any) -> Source:
        source = provider.open(provider.mailbox(**changes))
        request.addfinalizer(source.close)
        return source

    return opened


def deliver(provider: GraphMailbox, number: int) -> list[str]:
    names = [f"Number {each}" for each in range(number)]
    for minute, name in enumerate(names):
        provider.deliver(mail(name), arrived_at=BEGINNING + timedelta(minutes=minute))
    return names


# Budgets


def test_an_idle_poll_is_one_request(simulators, provider, opened):
    deliver(provider, 3)
    cursor = opened().changes(None, 100).cursor
    simulators.counts.clear()

    page = opened().changes(cursor, 100)

    assert page.messages == ()
    assert simulators.requests("graph") == 1


def test_taking_in_a_message_costs_little_more_than_its_download(simulators, provider, opened):
    deliver(provider, 100)
    source = opened()

    page = source.changes(None, 100)
    for start in range(0, 100, 16):
        fetched = list(source.fetch(page.messages[start : start + 16]))
        source.settle([message.ref for message in fetched], Move(folder="Done"))

    assert len(provider.stored("Done")) == 100
    assert simulators.requests("graph") <= 1.2 * 100


# Listing


@pytest.mark.parametrize("edit", ["out_of_order", "repeated_item", "removed_item"])
def test_a_page_is_put_in_order(simulators, provider, opened, edit):
    names = deliver(provider, 3)
    simulators.faults.add("graph.delta", edit=edit)

    assert read_all(opened()) == names


def test_an_empty_page_is_not_the_end(simulators, provider, opened):
    deliver(provider, 1)
    simulators.faults.add("graph.delta", edit="empty_page")

    page = opened().changes(None, 10)

    assert page.messages == ()
    assert page.more


def test_a_first_round_that_may_have_been_cut_short_is_followed_by_a_whole_one(simulators, provider, opened):
    """A filtered round ends after 5,000 messages without saying that there are more."""
    for second in range(FILTERED_ROUND_LIMIT + 1):
        provider.deliver(b"\r\n", arrived_at=BEGINNING + timedelta(seconds=second))
    provider.deliver(b"\r\n", arrived_at=BEGINNING - timedelta(days=1))
    source = opened(intake={"start_from": BEGINNING.isoformat()})

    pages = [source.changes(None, 1000)]
    while pages[-1].more:
        pages.append(source.changes(pages[-1].cursor, 1000))

    assert len({ref for page in pages for ref in refs(page)}) == FILTERED_ROUND_LIMIT + 1
    assert source.changes(pages[-1].cursor, 1000).messages == ()


def test_a_message_that_is_moved_in_is_listed_though_it_is_old(provider, opened):
    provider.deliver(mail("Found in junk"), folder="junkemail", arrived_at=BEGINNING)
    source = opened()
    cursor = source.changes(None, 10).cursor
    [message] = provider.store.messages.values()

    provider.store.move(message, provider.store.folder("inbox"))

    assert read_all(source, cursor) == ["Found in junk"]


def test_an_expired_cursor_lists_everything_again(simulators, provider, opened):
    provider.deliver(mail("Known"))
    cursor = opened().changes(None, 10).cursor
    simulators.graph.expire_deltas(ADDRESS)

    assert read_all(opened(), cursor) == ["Known"]


@pytest.mark.parametrize("code", ["syncStateNotFound", "SyncStateInvalid", "resyncRequired"])
def test_a_cursor_can_also_expire_by_code(simulators, provider, opened, code):
    provider.deliver(mail("Known"))
    cursor = opened().changes(None, 10).cursor
    simulators.faults.add("graph.delta", status=400, body=graph_error(code))

    assert read_all(opened(), cursor) == ["Known"]


@pytest.mark.parametrize(
    "change",
    [
        {"address": "other@desk.example"},
        {"folder": "Support"},
        {"link": "https://graph.elsewhere.example/v1.0/x"},
        {"link": "https://["},
        {"uidvalidity": 1},
    ],
)
def test_a_cursor_of_another_configuration_lists_everything_again(provider, opened, change):
    provider.deliver(mail("Known"))
    source = opened()
    stored = json.loads(json.loads(source.changes(None, 10).cursor)["inbox"])

    assert read_all(source, Cursor(json.dumps({"inbox": json.dumps(stored | change)}))) == ["Known"]


@pytest.mark.parametrize("cursor", ["", "{", "[]", '"text"', '{"inbox": 7}', '{"inbox": "{"}'])
def test_a_cursor_that_is_none_of_ours_lists_everything(provider, opened, cursor):
    provider.deliver(mail("Known"))

    try:
        found = read_all(opened(), Cursor(cursor))
    except CursorExpired:
        found = read_all(opened(), None)

    assert found == ["Known"]


def test_a_folder_that_is_deleted_is_missing(provider, opened):
    provider.create_folder("Support")
    source = opened(source={"folders": ["Support"]})
    cursor = source.changes(None, 10).cursor
    provider.store.remove_folder(provider.simulators.graph.find(provider.store, "Support"))

    with pytest.raises(FolderMissing):
        opened(source={"folders": ["Support"]}).changes(cursor, 10)


def test_messages_of_several_folders_come_in_one_listing(provider, opened):
    provider.create_folder("Support")
    for number in range(3):
        provider.deliver(mail(f"In the inbox {number}"))
        provider.deliver(mail(f"In Support {number}"), folder="Support")

    found = read_all(opened(source={"folders": "inbox; Support"}))

    assert sorted(found) == [f"In {place} {number}" for place in ("Support", "the inbox") for number in range(3)]


@pytest.mark.parametrize("name", ["@odata.nextLink", "@odata.deltaLink"])
@pytest.mark.parametrize("link", ["https://elsewhere.example/v1.0/x", "http://localhost/v1.0/x", "/v1.0/x", 1])
def test_a_link_that_leads_elsewhere_is_not_followed(simulators, opened, name, link):
    simulators.faults.add("graph.delta", status=200, body={"value": [], name: link})

    with pytest.raises(SourceMisbehaved):
        opened().changes(None, 10)


@pytest.mark.parametrize("body", [None, b"<html>", [], {}, {"value": {}}, {"value": [1]}, {"value": []}])
def test_an_answer_that_makes_no_sense_is_the_services_fault(simulators, opened, body):
    simulators.faults.add("graph.delta", status=200, body=body)

    with pytest.raises(SourceMisbehaved):
        opened().changes(None, 10)


# Fetching


def test_no_more_than_four_messages_are_fetched_ahead(simulators, provider, opened):
    deliver(provider, 12)
    source = opened()
    fetching = source.fetch(source.changes(None, 20).messages)

    next(fetching)
    next(fetching)
    fetching.close()

    assert simulators.counts["graph.mime"] <= 6


def test_a_download_that_breaks_is_tried_once_more(simulators, provider, opened):
    deliver(provider, 1)
    simulators.faults.add("graph.mime", drop="midway")

    assert read_all(opened()) == ["Number 0"]


@pytest.mark.parametrize(
    "fault", [{"drop": "midway"}, {"status": 500}, {"status": 504, "headers": {"Retry-After": "0"}}, {"status": 413}]
)
def test_a_message_that_cannot_be_had_does_not_hold_up_the_others(simulators, provider, opened, fault):
    deliver(provider, 3)
    source = opened()
    messages = source.changes(None, 10).messages
    simulators.faults.add("graph.mime", path=f"*{messages[1].ref.id[:-2]}*", times=None, **fault)

    fetched = list(source.fetch(messages))

    assert isinstance(fetched[1], FetchFailure)
    assert not isinstance(fetched[1].error, MessageGone)
    assert subjects([fetched[0], fetched[2]]) == ["Number 0", "Number 2"]


def test_settling_while_messages_are_fetched_stays_within_what_the_mailbox_serves_at_a_time(
    simulators, provider, opened
):
    deliver(provider, 8)
    source = opened()
    messages = source.changes(None, 10).messages
    simulators.faults.add("graph.mime", path=f"*{messages[0].ref.id[:-2]}*")
    simulators.faults.add("graph.mime", delay_seconds=1, times=None)
    fetching = source.fetch(messages)

    next(fetching)
    deadline = time.monotonic() + 30
    while provider.store.running < CONCURRENCY and time.monotonic() < deadline:
        time.sleep(0.01)
    settled = source.settle([message.ref for message in messages[:4]], MarkRead())
    fetching.close()

    assert [each.error for each in settled] == [None] * 4
    assert simulators.counts["graph.batch"] == 1


def test_a_message_stays_the_same_where_it_is_moved_meanwhile(provider, opened):
    deliver(provider, 1)
    source = opened()
    messages = source.changes(None, 10).messages
    [message] = provider.store.messages.values()

    provider.store.move(message, provider.store.folder("archive"))

    assert subjects(list(source.fetch(messages))) == ["Number 0"]


def test_the_size_of_a_message_that_is_cut_is_looked_up(provider, opened):
    provider.deliver(mail("Big", "x" * 1_000_000))
    source = opened(intake={"start_from": "beginning", "max_message_bytes": 100_000})

    [message] = source.fetch(source.changes(None, 10).messages)

    assert len(message.content) <= 262_144
    assert message.full_size == len(provider.stored()[0].content)


def test_a_message_is_cut_where_its_size_cannot_be_looked_up(simulators, provider, opened):
    provider.deliver(mail("Big", "x" * 1_000_000))
    simulators.faults.add("graph.message", status=500)
    source = opened(intake={"start_from": "beginning", "max_message_bytes": 100_000})

    [message] = source.fetch(source.changes(None, 10).messages)

    assert message.is_cut


# Waiting and signing in again


@pytest.mark.parametrize("status", [429, 503, 504])
def test_a_short_wait_is_kept_and_the_request_repeated(simulators, provider, opened, status):
    names = deliver(provider, 1)
    simulators.faults.add("graph.*", status=status, headers={"Retry-After": "0"}, times=2)

    assert read_all(opened()) == names


@pytest.mark.parametrize(("status", "error"), [(429, Throttled), (503, SourceUnavailable)])
def test_a_long_wait_is_handed_on(simulators, opened, status, error):
    simulators.faults.add("graph.delta", status=status, headers={"Retry-After": "120"})

    with pytest.raises(error) as caught:
        opened().changes(None, 10)

    assert caught.value.retry_after == timedelta(seconds=120)


def test_a_service_that_keeps_asking_to_wait_is_unavailable(simulators, opened):
    simulators.faults.add("graph.delta", status=503, headers={"Retry-After": "0"}, times=None)

    with pytest.raises(SourceUnavailable):
        opened().changes(None, 10)

    assert simulators.counts["graph.delta"] == 3


def test_a_token_that_is_rejected_is_renewed_once(simulators, provider, opened):
    names = deliver(provider, 1)
    source = opened()
    source.changes(None, 10)
    expired = {"status": 401, "body": graph_error("InvalidAuthenticationToken")}
    simulators.faults.add("graph.delta", **expired)

    assert read_all(source) == names
    assert simulators.counts["entra.token"] == 2
    simulators.faults.add("graph.delta", times=None, **expired)
    with pytest.raises(CredentialsRejected):
        source.changes(None, 10)
    assert simulators.counts["entra.token"] == 3


def test_a_kept_connection_that_was_closed_is_opened_again(simulators, provider, opened):
    names = deliver(provider, 1)
    source = opened()
    source.changes(None, 10)
    simulators.faults.add("graph.delta", drop="before")

    assert read_all(source) == names


# Settling


def test_messages_are_settled_twenty_at_a_time(simulators, provider, opened):
    deliver(provider, 45)
    source = opened()
    page = source.changes(None, 50)

    source.settle(refs(page), MarkRead())

    assert simulators.counts["graph.batch"] == 3


def test_a_message_that_cannot_be_settled_does_not_hold_up_the_others(simulators, provider, opened):
    deliver(provider, 4)
    source = opened()
    page = source.changes(None, 10)
    simulators.faults.add("graph.update", skip=1, status=412, body=graph_error("ErrorIrresolvableConflict"))

    settled = source.settle(refs(page), MarkRead())

    assert [each.ref for each in settled] == refs(page)
    assert [type(each.error) for each in settled] == [type(None), MessageError, type(None), type(None)]
    assert [message.is_read for message in provider.stored()] == [True, False, True, True]


def test_what_is_throttled_within_a_batch_is_sent_again(simulators, provider, opened):
    deliver(provider, 4)
    source = opened()
    page = source.changes(None, 10)
    throttled = {"status": 429, "body": graph_error("ApplicationThrottled"), "headers": {"Retry-After": "0"}}
    simulators.faults.add("graph.update", skip=1, **throttled)

    settled = source.settle(refs(page), MarkRead())

    assert [each.error for each in settled] == [None] * 4
    assert all(message.is_read for message in provider.stored())


@pytest.mark.parametrize(("wait", "requests"), [("120", 1), ("0", 3)])
def test_a_batch_that_gets_nowhere_is_throttled(simulators, provider, opened, wait, requests):
    deliver(provider, 1)
    source = opened()
    page = source.changes(None, 10)
    simulators.faults.add("graph.update", status=429, headers={"Retry-After": wait}, times=None)

    with pytest.raises(Throttled):
        source.settle(refs(page), MarkRead())

    assert simulators.counts["graph.batch"] == requests


def test_a_missing_right_stops_the_settlement(simulators, provider, opened):
    deliver(provider, 1)
    simulators.entra.add_app(APP, "the-app-secret", roles=["Mail.Read"])
    source = opened()
    page = source.changes(None, 10)

    with pytest.raises(AccessDenied) as denied:
        source.settle(refs(page), MarkRead())

    assert "Mail.ReadWrite" in denied.value.advice


def test_a_target_that_is_deleted_meanwhile_is_created_again(provider, opened):
    deliver(provider, 2)
    source = opened()
    first, second = refs(source.changes(None, 10))
    source.settle([first], Move(folder="Done"))
    provider.store.remove_folder(provider.simulators.graph.find(provider.store, "Done"))

    [settled] = source.settle([second], Move(folder="Done"))

    assert settled.error is None
    assert [message.content for message in provider.stored("Done")] == [mail("Number 1")]


def test_a_target_that_somebody_creates_at_the_same_moment_is_used(simulators, provider, opened):
    deliver(provider, 1)
    provider.create_folder("Done")
    source = opened()
    page = source.changes(None, 10)
    simulators.faults.add("graph.folders", status=200, body={"value": []})

    source.settle(refs(page), Move(folder="Done"))

    assert len(provider.stored("Done")) == 1


def test_a_target_that_cannot_be_created_is_missing(simulators, provider, opened):
    deliver(provider, 1)
    source = opened()
    page = source.changes(None, 10)
    simulators.faults.add("graph.create_folder", status=409, body=graph_error("ErrorFolderExists"))

    with pytest.raises(FolderMissing):
        source.settle(refs(page), Move(folder="Done"))


def test_deleted_messages_are_in_the_deleted_items(provider, opened):
    deliver(provider, 1)
    source = opened()

    source.settle(refs(source.changes(None, 10)), Delete())

    assert [message.content for message in provider.stored("deleteditems")] == [mail("Number 0")]


def test_a_settlement_whose_answer_is_lost_can_be_repeated(simulators, provider, opened):
    deliver(provider, 3)
    source = opened()
    page = source.changes(None, 10)
    simulators.faults.add("graph.batch", drop="after")

    with pytest.raises(SourceUnavailable):
        source.settle(refs(page), Move(folder="Done"))
    settled = source.settle(refs(page), Move(folder="Done"))

    assert [each.error for each in settled] == [None] * 3
    assert len(provider.stored("Done")) == 3


def test_a_batch_without_all_its_answers_is_the_services_fault(simulators, provider, opened):
    deliver(provider, 1)
    source = opened()
    page = source.changes(None, 10)
    simulators.faults.add("graph.batch", status=200, body={"responses": [{"id": "7", "status": 200}]})

    with pytest.raises(SourceMisbehaved):
        source.settle(refs(page), MarkRead())


# Folders


def test_folders_have_their_roles_in_every_language(simulators, provider, opened):
    provider.store.folder("inbox").name = "Posteingang"
    provider.store.folder("deleteditems").name = "Gelöschte Elemente"

    roles = {folder.path: folder.role for folder in opened().folders()}

    assert roles["Posteingang"] == "inbox"
    assert roles["Gelöschte Elemente"] == "trash"
    assert roles["Outbox"] is None


@pytest.mark.parametrize("path", ["inbox", "INBOX", "Posteingang", "posteingang/"])
def test_the_inbox_is_found_by_its_role_and_by_its_name(provider, opened, path):
    provider.store.folder("inbox").name = "Posteingang"
    names = deliver(provider, 1)

    assert read_all(opened(source={"folders": [path]})) == names


@pytest.mark.parametrize("path", ["Inbox/Kunden/R&D's", "inbox\\kunden\\r&d's", "/Inbox/Kunden/R&D's/"])
def test_a_folder_is_found_by_its_path(provider, opened, path):
    provider.create_folder("Inbox/Kunden")
    provider.create_folder("Inbox/Kunden/R&D's")
    provider.deliver(mail("Found"), folder="inbox/Kunden/R&D's")

    assert read_all(opened(source={"folders": [path]})) == ["Found"]


def test_a_slash_within_a_name_is_escaped(provider, opened):
    place = provider.store.add_folder(provider.store.folder("inbox"), "In/Out")
    provider.simulators.graph.deliver(ADDRESS, mail("Found"), folder=place.id)

    assert "Inbox/In\\/Out" in [folder.path for folder in opened().folders()]
    assert read_all(opened(source={"folders": ["Inbox/In\\/Out"]})) == ["Found"]


# What goes wrong


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "ErrorAccessDenied", AccessDenied),
        (403, "Authorization_RequestDenied", AccessDenied),
        (403, "ErrorQuotaExceeded", MailboxError),
        (403, "SomethingNew", AccessDenied),
        (404, "MailboxNotEnabledForRESTAPI", SourceMisconfigured),
        (404, "MailboxNotSupportedForRESTAPI", SourceMisconfigured),
        (404, "ErrorInvalidUser", SourceMisconfigured),
        (404, "ErrorNonExistentMailbox", SourceMisconfigured),
        (404, "Request_ResourceNotFound", SourceMisconfigured),
        (400, "InefficientFilter", SourceMisbehaved),
        (500, "ErrorInternalServerError", SourceMisbehaved),
        (302, "", SourceMisbehaved),
    ],
)
def test_what_graph_refuses_is_told_by_its_code(
    simulators: Simulators, opened: Any, status: int, code: str, error: type[AppError]
):
    simulators.faults.add("graph.delta", status=status, body=graph_error(code))

    with pytest.raises(error) as caught:
        opened().changes(None, 10)

    assert caught.value.advice or not isinstance(caught.value, MailboxError)


# Testing the connection


def last(source: Source) -> CheckStage:
    return list(source.check())[-1]


def test_a_connection_test_tells_the_certificate_and_how_long_it_is_valid(opened):
    tls = next(stage for stage in opened().check() if stage.name == "tls")

    assert tls.detail.startswith("TLSv1.")
    assert "more days" in tls.detail


def test_a_connection_test_ends_where_graph_rejects_the_token(simulators, opened):
    simulators.faults.add("graph.*", status=401, body=graph_error("InvalidAuthenticationToken"), times=None)

    stage = last(opened())

    assert (stage.name, stage.code) == ("sign_in", "credentials_rejected")


def test_a_connection_test_ends_at_an_unknown_mailbox(provider, opened):
    provider.store.enabled = False

    stage = last(opened())

    assert (stage.name, stage.code) == ("mailbox", "source_misconfigured")
    assert stage.advice


def test_a_connection_test_ends_where_the_app_may_not_change_messages(simulators, opened):
    simulators.entra.add_app(APP, "the-app-secret", roles=["Mail.Read"])

    stage = last(opened(settlement={"action": "mark_read"}))

    assert (stage.name, stage.code) == ("settlement", "access_denied")
    assert all(stage.ok for stage in opened(settlement={"action": "keep"}).check())


@pytest.mark.parametrize("path", ["Inbox", "Posteingang"])
def test_a_connection_test_refuses_to_move_to_the_folder_that_is_read(provider, opened, path):
    provider.store.folder("inbox").name = "Posteingang"

    stage = last(opened(settlement={"action": "move", "folder": path}))

    assert (stage.name, stage.code) == ("settlement", "source_misconfigured")


def test_a_connection_test_counts_only_unread_messages_where_only_they_are_taken_in(provider, opened):
    provider.deliver(mail("Read"), is_read=True)
    provider.deliver(mail("Unread"))

    stage = last(opened(intake={"start_from": "beginning", "unread_only": True}))

    assert stage.detail == "A first poll would take in 1 messages."


def test_no_error_holds_the_address_or_the_secret(simulators, opened):
    simulators.faults.add("graph.delta", status=404, body=graph_error("ErrorInvalidUser", f"'{ADDRESS}' is invalid"))

    with pytest.raises(SourceMisconfigured) as caught:
        opened().changes(None, 10)

    assert ADDRESS not in f"{caught.value} {caught.value.advice}"


def test_a_listed_message_without_a_time_is_taken_as_new(simulators, opened):
    link = f"{simulators.url}/v1.0/x"
    body = {"value": [{"id": "AAkA1="}, {"subject": "no id"}], "@odata.deltaLink": link}
    simulators.faults.add("graph.delta", status=200, body=body)

    page = opened(intake={"start_from": "now"}).changes(None, 10)

    assert [listed.ref.id for listed in page.messages] == ["AAkA1="]
    assert all(isinstance(listed, Listed) for listed in page.messages)
