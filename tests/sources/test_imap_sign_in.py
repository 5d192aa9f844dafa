"""Who signs in to an IMAP server and how: passwords, access tokens, shared mailboxes, and what a refusal means."""

import logging
import re

import pytest
import spnego

from local.dovecot import HOST, Dovecot
from shared.adapters.sources.imap import ImapSource
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CredentialsRejected,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
    Throttled,
)
from tests.sources.contract import Secrets
from tests.sources.dovecot_mailbox import SECRET, Tokens, imap_mailbox, services, settings
from tests.sources.scripted_imap import said

ANN = "ann@example.com"
APP = {
    "kind": "microsoft_app",
    "tenant": "example.com",
    "client_id": "aaaaaaaa-0000-4000-8000-000000000001",
    "credential": {"kind": "secret", "secret": "app-secret"},
}
GOOGLE = {"kind": "google_user", "client_id": "c", "client_secret": "s", "refresh_token_secret": "r", "account": ANN}
GMAIL_REFUSES = b'{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}'


# With a password


def test_the_user_name_and_the_password_are_quoted(serving, reading, secrets):
    server = serving()
    secrets.values[SECRET] = 'a "b\\c'

    reading(server, account="CORP\\ann smith").folders()

    assert said(server, "LOGIN") == ['LOGIN "CORP\\\\ann smith" "a \\"b\\\\c"']


@pytest.mark.parametrize("password", ["open-sesame\n", "x\r\nA1 DELETE INBOX"])
def test_a_secret_with_a_line_break_is_refused_before_it_is_sent(serving, reading, secrets, password):
    server = serving()
    secrets.values[SECRET] = password

    with pytest.raises(CredentialsRejected) as rejected:
        reading(server).folders()

    assert "line break" in rejected.value.advice
    assert said(server, "LOGIN", "A1") == []


def test_a_password_beyond_ascii_is_sent_as_sasl_has_it(serving, reading, secrets):
    server = serving(capabilities="IMAP4rev1 AUTH=PLAIN")
    secrets.values[SECRET] = "Sesam öffne dich"

    reading(server).folders()

    assert said(server, "LOGIN", "AUTH") == ["AUTHENTICATE PLAIN \0ann\0Sesam öffne dich"]


def test_where_login_is_disabled_sasl_is_used(serving, reading):
    server = serving(capabilities="IMAP4rev1 LOGINDISABLED AUTH=PLAIN")

    reading(server).folders()

    assert said(server, "LOGIN", "AUTH") == ["AUTHENTICATE PLAIN \0ann\0open-sesame"]


def test_where_no_password_is_taken_none_is_sent(serving, reading):
    server = serving(capabilities="IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2")

    with pytest.raises(SourceMisconfigured) as misconfigured:
        reading(server).folders()

    assert "OAuth" in misconfigured.value.advice
    assert said(server, "LOGIN ", "AUTH") == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("NO [AUTHENTICATIONFAILED] no", CredentialsRejected),
        ("NO LOGIN failed", CredentialsRejected),
        ("NO [EXPIRED] too old", CredentialsRejected),
        ("NO [CONTACTADMIN] locked", AccessDenied),
        ("NO [PRIVACYREQUIRED] use TLS", SourceMisconfigured),
        ("NO [UNAVAILABLE] the directory is down", SourceUnavailable),
        ("NO [INUSE] somebody is here", SourceUnavailable),
        ("NO [LIMIT] too much", Throttled),
        ("NO [ALERT] Too many simultaneous connections. (Failure)", Throttled),
    ],
)
def test_a_refused_sign_in_says_who_must_act(serving, reading, answer, error):
    server = serving(answers={"LOGIN": f"{{tag}} {answer}\r\n"})

    with pytest.raises(error) as raised:
        reading(server).folders()

    assert type(raised.value) is error


@pytest.mark.parametrize(("code", "is_forgotten"), [("AUTHENTICATIONFAILED", True), ("UNAVAILABLE", False)])
def test_a_secret_is_read_afresh_only_where_it_may_be_wrong(serving, reading, secrets, code, is_forgotten):
    server = serving(answers={"LOGIN": f"{{tag}} NO [{code}] no\r\n"})

    with pytest.raises(AppError):
        reading(server).folders()

    assert secrets.forgotten == [SECRET] * is_forgotten


def test_the_password_is_in_no_log_and_no_error(serving, reading, caplog):
    caplog.set_level(logging.DEBUG)
    server = serving(answers={"LOGIN": "{tag} NO [AUTHENTICATIONFAILED] open-sesame is wrong\r\n"})

    with pytest.raises(CredentialsRejected) as rejected:
        reading(server).folders()

    assert "open-sesame" not in caplog.text + str(rejected.value) + rejected.value.advice
    assert "ann" not in caplog.text


