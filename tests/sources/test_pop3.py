"""What is special to POP3: sessions that end badly, what servers get wrong, and how a full mailbox is remembered."""

import base64
import ssl
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import trustme

from shared.adapters.sources.pop3 import Pop3Source
from shared.domain.errors import (
    AppError,
    CertificateRejected,
    CredentialsRejected,
    MessageError,
    MessageGone,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
    Throttled,
)
from shared.domain.settlement import Delete, Move
from tests.scripted import CLOSE, STALL
from tests.sources.conftest import IMPATIENT, PATIENT
from tests.sources.contract import Secrets, mail, read_all, refs, subjects
from tests.sources.dovecot_mailbox import SECRET, Tokens, imap_mailbox, services, settings
from tests.sources.scripted_pop3 import ScriptedPop3
from tests.sources.test_pop3_contract import Pop3Mailbox

TAKES_TOKENS = "+OK\r\nSASL PLAIN XOAUTH2\r\n.\r\n"
USER_SIGN_IN = {
    "kind": "microsoft_user",
    "client_id": "22222222-2222-4222-8222-222222222222",
    "refresh_token_secret": "refresh",
    "account": "ann@desk.example",
}


@pytest.fixture
def serving(request) -> Callable[..., ScriptedPop3]:
    """Runs a scripted server until the test is over."""

    def serving(**script) -> ScriptedPop3:
        running = ScriptedPop3(**script).running()
        request.addfinalizer(lambda: running.__exit__(None, None, None))
        return running.__enter__()

    return serving


@pytest.fixture
def reading(request, secrets, tokens, trusted) -> Callable[..., Pop3Source]:
    """The source on a scripted server, without TLS unless told; closed before the server ends."""

    def reading(server, mode="none", sign_in=None, method="auto", timeouts=PATIENT, **changes) -> Pop3Source:
        password = {"kind": "password", "account": "ann", "password_secret": SECRET, "method": method}
        here = {"kind": "pop3", "port": server.port, "tls": {"mode": mode}, "sign_in": sign_in or password}
        given = services(secrets, settings(trusted), tokens)
        source = Pop3Source(imap_mailbox(here, **changes), given, timeouts)
        request.addfinalizer(source.close)
        return source

    return reading


@pytest.fixture
def provider(dovecot):
    mailbox = Pop3Mailbox(dovecot)
    yield mailbox
    mailbox.close()


# Deleting


def test_a_connection_that_drops_before_quit_deletes_nothing(provider, request):
    provider.deliver(mail("Stays"))
    source = provider.open(provider.mailbox())
    page = source.changes(None, 10)

    with source._connection.command("delete messages") as wire:
        wire.request("DELE 1")
    source._connection.drop()

    request.addfinalizer(source.close)
    assert len(provider.stored()) == 1
    source.settle(refs(page), Delete())
    assert provider.stored() == []


@pytest.mark.parametrize("end", [CLOSE, STALL])
def test_messages_are_not_settled_where_quit_is_not_answered(serving, reading, end):
    source = reading(serving(answers={"QUIT": end}), timeouts=IMPATIENT)
    page = source.changes(None, 10)

    with pytest.raises(SourceUnavailable):
        source.settle(refs(page), Delete())


def test_messages_are_not_settled_where_quit_is_refused(serving, reading):
    source = reading(serving(answers={"QUIT": "-ERR not all deleted\r\n"}))
    page = source.changes(None, 10)

    [settled] = source.settle(refs(page), Delete())

    assert isinstance(settled.error, MessageError)


def test_a_message_that_the_server_does_not_delete_is_not_settled(serving, reading):
    source = reading(serving(answers={"DELE": "-ERR no\r\n"}))
    page = source.changes(None, 10)

    [settled] = source.settle(refs(page), Delete())

    assert isinstance(settled.error, MessageError)


def test_messages_that_stay_need_no_connection_to_be_settled(serving, reading):
    server = serving()
    source = reading(server)
    page = source.changes(None, 10)
    source.close()
    server.commands.clear()

    source.settle(refs(page), source._mailbox.settlement)

    assert server.commands == []


