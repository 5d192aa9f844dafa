"""What is special to IMAP: how much is said, what servers get wrong, and who listens on the way."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.net import Timeouts
from shared.adapters.sources.imap import ImapSource
from shared.application.ports.connections import FetchFailure
from shared.domain.errors import (
    AccessDenied,
    CertificateRejected,
    FolderMissing,
    MessageError,
    MessageGone,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
    Throttled,
)
from shared.domain.message import Listed, MessageRef, RawMessage
from shared.domain.settlement import Delete, MarkRead, Move
from tests.scripted import CLOSE, STALL
from tests.sources.conftest import IMPATIENT
from tests.sources.contract import mail, read_all, refs, subjects
from tests.sources.scripted_imap import DONE, MESSAGE, fetched, opened, said


def listed(*uids: int, size: int | None = len(MESSAGE), uidvalidity: int = 7) -> list[Listed]:
    return [Listed(MessageRef("INBOX", f"{uidvalidity}:{uid}"), size) for uid in uids]


# How much is said


@pytest.mark.parametrize("mode", ["none", "starttls"])
def test_an_idle_poll_takes_at_most_six_commands(serving, reading, server_tls, mode):
    server = serving(tls=server_tls, plain_capabilities="IMAP4rev1 STARTTLS")
    source = reading(server, mode)
    cursor = source.changes(None, 10).cursor
    source.close()
    server.commands.clear()

    source.changes(cursor, 10)
    source.close()

    assert server.commands[-2:] == ['SELECT "INBOX"', "LOGOUT"]
    assert len(server.commands) <= 6


def test_no_search_is_made_where_no_number_has_been_given_since(serving, reading):
    server = serving()
    source = reading(server)

    source.changes(source.changes(None, 10).cursor, 10)

    assert len(said(server, "UID SEARCH")) == 1


def test_a_folder_whose_messages_are_left_alone_is_opened_for_reading_only(serving, reading):
    server = serving(answers={"SELECT": "{tag} NO [NOPERM] no\r\n"})

    assert read_all(reading(server, settlement={"action": "keep"})) == ["Scripted"]


def test_a_long_backlog_is_searched_in_windows(serving, reading):
    server = serving(answers={"SELECT": opened(exists=2, uidnext=1000), "UID SEARCH": ["* SEARCH\r\n" + DONE]})

    page = reading(server).changes(None, 10)

    assert said(server, "UID SEARCH") == [
        "UID SEARCH UID 1:100 UNDELETED",
        "UID SEARCH UID 101:300 UNDELETED",
        "UID SEARCH UID 301:700 UNDELETED",
        "UID SEARCH UID 701:999 UNDELETED",
    ]
    assert not page.more


def test_messages_are_fetched_in_batches_of_bounded_count_and_size(serving, reading):
    server = serving(answers={"UID FETCH": DONE})
    source = reading(server)

    list(source.fetch([*listed(*range(1, 121), size=1000), *listed(*range(121, 126), size=1_900_000)]))

    batches = [command.split()[2].split(",") for command in said(server, "UID FETCH")]
    assert [len(batch) for batch in batches] == [50, 50, 22, 2, 1]
    assert [int(uid) for batch in batches for uid in batch] == list(range(1, 126))


def test_of_a_message_over_the_limit_only_the_beginning_is_asked_for(serving, reading):
    server = serving(answers={"UID FETCH": DONE})

    list(reading(server).fetch([*listed(1), *listed(2, size=40_000_000), *listed(3)]))

    assert said(server, "UID FETCH") == [
        "UID FETCH 1 (BODY.PEEK[] INTERNALDATE)",
        "UID FETCH 2 (BODY.PEEK[]<0.262144> INTERNALDATE)",
        "UID FETCH 3 (BODY.PEEK[] INTERNALDATE)",
    ]


def test_many_messages_are_settled_in_one_command(serving, reading):
    server = serving()

    reading(server).settle([message.ref for message in listed(*range(1, 301))], MarkRead())

    assert len(said(server, "UID STORE")) == 1


# Cursors


def test_the_mailbox_is_listed_again_where_uids_got_a_new_meaning(serving, reading):
    server = serving(answers={"SELECT": [opened(uidvalidity=7), opened(uidvalidity=8)]})
    source = reading(server)
    first = source.changes(None, 10)

    again = source.changes(first.cursor, 10)

    assert [ref.id for ref in refs(first) + refs(again)] == ["7:1", "8:1"]


def test_a_cursor_of_another_folder_starts_over(serving, reading):
    server = serving()
    inbox = reading(server)
    cursor = inbox.changes(None, 10).cursor
    inbox.close()

    page = reading(server, source={"folders": ["Support"]}).changes(cursor, 10)

    assert refs(page) == [MessageRef("Support", "7:1")]


def test_an_old_message_that_comes_later_is_taken_in_though_the_past_was_left_out(dovecot_mailbox, request):
    now = datetime.now(UTC)
    source = dovecot_mailbox.open(dovecot_mailbox.mailbox(intake={"start_from": "now"}, created_at=now))
    request.addfinalizer(source.close)
    dovecot_mailbox.deliver(mail("Past"), arrived_at=now - timedelta(days=9))
    cursor = source.changes(None, 10).cursor

    dovecot_mailbox.deliver(mail("Moved here"), arrived_at=now - timedelta(days=9))

    assert read_all(source, cursor) == ["Moved here"]


def test_an_old_message_that_comes_between_the_first_pages_is_taken_in(dovecot_mailbox, request):
    now = datetime.now(UTC)
    for number in range(2):
        dovecot_mailbox.deliver(mail(f"Number {number}"), arrived_at=now)
    source = dovecot_mailbox.open(dovecot_mailbox.mailbox(intake={"start_from": "now"}, created_at=now))
    request.addfinalizer(source.close)
    cursor = source.changes(None, 1).cursor

    dovecot_mailbox.deliver(mail("Moved here"), arrived_at=now - timedelta(days=9))

    assert read_all(source, cursor) == ["Number 1", "Moved here"]


def test_the_past_is_left_out_page_by_page_where_it_lies_between_new_messages(dovecot_mailbox, request):
    now = datetime.now(UTC)
    for days in (0, 9, 0, 9, 0):
        dovecot_mailbox.deliver(mail(f"{days} days old"), arrived_at=now - timedelta(days=days))
    source = dovecot_mailbox.open(dovecot_mailbox.mailbox(intake={"start_from": "now"}, created_at=now))
    request.addfinalizer(source.close)

    pages = [source.changes(None, 1)]
    while pages[-1].more:
        pages.append(source.changes(pages[-1].cursor, 1))

    found = [message for page in pages for message in page.messages]
    assert subjects(list(source.fetch(found))) == ["0 days old"] * 3


def test_what_a_search_finds_before_the_cursor_is_not_new(serving, reading):
    server = serving(answers={"SELECT": [opened(), opened(uidnext=3)]})
    source = reading(server)
    cursor = source.changes(None, 10).cursor

    assert source.changes(cursor, 10).messages == ()


def test_a_server_that_does_not_foretell_numbers_is_asked_for_the_last(serving, reading):
    silent = opened().replace("* OK [UIDNEXT 2] ok\r\n", "")
    server = serving(answers={"SELECT": silent})

    assert len(reading(server).changes(None, 10).messages) == 1
    assert said(server, "UID SEARCH")[0] == "UID SEARCH UID *"


def test_a_server_without_uids_cannot_be_read(serving, reading):
    server = serving(answers={"SELECT": "* 1 EXISTS\r\n" + DONE})

    with pytest.raises(SourceMisbehaved):
        reading(server).changes(None, 10)


# Fetching


def test_messages_are_gone_where_uids_got_a_new_meaning(serving, reading):
    server = serving()

    [failure] = reading(server).fetch(listed(1, uidvalidity=6))

    assert isinstance(failure.error, MessageGone)
    assert said(server, "UID FETCH") == []


def test_messages_are_gone_with_their_folder(serving, reading):
    server = serving(answers={"SELECT": "{tag} NO there is no such folder\r\n", "LIST": DONE})

    [failure] = reading(server).fetch(listed(1))

    assert isinstance(failure.error, MessageGone)


def test_a_message_that_the_server_fails_on_does_not_fail_the_others(serving, reading):
    def answer(command: str) -> str:
        uids = command.split()[2].split(",")
        return "{tag} NO [SERVERBUG] sorry\r\n" if "5" in uids else "".join(fetched(int(uid)) for uid in uids) + DONE

    server = serving(answers={"UID FETCH": answer})

    results = list(reading(server).fetch(listed(*range(1, 9))))

    assert [type(result.error) for result in results if isinstance(result, FetchFailure)] == [MessageError]
    assert [result.ref.id for result in results if isinstance(result, FetchFailure)] == ["7:5"]
    assert len(said(server, "UID FETCH")) == 7


def test_an_empty_message_that_is_still_there_is_tried_again_and_not_taken_in(serving, reading):
    server = serving(answers={"UID FETCH": "* 1 FETCH (UID 1 BODY[] NIL)\r\n" + DONE})

    [failure] = reading(server).fetch(listed(1))

    assert type(failure.error) is MessageError


def test_a_message_is_whole_though_the_server_announced_another_size(serving, reading):
    server = serving()

    [message] = reading(server).fetch(listed(1, size=len(MESSAGE) + 7))

    assert not message.is_cut


def test_answers_about_other_messages_are_ignored(serving, reading):
    server = serving(answers={"UID FETCH": "* 9 FETCH (FLAGS (\\Seen))\r\n" + fetched(4) + fetched(1) + DONE})

    assert subjects(list(reading(server).fetch(listed(1)))) == ["Scripted"]


def test_a_message_that_comes_in_small_packets_is_put_together(serving, reading):
    server = serving(packet_bytes=3)

    assert subjects(list(reading(server).fetch(listed(1)))) == ["Scripted"]


BREAKS = {
    "ends": fetched(1)[:120] + CLOSE,
    "says goodbye": "* BYE Connection is closed. 13\r\n" + CLOSE,
    "stalls": fetched(1)[:120] + STALL,
    "sends far more than it announced": "* 1 FETCH (UID 1 BODY[] {99999999999}\r\n" + STALL,
    "makes no sense": "* 1 FETCH (UID 1 BODY[] (\r\n" + DONE,
}


@pytest.mark.parametrize("answer", BREAKS.values(), ids=BREAKS.keys())
def test_a_message_that_breaks_the_connection_fails_alone(serving, reading, answer):
    def answered(command: str) -> str:
        uids = command.split()[2].split(",")
        return answer if "3" in uids else "".join(fetched(int(uid)) for uid in uids) + DONE

    source = reading(serving(answers={"UID FETCH": answered}), timeouts=Timeouts(idle=0.3))

    results = list(source.fetch(listed(1, 2, 3, 4)))

    assert [type(result) for result in results] == [RawMessage, RawMessage, FetchFailure, RawMessage]
    assert type(results[2].error) is MessageError


def test_messages_that_break_the_connection_are_all_found_where_others_do_not(serving, reading):
    def answered(command: str) -> str:
        uids = command.split()[2].split(",")
        return CLOSE if {"2", "5"} & set(uids) else "".join(fetched(int(uid)) for uid in uids) + DONE

    results = list(reading(serving(answers={"UID FETCH": answered})).fetch(listed(*range(1, 7))))

    assert [result.ref.id for result in results if isinstance(result, FetchFailure)] == ["7:2", "7:5"]


def test_one_message_is_blamed_where_the_connection_breaks_on_every_one(serving, reading):
    server = serving(answers={"UID FETCH": fetched(1)[:120] + CLOSE})
    results = []

    with pytest.raises(SourceUnavailable):
        results.extend(reading(server).fetch(listed(*range(1, 120))))

    assert [result.ref.id for result in results] == ["7:1"]
    assert len(said(server, "UID FETCH")) < 12


def test_a_throttled_fetch_is_the_fault_of_no_message(serving, reading):
    server = serving(
        answers={"UID FETCH": "{tag} BAD Request is throttled. Suggested Backoff Time: 9 milliseconds\r\n"}
    )

    with pytest.raises(Throttled):
        list(reading(server).fetch(listed(1)))


def test_a_server_that_drips_runs_out_of_time(serving, reading):
    server = serving()
    source = reading(server, timeouts=IMPATIENT)
    source.folders()

    server.packet_bytes, server.pause_seconds = 1, 0.05

    with pytest.raises(SourceUnavailable):
        source.changes(None, 10)


# Settling


def test_without_move_messages_are_copied_and_deleted_one_by_one(serving, reading):
    server = serving(capabilities="IMAP4rev1 UIDPLUS", answers={"UID SEARCH": "* SEARCH 1 2\r\n" + DONE})

    reading(server).settle([message.ref for message in listed(1, 2)], Move(folder="Done"))

    assert said(server, "UID", "EXPUNGE") == [
        "UID SEARCH UID 1,2 UNDELETED",
        'UID COPY 1,2 "Done"',
        "UID STORE 1,2 +FLAGS.SILENT (\\Deleted)",
        "UID EXPUNGE 1,2",
    ]


def test_without_move_a_message_that_was_copied_before_is_not_copied_again(serving, reading):
    server = serving(capabilities="IMAP4rev1 UIDPLUS", answers={"UID SEARCH": "* SEARCH\r\n" + DONE})

    reading(server).settle([message.ref for message in listed(1)], Move(folder="Done"))

    assert said(server, "UID COPY") == []


def test_without_uidplus_nothing_is_expunged_while_others_deleted_messages_are_there(serving, reading):
    server = serving(capabilities="IMAP4rev1", answers={"UID SEARCH DELETED": "* SEARCH 1 9\r\n" + DONE})

    [settled] = reading(server).settle([message.ref for message in listed(1)], Delete())

    assert settled.error is None
    assert said(server, "UID STORE") == ["UID STORE 1 +FLAGS.SILENT (\\Deleted)"]
    assert said(server, "EXPUNGE", "UID EXPUNGE", "CLOSE") == []


def test_without_uidplus_messages_are_expunged_where_all_deleted_ones_are_ours(serving, reading):
    server = serving(capabilities="IMAP4rev1", answers={"UID SEARCH DELETED": "* SEARCH 1\r\n" + DONE})

    reading(server).settle([message.ref for message in listed(1, 2)], Delete())

    assert said(server, "EXPUNGE") == ["EXPUNGE"]


def test_a_folder_that_is_created_is_subscribed_to_so_that_people_see_it(serving, reading):
    server = serving(answers={"UID MOVE": ["{tag} NO [TRYCREATE] create it\r\n", DONE]})

    reading(server).settle([message.ref for message in listed(1)], Move(folder="Done"))

    assert said(server, "UID MOVE", "CREATE", "SUBSCRIBE") == [
        'UID MOVE 1 "Done"',
        'CREATE "Done"',
        'SUBSCRIBE "Done"',
        'UID MOVE 1 "Done"',
    ]


def test_a_folder_that_cannot_be_created_is_missing(serving, reading):
    server = serving(answers={"UID MOVE": "{tag} NO [TRYCREATE] create it\r\n", "CREATE": "{tag} NO never\r\n"})

    with pytest.raises(FolderMissing):
        reading(server).settle([message.ref for message in listed(1)], Move(folder="Done"))


def test_what_the_server_refuses_to_settle_is_told_for_each_message(serving, reading):
    server = serving(answers={"UID STORE": "{tag} NO not now\r\n"})

    settled = reading(server).settle([message.ref for message in listed(1, 2)], MarkRead())

    assert [type(each.error) for each in settled] == [MessageError, MessageError]


def test_messages_of_a_folder_whose_uids_got_a_new_meaning_are_left_alone(serving, reading):
    server = serving()

    [settled] = reading(server).settle([message.ref for message in listed(1, uidvalidity=6)], Delete())

    assert settled.error is None
    assert said(server, "UID") == []


def test_a_folder_that_can_only_be_read_cannot_be_settled_in(serving, reading):
    server = serving(answers={"SELECT": opened().replace("READ-WRITE", "READ-ONLY")})

    with pytest.raises(AccessDenied) as denied:
        reading(server).changes(None, 10)

    assert "keep" in denied.value.advice


# Folders

DOTTED = '* LIST (\\HasChildren) "." INBOX\r\n* LIST () "." "INBOX.Hilfe &- mehr"\r\n* LIST (\\Noselect) "." Shared\r\n'


def test_paths_have_slashes_whatever_the_separator_of_the_server(serving, reading):
    server = serving(answers={"LIST": DOTTED + '* LIST (\\Sent) "." "Gesendete Elemente"\r\n' + DONE})

    folders = reading(server).folders()

    assert [(folder.path, folder.role) for folder in folders] == [
        ("INBOX", "inbox"),
        ("INBOX/Hilfe & mehr", None),
        ("Gesendete Elemente", "sent"),
    ]


def test_a_path_that_the_server_does_not_take_is_found_in_its_list_once(serving, reading):
    refusals = {"SELECT": opened(), 'SELECT "Inbox/Hilfe': "{tag} NO [CANNOT] bad character\r\n"}
    server = serving(answers={**refusals, "LIST": DOTTED + DONE})
    source = reading(server, source={"folders": ["Inbox/Hilfe & mehr"]})

    source.changes(None, 10)
    source.changes(None, 10)

    assert said(server, "SELECT", "LIST") == [
        'SELECT "Inbox/Hilfe &- mehr"',
        'LIST "" "*"',
        'SELECT "INBOX.Hilfe &- mehr"',
        'SELECT "INBOX.Hilfe &- mehr"',
    ]


@pytest.mark.parametrize("path", ["INBOX/Hilfe & mehr", "Inbox\\Hilfe & mehr", "inbox.Hilfe & mehr"])
def test_a_folder_to_move_to_is_found_in_every_notation(serving, reading, path):
    moves = ["{tag} NO [TRYCREATE] no such folder\r\n", DONE]
    server = serving(answers={"UID MOVE": moves, "LIST": DOTTED + DONE})

    reading(server).settle([message.ref for message in listed(1)], Move(folder=path))

    assert said(server, "UID MOVE")[-1] == 'UID MOVE 1 "INBOX.Hilfe &- mehr"'
    assert said(server, "CREATE") == []


def test_uids_that_got_a_new_meaning_in_one_of_several_folders_leave_the_others_alone(serving, reading):
    answers = {'SELECT "Done"': [opened(uidvalidity=7), opened(uidvalidity=8)], "SELECT": opened()}
    server = serving(answers=answers)
    source = reading(server, source={"folders": "INBOX, Done"})
    cursor = source.changes(None, 10).cursor

    assert refs(source.changes(cursor, 10)) == [MessageRef("Done", "8:1")]


@pytest.mark.parametrize("path", ["INBOX/Done/2026", "Inbox\\Done\\2026", "INBOX.Done.2026"])
def test_a_folder_is_created_with_the_separator_of_the_server(serving, reading, path):
    moves = ["{tag} NO [CANNOT] bad character\r\n", DONE]
    server = serving(answers={"UID MOVE": moves, "LIST": DOTTED + DONE})

    reading(server).settle([message.ref for message in listed(1)], Move(folder=path))

    assert said(server, "CREATE") == ['CREATE "INBOX.Done.2026"']


def test_the_inbox_is_found_however_it_is_written(dovecot_mailbox, request):
    dovecot_mailbox.deliver(mail("Found"))
    source = dovecot_mailbox.open(dovecot_mailbox.mailbox(source={"folders": ["inbox"]}))
    request.addfinalizer(source.close)

    assert read_all(source) == ["Found"]


def test_a_folder_that_exists_and_does_not_open_is_not_missing(serving, reading):
    server = serving(answers={"SELECT": "{tag} NO try later\r\n"})

    with pytest.raises(SourceUnavailable):
        reading(server).changes(None, 10)


# Who must act


def test_an_account_whose_mailbox_does_not_open_needs_access(serving, reading):
    server = serving(answers={"SELECT": "{tag} BAD User is authenticated but not connected.\r\n"})

    with pytest.raises(AccessDenied) as denied:
        reading(server).changes(None, 10)

    assert "IMAP" in denied.value.advice


def test_a_throttled_request_says_how_long_to_wait(serving, reading):
    text = "Request is throttled. Suggested Backoff Time: 92415 milliseconds"
    server = serving(answers={"UID SEARCH": f"{{tag}} BAD {text}\r\n"})

    with pytest.raises(Throttled) as throttled:
        reading(server).changes(None, 10)

    assert throttled.value.retry_after == timedelta(milliseconds=92415)


# On the way


def test_starttls_secures_the_connection(dovecot_mailbox, request):
    for mode in ("starttls", "starttls_if_available"):
        here = {"port": dovecot_mailbox.server.imap_port, "tls": {"mode": mode}}
        source = dovecot_mailbox.open(dovecot_mailbox.mailbox(source=here))
        request.addfinalizer(source.close)

        [tls] = [stage for stage in source.check() if stage.name == "tls"]

        assert tls.detail.startswith("TLSv1.")
        assert not tls.warning


@pytest.mark.parametrize("mode", ["none", "starttls", "starttls_if_available"])
def test_a_port_that_says_nothing_before_tls_is_told_by_its_mode(serving, reading, mode):
    with pytest.raises(SourceUnavailable) as silent:
        reading(serving(greeting=STALL), mode, timeouts=IMPATIENT).folders()

    assert "`tls`" in silent.value.advice


def test_without_starttls_nothing_is_sent_where_it_is_demanded(serving, reading):
    server = serving()

    with pytest.raises(SourceMisconfigured) as misconfigured:
        reading(server, "starttls").folders()

    assert "STARTTLS" in str(misconfigured.value)
    assert said(server, "LOGIN", "AUTH") == []


def test_without_starttls_the_connection_stays_open_where_it_is_optional_and_a_test_warns(serving, reading):
    server = serving()

    [tls] = [stage for stage in reading(server, "starttls_if_available").check() if stage.name == "tls"]

    assert tls.warning
    assert said(server, "LOGIN")


@pytest.mark.parametrize("mode", ["starttls", "starttls_if_available"])
def test_a_handshake_that_fails_never_ends_in_plain_text(serving, reading, server_tls, mode):
    server = serving(tls=server_tls, plain_capabilities="IMAP4rev1 STARTTLS")

    with pytest.raises(CertificateRejected):
        reading(server, mode, trusting="").folders()

    assert said(server, "LOGIN", "AUTH") == []


@pytest.mark.parametrize("mode", ["starttls", "starttls_if_available"])
def test_an_offer_of_starttls_that_is_not_kept_never_ends_in_plain_text(serving, reading, mode):
    server = serving(capabilities="IMAP4rev1 STARTTLS", answers={"STARTTLS": "{tag} NO not now\r\n"})

    with pytest.raises(SourceUnavailable):
        reading(server, mode).folders()

    assert said(server, "LOGIN", "AUTH") == []


def test_what_was_said_before_tls_is_forgotten(serving, reading, server_tls):
    server = serving(
        tls=server_tls,
        plain_capabilities="IMAP4rev1 STARTTLS LOGINDISABLED AUTH=PLAIN",
        injected="* CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN\r\n* BYE somebody else says\r\n",
    )

    reading(server, "starttls").folders()

    assert said(server, "LOGIN", "AUTH") == ['LOGIN "ann" "open-sesame"']


def test_a_server_that_skips_the_sign_in_is_not_trusted(serving, reading):
    server = serving(greeting="* PREAUTH welcome, nobody\r\n", capabilities="IMAP4rev1 STARTTLS")

    with pytest.raises(SourceMisbehaved):
        reading(server, "starttls_if_available").folders()


@pytest.mark.parametrize("greeting", ["HTTP/1.1 400 Bad Request\r\n\r\n" + CLOSE, "220 mail ESMTP\r\n", "\0\1\2\r\n"])
def test_something_else_on_the_port_is_told(serving, reading, greeting):
    server = serving(greeting=greeting)

    with pytest.raises(SourceMisbehaved) as misbehaved:
        reading(server).folders()

    assert "port" in misbehaved.value.advice


def test_a_server_that_turns_clients_away_is_unavailable(serving, reading):
    server = serving(greeting="* BYE too busy\r\n" + CLOSE)

    with pytest.raises(SourceUnavailable):
        reading(server).folders()


def test_a_server_that_never_greets_is_unavailable(serving, reading):
    server = serving(greeting=STALL)

    with pytest.raises(SourceUnavailable):
        reading(server, timeouts=IMPATIENT).folders()


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("UID SEARCH", "* SEARCH one two\r\n"),
        ("UID SEARCH", "what?\r\n"),
        ("UID SEARCH", "* SEARCH " + "1 " * 600_000 + "\r\n"),
        ("UID FETCH", "* 1 FETCH (UID 1 RFC822.SIZE\r\n"),
        ("UID FETCH", "* 1 FETCH " + "(" * 5000 + "\r\n"),
        ("SELECT", "* OK [UIDVALIDITY seven] ok\r\n"),
    ],
    ids=["words", "no IMAP", "endless line", "cut short", "deep", "no number"],
)
def test_an_answer_that_cannot_be_read_is_told(serving, reading, command, answer):
    source = reading(serving(answers={command: answer + DONE}))

    with pytest.raises(SourceMisbehaved):
        source.changes(None, 10)


def test_a_list_of_folders_that_cannot_be_read_is_told(serving, reading):
    source = reading(serving(answers={"LIST": '* LIST () "/"\r\n' + DONE}))

    with pytest.raises(SourceMisbehaved):
        source.folders()


# Testing the connection


def test_a_test_of_an_unverified_connection_warns(dovecot_mailbox, request):
    source = {"tls": {"mode": "tls", "verify": False}}
    opened = dovecot_mailbox.open(dovecot_mailbox.mailbox(source=source), is_trusted=False)
    request.addfinalizer(opened.close)

    stages = list(opened.check())

    assert all(stage.ok for stage in stages)
    assert [stage.name for stage in stages if stage.warning] == ["tls"]


def failed(source: ImapSource) -> tuple[str, str | None]:
    """The stage at which a connection test ends, and why."""
    *passed, last = source.check()
    assert all(stage.ok for stage in passed)
    assert not last.ok
    return last.name, last.code


def test_a_test_finds_that_messages_may_not_be_marked(serving, reading):
    flags = "* OK [PERMANENTFLAGS (\\Answered)] limited\r\n"
    server = serving(answers={"SELECT": opened(more=flags)})

    assert failed(reading(server)) == ("settlement", "access_denied")


def test_a_test_finds_that_messages_would_be_moved_to_where_they_are(serving, reading):
    settlement = {"action": "move", "folder": "inbox"}

    assert failed(reading(serving(), settlement=settlement)) == ("settlement", "source_misconfigured")


def test_a_test_warns_of_servers_that_cannot_delete_single_messages(serving, reading):
    server = serving(capabilities="IMAP4rev1")

    stages = list(reading(server, settlement={"action": "delete"}).check())

    assert [stage.name for stage in stages if stage.warning] == ["tls", "settlement"]


def test_a_test_opens_the_folder_without_a_trace_where_nothing_is_settled(serving, reading):
    server = serving()

    list(reading(server, settlement={"action": "keep"}).check())

    assert said(server, "SELECT", "UID STORE", "UID MOVE", "CREATE") == []
