"""What is special to SMTP: the wire, the extensions, and whom a failure is told to."""

import dataclasses

import pytest

from local.smtp_server import DROP, HANG
from shared.domain.errors import (
    AccessDenied,
    AppError,
    MessageRefused,
    MessageTooLarge,
    OutcomeUnknown,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
    Throttled,
)
from shared.domain.outgoing import RefusedRecipient
from tests.proxy import ProxyServer
from tests.scripted import CLOSE, STALL
from tests.senders.contract import ANN, BOB, mail
from tests.senders.smtp_provider import IMPATIENT, SmtpProvider

# The message on the wire


def test_dots_are_doubled_on_the_wire(serving, sending):
    server = serving()

    sending(server).send(mail(body=".\r\n.a\r\n..b\r\nc.\r\n"))

    assert server.data.endswith(b"\r\n\r\n..\r\n..a\r\n...b\r\nc.\r\n")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_no_line_end_but_crlf_leaves_so_that_nothing_passes_for_the_end_of_the_message(serving, sending, end):
    server = serving()

    sending(server).send(mail(body=f"One{end}.{end}MAIL FROM:<eve@evil.example>{end}"))

    assert server.data.endswith(b"\r\n\r\nOne\r\n..\r\nMAIL FROM:<eve@evil.example>\r\n")


def test_a_last_line_without_an_end_gets_one(serving, sending):
    server = serving()

    sending(server).send(mail(body="The end"))

    assert server.data.endswith(b"\r\nThe end\r\n")


@pytest.mark.parametrize(("length", "is_taken"), [(998, True), (999, False)])
def test_lines_are_as_long_as_the_protocol_allows(smtp_server, sending, length, is_taken):
    server = smtp_server()
    sent = mail(body="x" * length + "\r\n")

    if is_taken:
        sending(server).send(sent)
    else:
        with pytest.raises(MessageRefused, match="998"):
            sending(server).send(sent)

    assert len(server.received) == is_taken


def test_failures_can_be_reported_to_nobody(serving, sending):
    server = serving()

    sending(server).send(dataclasses.replace(mail(), envelope_from=""))

    assert "MAIL FROM:<>" in [command.partition(" SIZE")[0] for command in server.commands]


def test_a_return_path_that_is_no_address_never_reaches_the_server(serving, sending):
    server = serving()

    with pytest.raises(MessageRefused):
        sending(server).send(dataclasses.replace(mail(), envelope_from="a@b.example> SIZE=1\r\nRCPT TO:<c@d.example"))

    assert [command for command in server.commands if command.startswith(("MAIL", "RCPT"))] == []


def test_the_app_says_hello_by_its_address(serving, sending):
    server = serving()

    sending(server).send(mail())

    assert server.commands[0] == "ehlo [127.0.0.1]"


def test_a_server_of_the_old_protocol_is_enough(serving, sending):
    server = serving(answers={"EHLO": "502 5.5.1 What?\r\n", "ehlo": "502 5.5.1 What?\r\n"})

    result = sending(server).send(mail())

    assert result.accepted == (ANN,)
    assert "MAIL FROM:<help@desk.example>" in server.commands


# Extensions


def test_the_size_is_announced(smtp_server, sending):
    server = smtp_server()
    sent = mail()

    sending(server).send(sent)

    assert server.received[0].options == (f"SIZE={len(sent.content)}",)


def test_a_message_over_the_limit_is_not_begun(smtp_server, sending):
    server = smtp_server(size_limit=1000)
    sender = sending(server)

    with pytest.raises(MessageTooLarge, match="1000"):
        sender.send(mail(body="x\r\n" * 400))

    assert server.received == []


@pytest.mark.parametrize("limit", ["", " 0"])
def test_a_server_may_tell_no_limit(serving, sending, limit):
    server = serving(answers={"ehlo": f"250-here\r\n250 SIZE{limit}\r\n"})

    assert sending(server).send(mail()).accepted == (ANN,)


def test_bytes_beyond_ascii_are_announced(smtp_server, sending):
    server = smtp_server()

    sending(server).send(mail(body="Grüße\r\n"))

    assert "BODY=8BITMIME" in server.received[0].options


@pytest.mark.parametrize("content", [mail("Grüße"), mail(body="Grüße\r\n")])
def test_what_the_server_cannot_take_is_refused_before_it_is_mangled(smtp_server, sending, content):
    server = smtp_server(hidden=("8BITMIME", "SMTPUTF8"))

    with pytest.raises(MessageRefused) as refused:
        sending(server).send(content)

    assert refused.value.advice
    assert server.received == []