@pytest.mark.parametrize(
    ("offered", "method"),
    [
        (("none", "AUTH=PLAIN AUTH=CRAM-MD5"), "AUTHENTICATE CRAM-MD5"),
        (("starttls", "AUTH=PLAIN AUTH=CRAM-MD5"), "LOGIN"),
        (("starttls", "LOGINDISABLED AUTH=CRAM-MD5 AUTH=PLAIN"), "AUTHENTICATE PLAIN"),
        (("starttls", "LOGINDISABLED AUTH=CRAM-MD5"), "AUTHENTICATE CRAM-MD5"),
    ],
)
def test_the_password_itself_is_said_only_where_nobody_listens_or_nothing_else_is_offered(
    serving, reading, server_tls, offered, method
):
    mode, capabilities = offered
    plain = {"starttls": "IMAP4rev1 STARTTLS"}.get(mode)
    server = serving(tls=server_tls, plain_capabilities=plain, capabilities=f"IMAP4rev1 {capabilities}")

    reading(server, mode).folders()

    assert said(server, "LOGIN ", "AUTH")[0].startswith(method)


def test_cram_md5_proves_the_password_without_saying_it(serving, reading):
    """The example of RFC 2195 section 2."""
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"
    server = serving(capabilities="IMAP4rev1 SASL-IR AUTH=CRAM-MD5", challenges=[challenge])
    source = reading(server, account="tim", sign_in={"method": "cram_md5"})
    source._services.secrets.values[SECRET] = "tanstaaftanstaaf"

    source.folders()

    assert said(server, "AUTH") == ["AUTHENTICATE CRAM-MD5 tim b913a602c7eda7a495b4e6e7334d3890"]


@pytest.mark.parametrize("method", ["auto", "login", "plain", "cram_md5"])
def test_a_real_server_takes_every_method(dovecot_mailbox, request, method):
    sign_in = {"kind": "password", "account": dovecot_mailbox.user, "password_secret": SECRET, "method": method}
    source = dovecot_mailbox.open(dovecot_mailbox.mailbox(source={"sign_in": sign_in}))
    request.addfinalizer(source.close)

    assert source.folders()


