import ssl
from collections.abc import Callable

import pytest
import trustme

from local.smtp_server import SmtpServer, run_smtp_server
from shared.adapters.senders.smtp import SmtpSender
from tests.senders.scripted_smtp import ScriptedSmtp
from tests.senders.smtp_provider import PASSWORD, PATIENT, SECRET, smtp_sender
from tests.sources.contract import Secrets
from tests.sources.dovecot_mailbox import Tokens, services, settings


@pytest.fixture
def serving(request) -> Callable[..., ScriptedSmtp]:
    """Runs a scripted server until the test is over."""

    def serving(**script) -> ScriptedSmtp:
        running = ScriptedSmtp(**script).running()
        request.addfinalizer(lambda: running.__exit__(None, None, None))
        return running.__enter__()

    return serving


@pytest.fixture
def smtp_server(request) -> Callable[..., SmtpServer]:
    """Runs a server that works until the test is over."""

    def smtp_server(mode="none", **options) -> SmtpServer:
        running = run_smtp_server(mode, SmtpServer(**options))
        request.addfinalizer(lambda: running.__exit__(None, None, None))
        return running.__enter__()

    return smtp_server


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority, tmp_path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def server_tls(authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def secrets() -> Secrets:
    return Secrets({SECRET: PASSWORD})


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def sending(request, secrets, tokens) -> Callable[..., SmtpSender]:
    """A sender on such a server, without TLS and without signing in unless told; closed before the server ends."""

    def sending(server, mode="none", *, sign_in=None, trusting="", timeouts=PATIENT, allow_loopback=True, **changes):
        tls = {"mode": mode, "ca_certificate": getattr(server, "ca_certificate", b"").decode() or None}
        if sign_in is not None:
            sign_in = {"kind": "password", "account": "ann", "password_secret": SECRET} | sign_in
        transport = {"port": server.port, "tls": tls, "sign_in": sign_in} | changes.pop("transport", {})
        available = services(secrets, settings(trusting, allow_loopback=allow_loopback), tokens)
        opened = SmtpSender(smtp_sender(transport, **changes), available, timeouts)
        request.addfinalizer(opened.close)
        return opened

    return sending