def test_headers_beyond_ascii_are_announced(smtp_server, sending):
    server = smtp_server()

    sending(server).send(mail("Grüße"))

    assert "SMTPUTF8" in server.received[0].options


def test_the_extension_for_other_addresses_is_not_used_without_need(smtp_server, sending):
    """Servers further on may not have it, and would send the message back."""
    server = smtp_server()

    sending(server).send(dataclasses.replace(mail(body="Grüße\r\n"), recipients=("ann@bücher.example",)))

    assert "SMTPUTF8" not in server.received[0].options


def test_a_domain_beyond_ascii_is_said_in_ascii(smtp_server, sending):
    server = smtp_server(hidden=("SMTPUTF8",))

    result = sending(server).send(dataclasses.replace(mail(), recipients=("ann@bücher.example",)))

    assert result.accepted == ("ann@bücher.example",)
    assert server.received[0].recipients == ("ann@xn--bcher-kva.example",)


def test_an_address_that_the_server_cannot_say_is_refused_and_no_other(smtp_server, sending):
    server = smtp_server(hidden=("SMTPUTF8",))

    result = sending(server).send(dataclasses.replace(mail(), recipients=("jürgen@customer.example", ANN)))

    assert result.accepted == (ANN,)
    assert result.refused == (RefusedRecipient("jürgen@customer.example", permanent=True, status="5.6.7"),)


# Recipients


@pytest.mark.parametrize(
    "address", ["a b@c.example", "a>@c.example", "a@c.example> SIZE=1", "a@c.example>\r\nRCPT TO:<eve@e.example"]
)
def test_what_is_no_address_is_refused_without_a_word_to_the_server(serving, sending, address):
    server = serving()

    result = sending(server).send(dataclasses.replace(mail(), recipients=(address, ANN)))

    assert result.refused == (RefusedRecipient(address, permanent=True, status="5.1.3"),)
    assert [command for command in server.commands if command.startswith("RCPT")] == [f"RCPT TO:<{ANN}>"]


def test_those_who_are_refused_keep_the_message_from_nobody_else(smtp_server, sending):
    server = smtp_server(refused={ANN: "550 5.1.1 No such user", "carl@customer.example": "450 Not now"})

    result = sending(server).send(mail(to=[ANN, BOB, "carl@customer.example"]))

    assert result.accepted == (BOB,)
    assert result.refused == (
        RefusedRecipient(ANN, permanent=True, status="5.1.1"),
        RefusedRecipient("carl@customer.example", permanent=False, status="4.0.0"),
    )
    assert [each.recipients for each in server.received] == [(BOB,)]


def test_where_all_are_refused_nothing_is_sent_and_the_session_goes_on(smtp_server, sending):
    server = smtp_server(refused={ANN: "550 5.1.1 No such user"})
    sender = sending(server)

    result = sender.send(mail())
    sender.send(mail(to=[BOB]))

    assert result.accepted == ()
    assert [each.recipients for each in server.received] == [(BOB,)]
    assert server.sessions == 1


def test_a_server_that_wants_a_sign_in_says_so_of_the_sender_and_not_of_a_recipient(smtp_server, sending):
    server = smtp_server(refused={ANN: "530 5.7.1 Authentication required"})

    with pytest.raises(AccessDenied) as denied:
        sending(server).send(mail())

    assert "sign in" in denied.value.advice


# Sessions


def test_messages_share_a_session(smtp_server, sending):
    server = smtp_server()
    sender = sending(server)

    for _ in range(3):
        sender.send(mail())

    assert len(server.received) == 3
    assert server.sessions == 1


@pytest.mark.parametrize("end", [DROP, "421 4.4.2 Idle for too long"])
def test_a_session_that_ended_between_messages_is_begun_anew(smtp_server, sending, end):
    server = smtp_server()
    sender = sending(server)
    sender.send(mail("One"))
    server.fail("MAIL", end)

    sender.send(mail("Two"))

    assert [each.content for each in server.received] == [mail("One").content, mail("Two").content]
    assert server.sessions == 2


def test_a_server_that_asks_for_less_is_not_asked_again_at_once(smtp_server, sending):
    server = smtp_server()
    sender = sending(server)
    sender.send(mail())
    server.fail("MAIL", "421 4.7.0 Too many messages")

    with pytest.raises(Throttled):
        sender.send(mail())

    assert server.sessions == 1