def test_messages_cannot_be_moved(serving, reading):
    source = reading(serving(), settlement={"action": "move", "folder": "Done"})

    with pytest.raises(SourceMisconfigured):
        source.settle((), Move(folder="Done"))
    assert [(stage.name, stage.ok) for stage in source.check()][-1] == ("settlement", False)


# How much is said


def test_an_idle_poll_asks_for_no_sizes(serving, reading):
    server = serving()
    source = reading(server)
    cursor = source.changes(None, 10).cursor
    source.close()
    server.commands.clear()

    source.changes(cursor, 10)
    source.close()

    assert server.commands == ["CAPA", "USER ann", "PASS open-sesame", "UIDL", "QUIT"]


def test_a_message_over_the_limit_is_asked_for_by_its_beginning(serving, reading):
    server = serving(answers={"LIST": "+OK\r\n1 10000000000\r\n.\r\n"})
    source = reading(server)

    [message] = source.fetch(source.changes(None, 10).messages)

    assert message.is_cut
    assert not [command for command in server.commands if command.startswith("RETR")]


@pytest.mark.parametrize("size", [10, 10_000_000_000])
def test_a_server_that_sends_without_end_is_left(serving, reading, size):
    endless = f"+OK\r\nSubject: Endless\r\n\r\n{'x' * 400_000}"
    source = reading(
        serving(answers={"LIST": f"+OK\r\n1 {size}\r\n.\r\n", "RETR": endless, "CAPA": "+OK\r\nUSER\r\n.\r\n"}),
        intake={"start_from": "beginning", "max_message_bytes": 100_000},
    )

    [message] = source.fetch(source.changes(None, 10).messages)

    assert message.is_cut
    assert len(message.content) == 100_000
    assert source.changes(None, 10).messages


# What servers get wrong


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"UIDL": "-ERR unknown command\r\n"}, SourceMisconfigured),
        ({"UIDL": "+OK\r\nnonsense\r\n.\r\n"}, SourceMisbehaved),
        ({"UIDL": "+OK\r\n1 \xe9\r\n.\r\n"}, SourceMisbehaved),
        ({"UIDL": f"+OK\r\n1 a\r\n{CLOSE}"}, SourceUnavailable),
        ({"UIDL": f"+OK\r\n1 a\r\n{STALL}"}, SourceUnavailable),
        ({"LIST": "+OK\r\n1 many\r\n.\r\n"}, SourceMisbehaved),
        ({"PASS": "-ERR [IN-USE] busy\r\n"}, SourceUnavailable),
        ({"PASS": "-ERR [LOGIN-DELAY] later\r\n"}, Throttled),
        ({"PASS": "-ERR [SYS/TEMP] later\r\n"}, SourceUnavailable),
        ({"PASS": "-ERR [AUTH] no\r\n"}, CredentialsRejected),
        ({"PASS": "-ERR no\r\n"}, CredentialsRejected),
        ({"PASS": "HTTP/1.1 400 Bad Request\r\n"}, SourceMisbehaved),
    ],
)
def test_what_a_server_gets_wrong_ends_in_a_named_error(serving, reading, answers, error):
    with pytest.raises(AppError) as raised:
        reading(serving(answers=answers), timeouts=IMPATIENT).changes(None, 10)

    assert type(raised.value) is error


@pytest.mark.parametrize("greeting", ["HTTP/1.1 400 Bad Request\r\n\r\n", "* OK IMAP4rev1 ready\r\n"])
def test_another_protocol_on_the_port_is_told(serving, reading, greeting):
    with pytest.raises(SourceMisbehaved) as misbehaved:
        reading(serving(greeting=greeting)).changes(None, 10)

    assert misbehaved.value.advice


@pytest.mark.parametrize("greeting", ["-ERR [SYS/TEMP] later\r\n", STALL, CLOSE])
def test_a_server_that_does_not_begin_is_unavailable(serving, reading, greeting):
    with pytest.raises(SourceUnavailable):
        reading(serving(greeting=greeting), timeouts=IMPATIENT).changes(None, 10)


