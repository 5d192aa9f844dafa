"""Who signs in to an SMTP server and how, and what a refusal means (req A1, A2, A8, A9, A10)."""

import logging

import pytest

from shared.domain.errors import (
    AccessDenied,
    AppError,
    CredentialsRejected,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
    Throttled,
)
from tests.senders.contract import FROM, mail
from tests.senders.smtp_provider import PASSWORD, SECRET

APP = {
    "kind": "microsoft_app",
    "tenant": "example.com",
    "client_id": "aaaaaaaa-0000-4000-8000-000000000001",
    "credential": {"kind": "secret", "secret": "app-secret"},
}
GOOGLE = {
    "kind": "google_user",
    "client_id": "c",
    "client_secret": "s",
    "refresh_token_secret": "r",
    "account": "ann@g",
}
OTHER = {
    "kind": "oauth2",
    "client_id": "c",
    "authorization_url": "https://a.example/",
    "token_url": "https://t.example/",
    "scopes": "mail",
    "refresh_token_secret": "r",
    "account": "ann@o",
}
_REFUSING = "250-here\r\n250 AUTH PLAIN LOGIN XOAUTH2\r\n"


@pytest.fixture
def refusing(serving):
    """A server that answers every sign-in alike."""

    def refusing(answer):
        return serving(answers={"ehlo": _REFUSING, "AUTH": f"{answer}\r\n"})

    return refusing


@pytest.mark.parametrize("mode", ["none", "starttls", "tls"])
@pytest.mark.parametrize("method", ["auto", "login", "plain", "cram_md5"])
def test_a_password_signs_in_by_every_method(smtp_server, sending, mode, method):
    server = smtp_server(mode, users={"ann": PASSWORD})

    sending(server, mode, sign_in={"method": method}).send(mail())

    assert [each.user for each in server.received] == ["ann"]