# What is known of a message when something breaks


@pytest.mark.parametrize("moment", ["CONNECT", "EHLO", "MAIL", "RCPT"])
@pytest.mark.parametrize("failure", [DROP, HANG, "421 4.3.2 Closing"])
def test_until_the_message_has_left_it_was_not_sent(smtp_server, sending, moment, failure):
    server = smtp_server()
    server.fail(moment, failure)

    with pytest.raises(SourceUnavailable):
        sending(server, timeouts=IMPATIENT).send(mail())

    assert server.received == []


@pytest.mark.parametrize("failure", [DROP, HANG])
def test_when_the_message_has_left_nobody_knows(smtp_server, sending, failure):
    server = smtp_server()
    server.fail("TAKEN", failure)
    sender = sending(server, timeouts=IMPATIENT)

    with pytest.raises(OutcomeUnknown) as unknown:
        sender.send(mail())

    assert unknown.value.advice
    assert len(server.received) == 1
    assert sender.find_sent(mail().message_id) is None


def test_an_answer_that_makes_no_sense_tells_nobody_whether_the_message_was_taken(serving, sending):
    with pytest.raises(OutcomeUnknown):
        sending(serving(answers={".": "Thank you\r\n"})).send(mail())


def test_a_message_that_a_server_does_not_read_to_its_end_was_not_sent(serving, sending):
    """What it leaves unread fills the network's buffers."""
    server = serving(answers={"DATA": f"354 Go on\r\n{STALL}"})

    with pytest.raises(SourceUnavailable):
        sending(server).send(mail(body="A line of no interest.\r\n" * 500_000))


def test_a_refusal_after_the_message_says_for_sure_that_it_was_not_taken(serving, sending):
    with pytest.raises(SourceUnavailable):
        sending(serving(answers={".": "421 4.3.2 Shutting down\r\n"})).send(mail())


# Who must act


@pytest.mark.parametrize(
    ("command", "answer", "error"),
    [
        ("ehlo", "554 5.7.1 You are blocked", AccessDenied),
        ("MAIL", "451 4.3.0 Not now", SourceUnavailable),
        ("MAIL", "452 4.3.1 Disk full", SourceUnavailable),
        ("MAIL", "432 4.3.2 Concurrent connections limit exceeded", Throttled),
        ("MAIL", "450 4.7.1 Slower", Throttled),
        ("MAIL", "550 5.4.5 Daily user sending limit exceeded", Throttled),
        ("MAIL", "530 5.7.57 Client not authenticated", AccessDenied),
        ("MAIL", "553 5.7.1 Not owned by user", AccessDenied),
        ("MAIL", "550 5.1.8 Bad outbound sender", AccessDenied),
        ("MAIL", "501 5.1.7 Invalid address", AccessDenied),
        ("MAIL", "552 5.3.4 Too large", MessageTooLarge),
        ("RCPT", "553 5.7.1 Not owned by user", AccessDenied),
        ("RCPT", "354 What?", SourceMisbehaved),
        ("DATA", "554 5.7.1 Content rejected", MessageRefused),
        (".", "554 5.2.252 SendAsDenied; help@desk.example not allowed to send as", AccessDenied),
        (".", "550 5.7.60 Client does not have permissions to send as this sender", AccessDenied),
        (".", "550 5.7.708 Traffic not accepted from this IP", AccessDenied),
        (".", "552 Too large", MessageTooLarge),
        (".", "552 5.2.2 Mailbox full", MessageRefused),
        (".", "554 5.6.0 Corrupt", MessageRefused),
        (".", "451 4.7.1 Greylisted", Throttled),
        (".", "250 OK", None),
    ],
)
def test_a_refusal_says_who_must_act(serving, sending, command, answer, error):
    sender = sending(serving(answers={command: f"{answer}\r\n"}))

    if error is None:
        sender.send(mail())
    else:
        with pytest.raises(AppError) as raised:
            sender.send(mail())
        assert type(raised.value) is error


def test_the_server_s_own_words_are_in_no_error(serving, sending):
    server = serving(answers={"MAIL": "550 5.7.1 help@desk.example is a nuisance\r\n"})

    with pytest.raises(AccessDenied) as denied:
        sending(server).send(mail())

    assert "550 5.7.1" in str(denied.value)
    assert "nuisance" not in str(denied.value) + denied.value.advice
    assert "@" not in str(denied.value) + denied.value.advice