def test_a_message_that_is_not_handed_over_does_not_stop_the_others(serving, reading):
    two = {"UIDL": "+OK\r\n1 a\r\n2 b\r\n.\r\n", "LIST": "+OK\r\n1 30\r\n2 30\r\n.\r\n", "RETR 1": "-ERR cannot\r\n"}
    source = reading(serving(answers=two))

    fetched = list(source.fetch(source.changes(None, 10).messages))

    assert subjects(fetched) == ["message_error", "Scripted"]


def test_a_message_that_vanishes_from_the_session_is_gone(serving, reading):
    uidls = ["+OK\r\n1 a\r\n.\r\n", "+OK\r\n.\r\n"]
    source = reading(serving(answers={"UIDL": uidls, "RETR": "-ERR expunged\r\n"}))

    [failure] = source.fetch(source.changes(None, 10).messages)

    assert isinstance(failure.error, MessageGone)


@pytest.mark.parametrize("end", [CLOSE, STALL])
def test_a_message_on_which_the_connection_breaks_fails_alone(serving, reading, end):
    two = {"UIDL": "+OK\r\n1 a\r\n2 b\r\n.\r\n", "LIST": "+OK\r\n1 30\r\n2 30\r\n.\r\n"}
    source = reading(serving(answers={**two, "RETR 1": f"+OK\r\nSubject: Half{end}"}), timeouts=IMPATIENT)

    fetched = list(source.fetch(source.changes(None, 10).messages))

    assert subjects(fetched) == ["message_error", "Scripted"]


def test_a_server_that_breaks_on_every_message_is_unavailable(serving, reading):
    two = {"UIDL": "+OK\r\n1 a\r\n2 b\r\n.\r\n", "LIST": "+OK\r\n1 30\r\n2 30\r\n.\r\n"}
    source = reading(serving(answers={**two, "RETR": f"+OK\r\nSubject: Half{CLOSE}"}))

    with pytest.raises(SourceUnavailable):
        list(source.fetch(source.changes(None, 10).messages))


# Signing in


@pytest.mark.parametrize(
    ("capabilities", "method", "said"),
    [
        ("USER", "auto", ["USER ann", "PASS open-sesame"]),
        ("SASL PLAIN\r\nUSER", "login", ["USER ann", "PASS open-sesame"]),
        ("SASL PLAIN\r\nUSER", "plain", ["AUTH PLAIN", base64.b64encode(b"\0ann\0open-sesame").decode()]),
        ("SASL PLAIN", "auto", ["AUTH PLAIN", base64.b64encode(b"\0ann\0open-sesame").decode()]),
    ],
)
def test_a_password_is_given_by_the_method_that_is_asked_for(serving, reading, capabilities, method, said):
    server = serving(answers={"CAPA": f"+OK\r\n{capabilities}\r\n.\r\n", "AUTH PLAIN": "+ \r\n"})

    reading(server, method=method).changes(None, 10)

    assert server.commands[1:3] == said


def test_a_challenge_is_answered_as_rfc_2195_shows(serving, reading, secrets):
    secrets.values[SECRET] = "tanstaaftanstaaf"
    challenge = base64.b64encode(b"<1896.697170952@postoffice.reston.mci.net>").decode()
    server = serving(answers={"CAPA": "+OK\r\nSASL CRAM-MD5\r\n.\r\n", "AUTH": f"+ {challenge}\r\n"})

    reading(server, method="cram_md5").changes(None, 10)

    assert base64.b64decode(server.commands[2]) == b"ann b913a602c7eda7a495b4e6e7334d3890"


def test_a_method_that_is_not_offered_is_refused_with_advice(serving, reading):
    with pytest.raises(SourceMisconfigured) as misconfigured:
        reading(serving(), method="ntlm").changes(None, 10)

    assert misconfigured.value.advice


def test_an_access_token_goes_in_a_line_of_its_own(serving, reading):
    server = serving(answers={"CAPA": TAKES_TOKENS, "AUTH": "+ \r\n"})

    reading(server, sign_in=USER_SIGN_IN).changes(None, 10)

    assert server.commands[1] == "AUTH XOAUTH2"
    expected = b"user=ann@desk.example\x01auth=Bearer the-token\x01\x01"
    assert base64.b64decode(server.commands[2]) == expected


