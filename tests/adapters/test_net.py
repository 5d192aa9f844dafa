"""Connections go only where they may, to the address that was checked, and end in time."""

import socket
from collections.abc import Iterator

import pytest

from shared.adapters.net import Deadline, Endpoint, Timeouts, connect, resolve
from shared.domain.errors import SourceMisconfigured, SourceUnavailable
from shared.settings import Settings, read_settings


def settings(*, allow_loopback: bool = False) -> Settings:
    environment = {
        "DATA_STORAGE": "UseDevelopmentStorage=true",
        "KEY_VAULT_URI": "https://vault.example",
        "POLL_SCHEDULE": "0 * * * * *",
        "ALLOW_LOOPBACK_TARGETS": str(allow_loopback).lower(),
    }
    return read_settings(environment)


@pytest.fixture
def names(monkeypatch):
    """Answers for names, given by the test; counts how often it is asked."""

    class Names(dict):
        asked = 0

        def look_up(self, host, port, **_):
            self.asked += 1
            family = socket.AF_INET6 if ":" in self[host][0] else socket.AF_INET
            return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for address in self[host]]

    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.look_up)
    return names


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "::1",
        "0.0.0.0",  # noqa: S104 - nothing is bound to it
        "::",
        "169.254.169.254",
        "169.254.0.1",
        "168.63.129.16",
        "fe80::1",
        "fd00:ec2::254",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "64:ff9b::a9fe:a9fe",
    ],
)
def test_addresses_of_this_machine_and_of_the_platform_are_refused(address):
    with pytest.raises(SourceMisconfigured) as misconfigured:
        resolve(address, 993, settings())

    assert misconfigured.value.advice


@pytest.mark.parametrize("address", ["93.184.215.14", "10.0.0.4", "192.168.1.1", "fd12:3456::1", "2001:db8::1"])
def test_public_and_private_addresses_are_allowed(address):
    assert resolve(address, 993, settings()) == Endpoint(address, 993, (address,))


def test_this_machine_is_allowed_where_the_settings_say_so_and_the_platform_is_not():
    allowing = settings(allow_loopback=True)

    assert resolve("127.0.0.1", 993, allowing).addresses == ("127.0.0.1",)
    with pytest.raises(SourceMisconfigured):
        resolve("169.254.169.254", 993, allowing)


def test_a_name_with_one_refused_address_is_refused(names):
    names["mail.example"] = ["93.184.215.14", "169.254.169.254"]

    with pytest.raises(SourceMisconfigured):
        resolve("mail.example", 993, settings())


def test_a_name_is_resolved_once_so_that_it_cannot_change_after_the_check(names, listener):
    names["mail.example"] = ["127.0.0.1"]
    endpoint = resolve("mail.example", listener.getsockname()[1], settings(allow_loopback=True))
    names["mail.example"] = ["169.254.169.254"]

    with connect(endpoint, Deadline(Timeouts())) as sock:
        assert sock.getpeername()[0] == "127.0.0.1"

    assert names.asked == 1


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 64 + ".example"])
def test_a_host_that_does_not_exist_is_a_mistake_in_the_configuration(host):
    with pytest.raises(SourceMisconfigured) as misconfigured:
        resolve(host, 993, settings())

    assert misconfigured.value.advice


def test_a_name_service_that_does_not_answer_is_waited_for(monkeypatch):
    def fail(*_, **__):
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    with pytest.raises(SourceUnavailable):
        resolve("mail.example", 993, settings())


def test_the_next_address_is_tried_where_one_does_not_answer(listener):
    port = listener.getsockname()[1]
    endpoint = Endpoint("mail.example", port, ("127.0.0.2", "127.0.0.1"))

    with connect(endpoint, Deadline(Timeouts())) as sock:
        assert sock.getpeername() == ("127.0.0.1", port)


def test_a_port_where_nobody_listens_is_unavailable(listener):
    port = listener.getsockname()[1]
    listener.close()

    with pytest.raises(SourceUnavailable) as unavailable:
        connect(Endpoint("mail.example", port, ("127.0.0.1",)), Deadline(Timeouts()))

    assert "refuses" in str(unavailable.value)
    assert unavailable.value.advice


def test_a_server_that_accepts_nobody_runs_out_of_time():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        endpoint = Endpoint("mail.example", address[1], ("127.0.0.1",))
        # The first connection takes the only place in the queue.
        with socket.create_connection(address), pytest.raises(SourceUnavailable) as unavailable:
            connect(endpoint, Deadline(Timeouts(connect=0.2)))

    assert "does not answer" in str(unavailable.value)


def test_reading_ends_when_the_step_is_over_however_often_something_comes(listener):
    endpoint = Endpoint("mail.example", listener.getsockname()[1], ("127.0.0.1",))
    deadline = Deadline(Timeouts())
    with connect(endpoint, deadline) as sock, listener.accept()[0] as server, sock.makefile("rb") as file:
        server.sendall(b"one\ntwo")
        assert file.readline() == b"one\n"
        deadline.restart(0)

        with pytest.raises(TimeoutError):
            file.readline()
