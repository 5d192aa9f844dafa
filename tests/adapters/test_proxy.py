"""Connections go through the proxy that the mailbox names, and what it refuses says who must act."""

from collections.abc import Callable, Iterator

import pytest

from shared.adapters.net import Deadline, Timeouts, connect, resolve
from shared.adapters.proxy import ProxyAccess
from shared.domain.errors import (
    AppError,
    CredentialsRejected,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
)
from shared.domain.fields import Proxy
from tests.proxy import ProxyServer
from tests.sources.contract import Secrets
from tests.sources.dovecot_mailbox import settings, unused_port
from tests.sources.scripted_imap import ScriptedImap

KINDS = pytest.mark.parametrize("kind", ["http", "socks5"])


@pytest.fixture
def secrets() -> Secrets:
    return Secrets({"proxy-password": "pass:word"})


@pytest.fixture
def server() -> Iterator[ScriptedImap]:
    """It speaks first, right after the proxy's last word."""
    with ScriptedImap().running() as running:
        yield running


@pytest.fixture
def proxying(request) -> Callable[..., ProxyServer]:
    def proxying(**behaviour) -> ProxyServer:
        running = ProxyServer(**behaviour).running()
        request.addfinalizer(lambda: running.__exit__(None, None, None))
        return running.__enter__()

    return proxying


def greeting(proxy: ProxyAccess, host: str, port: int) -> bytes:
    with (
        connect(resolve(host, port, settings(), proxy), Deadline(Timeouts(idle=2))) as sock,
        sock.makefile("rb") as file,
    ):
        return file.readline()


def access(secrets: Secrets, kind: str, port: int, username: str | None = None) -> ProxyAccess:
    password = {"username": username, "password_secret": "proxy-password"} if username else {}
    return ProxyAccess(Proxy(kind=kind, host="127.0.0.1", port=port, **password), secrets)


@KINDS
def test_a_server_is_reached_through_the_proxy_which_resolves_its_name(proxying, server, secrets, kind):
    proxy = proxying()

    assert greeting(access(secrets, kind, proxy.port), "localhost", server.port) == b"* OK ready\r\n"
    assert proxy.targets == [("localhost", server.port)]


@KINDS
def test_a_server_is_reached_by_its_address(proxying, server, secrets, kind):
    proxy = proxying()

    assert greeting(access(secrets, kind, proxy.port), "127.0.0.1", server.port) == b"* OK ready\r\n"
    assert proxy.targets == [("127.0.0.1", server.port)]


@KINDS
def test_the_user_name_and_the_password_open_the_proxy(proxying, server, secrets, kind):
    proxy = proxying(user="änn", password="pass:word")

    assert greeting(access(secrets, kind, proxy.port, "änn"), "localhost", server.port) == b"* OK ready\r\n"


@KINDS
@pytest.mark.parametrize("username", ["ann", None])
def test_a_proxy_that_lets_nobody_in_says_so_and_the_password_is_read_afresh(proxying, secrets, kind, username):
    proxy = proxying(user="ann", password="another")

    with pytest.raises(CredentialsRejected) as rejected:
        greeting(access(secrets, kind, proxy.port, username), "localhost", 993)

    assert "proxy" in rejected.value.advice
    assert secrets.forgotten == ["proxy-password"] * (username is not None)
    assert proxy.targets == []


@KINDS
def test_a_proxy_that_is_down_is_named(secrets, kind):
    port = unused_port()

    with pytest.raises(SourceUnavailable, match=f"The proxy 127.0.0.1:{port} refuses connections"):
        greeting(access(secrets, kind, port), "localhost", 993)


@pytest.mark.parametrize(
    ("kind", "answer", "error"),
    [
        ("http", b"HTTP/1.1 403 Forbidden\r\n\r\n", SourceMisconfigured),
        ("http", b"HTTP/1.0 503 no such host\r\n\r\n", SourceUnavailable),
        ("http", b"SSH-2.0-server\r\n", SourceMisbehaved),
        ("http", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, SourceMisbehaved),
        ("http", b"\x05\x00", SourceMisbehaved),
        ("socks5", b"\x05\x00\x05\x02\x00\x01\0\0\0\0\0\0", SourceMisconfigured),
        ("socks5", b"\x05\x00\x05\x04\x00\x01\0\0\0\0\0\0", SourceUnavailable),
        ("socks5", b"HTTP/1.1 400 Bad Request\r\n", SourceMisbehaved),
        ("socks5", b"\x05", SourceUnavailable),
    ],
)
def test_what_the_proxy_refuses_says_who_must_act(proxying, secrets, kind, answer, error):
    proxy = proxying(answer=answer)

    with pytest.raises(AppError) as raised:
        greeting(access(secrets, kind, proxy.port), "localhost", 993)

    assert type(raised.value) is error
    assert raised.value.advice


@KINDS
def test_a_proxy_that_says_nothing_runs_out_of_time(server, secrets, kind):
    server.greeting = "\0stall\0"
    endpoint = resolve("localhost", 993, settings(), access(secrets, kind, server.port))

    with pytest.raises(SourceUnavailable):
        connect(endpoint, Deadline(Timeouts(connect=0.3)))


@pytest.mark.parametrize("host", ["169.254.169.254", "127.1", "::1", "2130706433"])
def test_an_address_that_may_not_be_reached_is_not_reached_by_proxy_either(secrets, host):
    proxy = ProxyAccess(Proxy(kind="http", host="192.0.2.1", port=3128), secrets)

    with pytest.raises(SourceMisconfigured):
        resolve(host, 993, settings(allow_loopback=False), proxy)


def test_the_proxy_itself_may_not_be_the_platform(secrets):
    proxy = ProxyAccess(Proxy(kind="http", host="169.254.169.254", port=80), secrets)

    with pytest.raises(SourceMisconfigured):
        resolve("mail.example", 993, settings(), proxy)
