import ssl
from collections.abc import Callable, Iterator

import pytest
import trustme

from local.dovecot import COMMAND, Dovecot, Introspection, run_dovecot
from local.simulators import Simulators
from shared.adapters.net import Timeouts
from shared.adapters.sources.imap import ImapSource
from tests.servers import require
from tests.sources.contract import Secrets
from tests.sources.dovecot_mailbox import (
    SECRET,
    DovecotMailbox,
    Tokens,
    imap_mailbox,
    services,
    settings,
)
from tests.sources.scripted_imap import ScriptedImap

IMPATIENT = Timeouts(connect=5, idle=1, command=3)
"""For servers that never answer; one that does may be slow on a busy machine."""
PATIENT = Timeouts()


@pytest.fixture
def dovecot_mailbox(dovecot: Dovecot) -> Iterator[DovecotMailbox]:
    mailbox = DovecotMailbox(dovecot)
    yield mailbox
    mailbox.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusted(authority, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def server_tls(authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def secrets() -> Secrets:
    return Secrets({SECRET: "open-sesame"})


@pytest.fixture
def serving(request) -> Callable[..., ScriptedImap]:
    """Runs a scripted server until the test is over."""

    def serving(**script) -> ScriptedImap:
        running = ScriptedImap(**script).running()
        request.addfinalizer(lambda: running.__exit__(None, None, None))
        return running.__enter__()

    return serving


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def reading(request, secrets, tokens, trusted) -> Callable[..., ImapSource]:
    """The source on a scripted server, without TLS unless told; closed before the server ends."""

    def reading(
        server,
        mode="none",
        *,
        timeouts=PATIENT,
        trusting=trusted,
        source=None,
        account="ann",
        sign_in=None,
        **changes,
    ) -> ImapSource:
        sign_in = {"kind": "password", "account": account, "password_secret": SECRET} | (sign_in or {})
        here = {"port": server.port, "tls": {"mode": mode}, "sign_in": sign_in} | (source or {})
        opened = ImapSource(imap_mailbox(here, **changes), services(secrets, settings(trusting), tokens), timeouts)
        request.addfinalizer(opened.close)
        return opened

    return reading


@pytest.fixture
def oauth_dovecot(simulators: Simulators) -> Iterator[Dovecot]:
    """It asks the simulated provider whose a token is."""
    require(COMMAND is not None, "Dovecot (tools/install-servers)")
    simulators.oauth.clients.add("client", "client-secret", [])
    url = f"{simulators.url.replace('https://', 'https://client:client-secret@')}/oauth/introspect"
    with run_dovecot(introspection=Introspection(url, simulators.ca_file)) as server:
        yield server