def test_ntlm_proves_the_password_of_an_account_in_a_domain(smtp_server, sending, tmp_path, monkeypatch):
    users = tmp_path / "users"
    users.write_text(f"CORP:ann:{PASSWORD}\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    server = smtp_server("tls", users={"nobody": "else"})

    sending(server, "tls", sign_in={"account": "CORP\\ann", "method": "ntlm"}).send(mail())

    assert [each.user for each in server.received] == ["CORP\\ann"]


def test_a_wrong_password_is_refused_by_ntlm_too(smtp_server, sending, tmp_path, monkeypatch):
    users = tmp_path / "users"
    users.write_text("CORP:ann:another\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))

    with pytest.raises(CredentialsRejected):
        sending(smtp_server("tls"), "tls", sign_in={"account": "CORP\\ann", "method": "ntlm"}).send(mail())


@pytest.mark.parametrize(
    ("mode", "offered", "method"),
    [
        ("none", "PLAIN CRAM-MD5", "CRAM-MD5"),
        ("none", "PLAIN", "PLAIN"),
        ("none", "LOGIN", "LOGIN"),
        ("starttls", "CRAM-MD5 PLAIN", "PLAIN"),
        ("starttls", "CRAM-MD5", "CRAM-MD5"),
    ],
)
def test_the_password_itself_is_said_only_where_nobody_listens_or_nothing_else_is_offered(
    serving, server_tls, trusted, sending, mode, offered, method
):
    offers = ["250-here\r\n250 STARTTLS\r\n"] * (mode == "starttls") + [f"250-here\r\n250 AUTH {offered}\r\n"]
    server = serving(tls=server_tls, answers={"ehlo": offers, "AUTH": "235 2.7.0 OK\r\n"})

    sending(server, mode, sign_in={}, trusting=trusted).send(mail())

    assert [command for command in server.commands if command.startswith("AUTH")] == [f"AUTH {method}"]


@pytest.mark.parametrize(("sign_in", "user"), [(APP, FROM), (GOOGLE, "ann@g"), (OTHER, "ann@o")])
def test_an_access_token_signs_in_whoever_issued_it(smtp_server, sending, sign_in, user):
    server = smtp_server("starttls", tokens={"the-token": user})

    sending(server, "starttls", transport={"sign_in": sign_in}).send(mail())

    assert [each.user for each in server.received] == [user]


def test_a_token_that_is_stale_is_fetched_anew(smtp_server, sending, tokens):
    server = smtp_server("tls", tokens={"fresh": FROM})
    tokens.values = ["stale", "fresh"]

    sending(server, "tls", transport={"sign_in": APP}).send(mail())

    assert tokens.forgotten == ["smtp"]
    assert len(server.received) == 1


def test_a_token_that_is_refused_twice_tells_what_the_app_needs(smtp_server, sending):
    server = smtp_server("tls", tokens={"another": FROM})

    with pytest.raises(CredentialsRejected) as rejected:
        sending(server, "tls", transport={"sign_in": APP}).send(mail())

    assert "SMTP.SendAsApp" in rejected.value.advice
    assert "the-token" not in str(rejected.value) + rejected.value.advice


def test_a_connection_test_tells_the_token_from_the_sign_in(smtp_server, sending):
    server = smtp_server("tls", tokens={"the-token": FROM})

    stages = list(sending(server, "tls", transport={"sign_in": APP}).check())

    assert [stage.name for stage in stages] == ["name", "port", "tls", "token", "sign_in", "permission", "size"]
    assert all(stage.ok for stage in stages)


def test_a_server_may_ask_nobody_to_sign_in(smtp_server, sending):
    server = smtp_server()

    sending(server).send(mail())

    assert [each.user for each in server.received] == [""]


def test_a_server_that_asks_for_a_sign_in_is_told_apart(smtp_server, sending):
    with pytest.raises(AccessDenied) as denied:
        sending(smtp_server(users={"ann": PASSWORD})).send(mail())

    assert "sign in" in denied.value.advice


@pytest.mark.parametrize(
    ("answer", "error", "advice"),
    [
        ("535 5.7.8 Authentication credentials invalid", CredentialsRejected, "app password"),
        ("535 5.7.3 Authentication unsuccessful", CredentialsRejected, "app password"),
        ("535 Incorrect authentication data", CredentialsRejected, "app password"),
        ("534 5.7.9 Application-specific password required", CredentialsRejected, "app password"),
        ("535 5.7.139 SmtpClientAuthentication is disabled for the Tenant", AccessDenied, "Set-CASMailbox"),
        ("550 5.7.30 Basic authentication is not supported", CredentialsRejected, "Microsoft"),
        ("432 4.7.12 A password transition is needed", CredentialsRejected, "new password"),
        ("538 5.7.11 Encryption required", SourceMisconfigured, "TLS mode"),
        ("530 5.7.0 Must issue a STARTTLS command first", AccessDenied, "TLS mode"),
        ("504 5.5.4 Unrecognized authentication type", SourceMisconfigured, "auto"),
        ("454 4.7.0 Too many login attempts", Throttled, ""),
        ("454 Temporary authentication failure", SourceUnavailable, ""),
        ("250 OK", SourceMisbehaved, "SMTP"),
        ("334 not base64!", SourceMisbehaved, "SMTP"),
    ],
)
def test_a_refused_sign_in_says_who_must_act(refusing, sending, answer, error, advice):
    with pytest.raises(AppError) as raised:
        sending(refusing(answer), sign_in={"method": "login"}).send(mail())

    assert type(raised.value) is error
    assert advice.casefold() in raised.value.advice.casefold()


@pytest.mark.parametrize(("answer", "is_forgotten"), [("535 5.7.8 No", True), ("454 4.3.0 Later", False)])
def test_a_secret_is_read_afresh_only_where_it_may_be_wrong(refusing, sending, secrets, answer, is_forgotten):
    with pytest.raises(AppError):
        sending(refusing(answer), sign_in={}).send(mail())

    assert secrets.forgotten == [SECRET] * is_forgotten


def test_a_server_that_never_has_enough_is_left(refusing, sending):
    with pytest.raises(SourceMisbehaved):
        sending(refusing("334 "), sign_in={"method": "login"}).send(mail())


@pytest.mark.parametrize("password", ["open-sesame\n", "x\r\nMAIL FROM:<eve@evil.example>"])
def test_a_secret_with_a_line_break_is_refused_before_it_is_sent(refusing, sending, secrets, password):
    server = refusing("235 2.7.0 OK")
    secrets.values[SECRET] = password

    with pytest.raises(CredentialsRejected) as rejected:
        sending(server, sign_in={}).send(mail())

    assert "line break" in rejected.value.advice
    assert [command for command in server.commands if command.startswith(("AUTH", "MAIL"))] == []


def test_where_no_password_is_taken_none_is_sent(serving, sending):
    server = serving(answers={"ehlo": "250-here\r\n250 AUTH XOAUTH2\r\n"})

    with pytest.raises(SourceMisconfigured) as misconfigured:
        sending(server, sign_in={}).send(mail())

    assert "OAuth" in misconfigured.value.advice
    assert [command for command in server.commands if command.startswith("AUTH")] == []


def test_the_password_is_in_no_log_and_no_error(refusing, sending, caplog):
    caplog.set_level(logging.DEBUG)

    with pytest.raises(CredentialsRejected) as rejected:
        sending(refusing(f"535 5.7.8 {PASSWORD} is wrong"), sign_in={}).send(mail())

    assert PASSWORD not in caplog.text + str(rejected.value) + rejected.value.advice