@pytest.mark.parametrize("refusal", ["-ERR no\r\n", "+ eyJzdGF0dXMiOiI0MDAifQ==\r\n"])
def test_a_token_that_is_rejected_is_fetched_afresh_next_time(serving, reading, tokens, refusal):
    response = base64.b64encode(b"user=ann@desk.example\x01auth=Bearer the-token\x01\x01").decode()
    answers = {"CAPA": TAKES_TOKENS, "AUTH": "+ \r\n", response: refusal, "": "-ERR no\r\n"}

    with pytest.raises(CredentialsRejected):
        reading(serving(answers=answers), sign_in=USER_SIGN_IN).changes(None, 10)

    assert tokens.forgotten == ["pop"]


def test_a_real_server_takes_a_token_and_a_fresh_one_where_it_was_stale(oauth_dovecot, simulators):
    ann = "ann@example.com"
    issued = simulators.google.tokens.issue(ann, "c", "https://mail.google.com/", 600)["access_token"]
    sign_in = {"kind": "google_user", "client_id": "c", "client_secret": "s", "refresh_token_secret": "r"}
    here = {"kind": "pop3", "port": oauth_dovecot.pop3s_port, "sign_in": sign_in}
    tokens = Tokens(["stale", issued])
    source = Pop3Source(imap_mailbox(here, address=ann), services(Secrets({}), settings(oauth_dovecot.ca_file), tokens))

    assert source.folders()
    assert tokens.forgotten == ["pop"]
    source.close()


def test_a_secret_with_a_line_break_is_not_sent(serving, reading, secrets):
    secrets.values[SECRET] = "open\r\nDELE 1"
    server = serving()

    with pytest.raises(CredentialsRejected):
        reading(server).changes(None, 10)

    assert server.commands == ["CAPA"]


# Who listens on the way


@pytest.mark.parametrize("mode", ["starttls", "starttls_if_available"])
def test_what_was_said_before_tls_is_forgotten(serving, reading, server_tls, mode):
    capabilities = "+OK\r\nSTLS\r\nUSER\r\n.\r\n"
    server = serving(tls=server_tls, answers={"CAPA": capabilities}, injected="-ERR [SYS/PERM] injected\r\n")

    assert read_all(reading(server, mode)) == ["Scripted"]
    assert server.commands[:4] == ["CAPA", "STLS", "CAPA", "USER ann"]


def test_a_password_is_not_given_where_tls_is_not_offered(serving, reading):
    server = serving()

    with pytest.raises(SourceMisconfigured):
        reading(server, "starttls").changes(None, 10)

    assert server.commands == ["CAPA"]


def test_a_handshake_that_fails_does_not_end_in_plain_text(serving, reading):
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(other)
    server = serving(tls=other, answers={"CAPA": "+OK\r\nSTLS\r\nUSER\r\n.\r\n"})

    with pytest.raises(CertificateRejected):
        reading(server, "starttls_if_available").changes(None, 10)

    assert server.commands == ["CAPA", "STLS"]


def test_tls_where_it_is_available_only_does_without(serving, reading):
    assert read_all(reading(serving(), "starttls_if_available")) == ["Scripted"]


# How a full mailbox is remembered


def uidl(*ids: object) -> str:
    lines = [f"{number} u{id_}\r\n" for number, id_ in enumerate(ids, 1)]
    return "+OK\r\n" + "".join(lines) + ".\r\n"


def found(page) -> list[str]:
    return [ref.id for ref in refs(page)]


SAVED = datetime(2026, 11, 21, 10, tzinfo=UTC)


def top(received: str) -> str:
    header = f"Received: from mx by pop.example; {received}\r\n" if received else ""
    return f"+OK\r\n{header}Received: from elsewhere by mx; Sat, 21 Nov 2026 10:30:00 +0000\r\n.\r\n"


