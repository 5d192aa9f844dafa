"""Every kind of source goes through the proxy of its mailbox, and only through it (req C11)."""

from datetime import UTC, datetime

import pytest

from shared.domain.errors import CredentialsRejected, SourceUnavailable
from shared.domain.settlement import Delete
from tests.proxy import ProxyServer
from tests.sources.contract import mail, read_all, refs
from tests.sources.dovecot_mailbox import unused_port
from tests.sources.ews_mailbox import EwsMailbox
from tests.sources.gmail_mailbox import GmailMailbox
from tests.sources.graph_mailbox import GraphMailbox
from tests.sources.test_pop3_contract import Pop3Mailbox

USER, PASSWORD, SECRET = "mailroom", "through-the-wall", "proxy-password"


@pytest.fixture
def pop3_mailbox(dovecot):
    mailbox = Pop3Mailbox(dovecot)
    yield mailbox
    mailbox.close()


@pytest.fixture(params=["imap", "pop3", "graph", "ews", "gmail"])
def provider(request):
    match request.param:
        case "imap":
            return request.getfixturevalue("dovecot_mailbox")
        case "pop3":
            return request.getfixturevalue("pop3_mailbox")
    simulators = request.getfixturevalue("simulators")
    if request.param == "ews":
        return EwsMailbox(simulators)
    return {"graph": GraphMailbox, "gmail": GmailMailbox}[request.param](simulators, lambda: datetime.now(UTC))


@pytest.fixture
def kind() -> str:
    return "http"


@pytest.fixture
def proxy():
    with ProxyServer(user=USER, password=PASSWORD).running() as running:
        yield running


@pytest.fixture
def opened(provider, kind, request):
    """A source whose mailbox names the proxy at the port."""

    def opened(port):
        proxy = {"kind": kind, "host": "localhost", "port": port, "username": USER, "password_secret": SECRET}
        provider.secrets.values.setdefault(SECRET, PASSWORD)
        source = provider.open(provider.mailbox(proxy=proxy))
        request.addfinalizer(source.close)
        return source

    return opened


@pytest.mark.parametrize("kind", ["http", "socks5"])
def test_messages_are_read_and_settled_through_the_proxy(provider, opened, proxy):
    provider.deliver(mail("Behind the wall"))
    source = opened(proxy.port)

    assert read_all(source) == ["Behind the wall"]
    source.settle(refs(source.changes(None, 10)), Delete())

    assert provider.stored() == []
    assert {host for host, _ in proxy.targets} == {"localhost"}


def test_a_connection_test_names_the_proxy(opened, proxy):
    stages = {stage.name: stage for stage in opened(proxy.port).check()}

    assert all(stage.ok for stage in stages.values())
    assert f"through the proxy localhost:{proxy.port}" in stages["port"].detail


def test_nothing_goes_around_a_proxy_that_is_down(opened):
    source = opened(unused_port())

    with pytest.raises(SourceUnavailable, match="proxy"):
        source.changes(None, 10)


def test_a_wrong_password_of_the_proxy_is_told_from_one_of_the_mailbox(provider, opened, proxy):
    provider.secrets.values[SECRET] = "wrong"
    source = opened(proxy.port)

    with pytest.raises(CredentialsRejected, match="proxy"):
        source.changes(None, 10)
    *_, last = source.check()

    assert (last.name, last.code) == ("port", "credentials_rejected")
    assert "proxy" in last.advice
    assert SECRET in provider.secrets.forgotten