def test_ntlm_proves_the_password_of_an_account_in_a_domain(serving, reading, tmp_path, monkeypatch):
    users = tmp_path / "users"
    users.write_text("CORP:ann:open-sesame\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    acceptor = spnego.server(protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)

    server = serving(
        capabilities="IMAP4rev1 AUTH=NTLM", challenges=[b"", acceptor.step, lambda proof: acceptor.step(proof) or b""]
    )

    reading(server, account="CORP\\ann", sign_in={"method": "ntlm"}).folders()

    assert acceptor.complete
    assert acceptor.client_principal == "CORP\\ann"


def test_a_server_that_makes_no_sense_of_ntlm_is_told(serving, reading):
    server = serving(capabilities="IMAP4rev1 AUTH=NTLM", challenges=[b"", b"nonsense"])

    with pytest.raises(SourceMisbehaved):
        reading(server, sign_in={"method": "ntlm"}).folders()


def test_a_method_that_is_not_offered_is_a_mistake_in_the_configuration(serving, reading):
    server = serving(capabilities="IMAP4rev1 AUTH=PLAIN")

    with pytest.raises(SourceMisconfigured) as misconfigured:
        reading(server, sign_in={"method": "cram_md5"}).folders()

    assert "auto" in misconfigured.value.advice
    assert said(server, "LOGIN", "AUTH") == []


@pytest.mark.parametrize(
    ("capabilities", "proof"),
    [
        ("IMAP4rev1 AUTH=NTLM", 'LOGIN "ann@desk.example\\\\help" "open-sesame"'),
        ("IMAP4rev1 LOGINDISABLED AUTH=PLAIN", "AUTHENTICATE PLAIN \0ann@desk.example\\help\0open-sesame"),
    ],
)
def test_another_mailbox_is_opened_as_account_and_mailbox(serving, reading, capabilities, proof):
    server = serving(capabilities=capabilities)

    reading(server, account="ann@desk.example", source={"mailbox": "help"}).folders()

    assert said(server, "LOGIN", "AUTH") == [proof]


def test_a_password_that_was_changed_is_used_at_once(serving, reading, secrets, monkeypatch):
    server = serving(answers={'LOGIN "ann" "open-sesame"': "{tag} NO [AUTHENTICATIONFAILED] no\r\n"})
    monkeypatch.setattr(secrets, "forget", lambda name: secrets.values.update({name: "new"}))

    reading(server).folders()

    assert said(server, "LOGIN ") == ['LOGIN "ann" "open-sesame"', 'LOGIN "ann" "new"']


# With an access token


def signed_in(server: Dovecot, tokens: Tokens, **source) -> ImapSource:
    here = {"port": server.imaps_port, "host": HOST, "sign_in": GOOGLE} | source
    return ImapSource(imap_mailbox(here), services(Secrets({}), settings(server.ca_file), tokens))


def test_a_real_server_takes_a_token_and_a_fresh_one_where_it_was_stale(oauth_dovecot, simulators, monkeypatch):
    issued = simulators.google.tokens.issue(ANN, "c", "https://mail.google.com/", 600)["access_token"]
    tokens = Tokens(["stale", issued])

    source = signed_in(oauth_dovecot, tokens)

    assert source.folders()
    assert tokens.forgotten == ["imap"]
    source.close()


def test_a_real_server_refuses_a_token_of_somebody_else(oauth_dovecot, simulators):
    issued = simulators.google.tokens.issue("bob@example.com", "c", "https://mail.google.com/", 600)["access_token"]
    source = signed_in(oauth_dovecot, Tokens([issued]))

    with pytest.raises(CredentialsRejected) as rejected:
        source.folders()

    assert "Gmail" in rejected.value.advice
    source.close()


BEARER = "auth=Bearer the-token\x01\x01"


@pytest.mark.parametrize(
    ("capabilities", "challenges", "proof"),
    [
        ("AUTH=XOAUTH2 SASL-IR", [], f"AUTHENTICATE XOAUTH2 user={ANN}\x01{BEARER}"),
        ("AUTH=XOAUTH2 AUTH=OAUTHBEARER", [b""], f"AUTHENTICATE XOAUTH2 user={ANN}\x01{BEARER}"),
        ("AUTH=OAUTHBEARER", [b""], f"AUTHENTICATE OAUTHBEARER n,a={ANN},\x01host=localhost\x01port=PORT\x01{BEARER}"),
    ],
)
def test_a_token_is_sent_in_the_way_that_the_server_offers(serving, reading, capabilities, challenges, proof):
    server = serving(capabilities=f"IMAP4rev1 LOGINDISABLED {capabilities}", challenges=challenges)

    reading(server, source={"sign_in": GOOGLE}).folders()

    assert said(server, "AUTH") == [proof.replace("PORT", str(server.port))]


@pytest.mark.parametrize(
    ("sign_in", "mailbox", "user"),
    [
        (APP, None, "help@desk.example"),
        (APP, "sales@desk.example", "sales@desk.example"),
        (GOOGLE, None, ANN),
        (GOOGLE | {"account": None}, None, "help@desk.example"),
        (GOOGLE, "sales@desk.example", "sales@desk.example"),
    ],
)
def test_a_token_opens_the_mailbox_that_is_read(serving, reading, sign_in, mailbox, user):
    server = serving(capabilities="IMAP4rev1 AUTH=XOAUTH2")

    reading(server, source={"sign_in": sign_in, "mailbox": mailbox}).folders()

    assert said(server, "AUTH") == [f"AUTHENTICATE XOAUTH2 user={user}\x01{BEARER}"]


@pytest.mark.parametrize(
    "refused",
    [(APP, "XOAUTH2", "Add-MailboxPermission"), (GOOGLE, "OAUTHBEARER", "Gmail")],
)
def test_a_refused_token_is_renewed_once_and_the_challenge_that_says_why_is_answered(serving, reading, tokens, refused):
    sign_in, mechanism, advice = refused
    tokens.values = ["stale", "fresh", "newer"]
    refusal = "{tag} NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)\r\n"
    capabilities = f"IMAP4rev1 SASL-IR AUTH={mechanism}"
    server = serving(capabilities=capabilities, challenges=[GMAIL_REFUSES], answers={"AUTHENTICATE": refusal})

    with pytest.raises(CredentialsRejected) as rejected:
        reading(server, source={"sign_in": sign_in}).folders()

    assert advice in rejected.value.advice
    assert [re.findall("Bearer (\\w+)", proof) for proof in said(server, "AUTH")] == [["stale"], ["fresh"]]
    last = {"XOAUTH2": "", "OAUTHBEARER": "\x01"}[mechanism]
    assert all(proof.endswith(f"\x01\x01 {last}") for proof in said(server, "AUTH"))
    assert tokens.forgotten == ["imap"]


def test_a_token_that_the_server_does_not_take_is_not_sent(serving, reading):
    server = serving(capabilities="IMAP4rev1 AUTH=PLAIN")

    with pytest.raises(SourceMisconfigured):
        reading(server, source={"sign_in": APP}).folders()

    assert said(server, "LOGIN", "AUTH") == []


def test_an_app_that_is_let_in_and_not_connected_needs_access(serving, reading, tokens):
    refused = "{tag} BAD User is authenticated but not connected.\r\n"
    server = serving(capabilities="IMAP4rev1 SASL-IR AUTH=XOAUTH2", challenges=[], answers={"LIST": refused})

    with pytest.raises(AccessDenied):
        reading(server, source={"sign_in": APP}).folders()

    assert tokens.forgotten == []