@pytest.mark.parametrize(
    "greeting",
    ["HTTP/1.1 400 Bad Request\r\n", "220-" + "x" * 9000 + "\r\n", "220-more\r\n" * 200, "\r\n", "999 x\r\n"],
)
def test_what_is_no_smtp_server_is_told(serving, sending, greeting):
    with pytest.raises(SourceMisbehaved) as misbehaved:
        sending(serving(greeting=greeting)).send(mail())

    assert "SMTP" in misbehaved.value.advice


def test_a_server_that_hangs_up_at_once_may_be_there_later(serving, sending):
    with pytest.raises(SourceUnavailable):
        sending(serving(greeting=CLOSE)).send(mail())


# TLS


@pytest.fixture
def starttls(serving, server_tls):
    """A server with STARTTLS before and authentication after it."""

    def starttls(**options):
        offers = ["250-here\r\n250 STARTTLS\r\n", "250-here\r\n250 AUTH PLAIN\r\n"]
        return serving(
            tls=server_tls, answers={"ehlo": offers, "AUTH": "334 \r\n", "AGFubg": "235 2.7.0 OK\r\n"}, **options
        )

    return starttls


def test_starttls_that_was_stripped_ends_the_matter_before_anything_is_said(serving, sending):
    server = serving()

    with pytest.raises(SourceMisconfigured, match="STARTTLS"):
        sending(server, "starttls", sign_in={}).send(mail())

    assert [command.split()[0] for command in server.commands] == ["ehlo"]


def test_a_handshake_that_fails_does_not_go_on_in_plain_text(serving, sending):
    server = serving(answers={"ehlo": "250-here\r\n250 STARTTLS\r\n", "STARTTLS": f"220 Begin\r\nnonsense\r\n{CLOSE}"})

    with pytest.raises(AppError):
        sending(server, "starttls_if_available", sign_in={}).send(mail())

    assert [command for command in server.commands if command.startswith(("AUTH", "MAIL"))] == []


def test_starttls_is_used_where_it_is_offered_and_done_without_elsewhere(smtp_server, sending):
    secured, plain = smtp_server("starttls"), smtp_server("none")

    for server in (secured, plain):
        sending(server, "starttls_if_available").send(mail())

    assert [server.received[0].is_encrypted for server in (secured, plain)] == [True, False]


def test_what_was_said_before_tls_is_forgotten(smtp_server, starttls, sending, trusted):
    server = starttls(injected="250-evil\r\n250 AUTH LOGIN\r\n")

    sending(server, "starttls", sign_in={}, trusting=trusted).send(mail())

    assert "AUTH PLAIN" in server.commands


def test_a_port_that_speaks_no_tls_is_told(smtp_server, sending):
    with pytest.raises(SourceMisconfigured, match="TLS"):
        sending(smtp_server("none"), "tls").send(mail())


def test_tls_that_is_turned_off_for_a_moment_comes_back(serving, sending):
    server = serving(answers={"ehlo": "250-here\r\n250 STARTTLS\r\n", "STARTTLS": "454 4.7.0 TLS not available\r\n"})

    with pytest.raises(SourceUnavailable):
        sending(server, "starttls").send(mail())


# Whom it connects to


@pytest.mark.parametrize("host", ["169.254.169.254", "168.63.129.16", "localhost", "[::ffff:169.254.169.254]"[1:-1]])
def test_the_platform_s_own_services_are_never_reached(serving, sending, host):
    server = serving()
    sender = sending(server, allow_loopback=False, transport={"host": host})

    with pytest.raises(SourceMisconfigured):
        sender.send(mail())
    *_, last = sender.check()

    assert (last.name, last.code) == ("name", "target_refused")
    assert server.commands == []


@pytest.mark.parametrize("kind", ["http", "socks5"])
def test_a_message_goes_through_the_proxy_of_the_sender(smtp_server, kind, request):
    server = smtp_server()
    provider = SmtpProvider(server, "none")
    with ProxyServer().running() as proxy:
        through = {"kind": kind, "host": "localhost", "port": proxy.port}
        sender = provider.open(provider.sender(proxy=through))

        sender.send(mail())
        sender.close()

    assert proxy.targets == [("localhost", server.port)]
    assert len(server.received) == 1