@pytest.mark.parametrize(
    ("tops", "new"),
    [
        ({"TOP 2": "Sat, 21 Nov 2026 11:01:00 +0100", "TOP 3": "Sat, 21 Nov 2026 10:02:00 +0000"}, ["u2", "u3"]),
        ({"TOP 3": "Sat, 21 Nov 2026 10:59:00 +0100"}, []),
        ({"TOP 3": "no date"}, []),
    ],
)
def test_mail_that_came_between_saving_and_the_first_poll_is_not_past(serving, reading, tops, new):
    answers = {"UIDL": uidl(1, 2, 3), "TOP": top("Sat, 21 Nov 2026 09:00:00 +0000")}
    server = serving(answers=answers | {command: top(received) for command, received in tops.items()})
    source = reading(server, intake={"start_from": "now"}, created_at=SAVED)

    *_, waiting = source.check()

    past = 3 - len(new)
    assert (
        waiting.detail == f"A first poll would take in {len(new)} messages; {past} that came before count as the past."
    )
    assert found(source.changes(None, 10)) == new


@pytest.mark.parametrize("script", [{"TOP": "-ERR no\r\n"}, {"CAPA": "+OK\r\nUIDL\r\nUSER\r\n.\r\n"}])
def test_where_a_server_shows_no_headers_all_is_past_that_is_there_at_the_first_poll(serving, reading, script):
    source = reading(serving(answers=script), intake={"start_from": "now"}, created_at=SAVED)

    page = source.changes(None, 10)

    assert found(page) == []
    assert found(source.changes(page.cursor, 10)) == []


def test_the_cursor_of_a_full_mailbox_fits_a_property_of_a_table(serving, reading):
    server = serving(answers={"UIDL": [uidl(*range(20_000)), uidl(*range(20_002))]})
    source = reading(server, intake={"start_from": "now"})

    cursor = source.changes(None, 10).cursor

    assert len(cursor) < 30_000
    assert found(source.changes(cursor, 10)) == ["u20000", "u20001"]


def test_what_somebody_deletes_from_a_full_mailbox_is_not_mistaken_for_new(serving, reading):
    remaining = [*range(500, 15_000), *range(17_000, 20_001)]
    server = serving(answers={"UIDL": [uidl(*range(20_000)), uidl(*remaining)]})
    source = reading(server, intake={"start_from": "now"})

    cursor = source.changes(None, 10).cursor

    assert found(source.changes(cursor, 10)) == ["u20000"]


def test_a_message_is_new_wherever_it_is_listed(serving, reading):
    server = serving(answers={"UIDL": [uidl(1, 2, 3), uidl(4, 3, 5, 2, 1)]})
    source = reading(server, intake={"start_from": "now"})

    cursor = source.changes(None, 10).cursor

    assert found(source.changes(cursor, 10)) == ["u4", "u5"]


def test_a_full_mailbox_that_lists_new_messages_first_is_refused_rather_than_read_with_gaps(serving, reading):
    server = serving(answers={"UIDL": [uidl(*range(20_000)), uidl("new", *range(20_000))]})
    source = reading(server, intake={"start_from": "now"})
    cursor = source.changes(None, 10).cursor

    with pytest.raises(SourceMisconfigured) as refused:
        source.changes(cursor, 10)

    assert refused.value.advice


def test_a_full_mailbox_whose_unique_ids_are_all_other_ones_is_listed_again(serving, reading):
    server = serving(answers={"UIDL": [uidl(*range(20_000)), uidl("x", "y")]})
    source = reading(server, intake={"start_from": "now"})

    cursor = source.changes(None, 10).cursor

    assert found(source.changes(cursor, 10)) == ["ux", "uy"]


def test_a_page_that_leaves_messages_for_the_next_one_forgets_none(serving, reading):
    source = reading(serving(answers={"UIDL": uidl(*range(8_000))}))

    pages = [source.changes(None, 3000)]
    while pages[-1].more:
        pages.append(source.changes(pages[-1].cursor, 3000))

    assert [id_ for page in pages for id_ in found(page)] == [f"u{number}" for number in range(8_000)]
