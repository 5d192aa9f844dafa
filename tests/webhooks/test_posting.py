"""Events are posted only where they may be, and no receiver holds anybody up."""

import socket

import pytest

from shared.adapters.webhooks import HttpsWebhooks
from shared.domain.errors import (
    CertificateRejected,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
    TargetRefused,
)
from tests.webhooks.conftest import PATIENT, settings_with
from tests.webhooks.receiver import answers, never_answers, repeats, says


def post(webhooks: HttpsWebhooks, url: str):
    return webhooks.post(url, {"X-Test": "1"}, b'{"a": 1}')


def test_body_headers_path_and_query_arrive_as_they_are(webhooks, receiver):
    answer = post(webhooks, f"{receiver.url}?a=1&b=%20")

    (arrived,) = receiver.posts
    assert (answer.status, arrived.path, arrived.body) == (204, "/hook?a=1&b=%20", b'{"a": 1}')
    assert (arrived.headers["X-Test"], arrived.headers["Host"]) == ("1", f"localhost:{receiver.port}")


def test_an_address_without_a_path_is_asked_for_its_root(webhooks, receiver):
    post(webhooks, receiver.url.removesuffix("/hook"))

    assert receiver.posts[0].path == "/"


@pytest.mark.parametrize("status", [200, 204, 301, 308, 400, 410, 429, 500, 503])
def test_every_answer_is_handed_back_with_what_it_asks_for(webhooks, receiver, status):
    receiver.behave = answers(status, Retry_After="120")

    answer = post(webhooks, receiver.url)

    assert (answer.status, answer.retry_after.total_seconds()) == (status, 120)


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(never_answers, id="silent"),
        pytest.param(repeats(b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.05), id="one byte at a time"),
        pytest.param(repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="endless interim answers"),
    ],
)
def test_a_receiver_that_never_comes_to_an_answer_is_left(impatient, receiver, behaviour):
    receiver.behave = behaviour

    with pytest.raises(SourceUnavailable):
        post(impatient, receiver.url)


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        pytest.param(repeats(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), SourceMisbehaved, id="endless headers"),
        pytest.param(repeats(b"", b"x" * 9999), SourceMisbehaved, id="endless line"),
        pytest.param(says(b""), SourceUnavailable, id="hangs up"),
        pytest.param(says(b"SSH-2.0-OpenSSH_9.2\r\n"), SourceMisbehaved, id="another protocol"),
    ],
)
def test_a_receiver_that_gives_no_answer_is_left(webhooks, receiver, behaviour, error):
    receiver.behave = behaviour

    with pytest.raises(error):
        post(webhooks, receiver.url)


def test_an_endless_body_is_not_read(webhooks, receiver):
    receiver.behave = repeats(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 100_000)

    assert post(webhooks, receiver.url).status == 200


def test_a_body_that_breaks_off_takes_nothing_from_the_answer(webhooks, receiver):
    receiver.behave = says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    assert post(webhooks, receiver.url).status == 200


@pytest.mark.parametrize("target", ["https://169.254.169.254/metadata", "https://127.0.0.1:1/"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(webhooks, receiver, monkeypatch, target, status):
    receiver.behave = answers(status, Location=target)
    reached = []
    connect = socket.socket.connect
    monkeypatch.setattr(
        socket.socket, "connect", lambda sock, address: reached.append(address) or connect(sock, address)
    )

    assert post(webhooks, receiver.url).status == status
    assert reached == [("127.0.0.1", receiver.port)]


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "168.63.129.16", "[fe80::1]", "[::ffff:169.254.169.254]", "2852039166", "0.0.0.0"],  # noqa: S104 - nothing is bound to it
)
def test_the_platform_s_own_services_are_never_reached(webhooks, host):
    with pytest.raises(TargetRefused):
        post(webhooks, f"https://{host}/hook")
    with pytest.raises(TargetRefused):
        webhooks.check(f"https://{host}/hook")


def test_this_machine_is_reached_only_where_the_settings_allow_it(receiver):
    guarded = HttpsWebhooks(settings_with(EXTRA_CA_FILE=receiver.ca_file, ALLOW_LOOPBACK_TARGETS="false"), PATIENT)

    with pytest.raises(TargetRefused):
        post(guarded, receiver.url)

    assert receiver.posts == []


@pytest.fixture
def names(monkeypatch):
    """What a name leads to, each time that it is asked for; the last answer stays."""
    known: dict[str, list[list[str]]] = {}

    def look_up(host, port, **_):
        found = known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


def test_a_name_that_changes_after_the_check_leads_nowhere_else(webhooks, receiver, names):
    names["hooks.example"] = [["127.0.0.1"], ["169.254.169.254"]]
    url = receiver.url.replace("localhost", "hooks.example")

    assert post(webhooks, url).status == 204
    with pytest.raises(TargetRefused):
        post(webhooks, url)

    assert len(receiver.posts) == 1


def test_a_name_with_one_refused_address_is_refused(webhooks, receiver, names):
    names["hooks.example"] = [["127.0.0.1", "169.254.169.254"]]

    with pytest.raises(TargetRefused):
        post(webhooks, receiver.url.replace("localhost", "hooks.example"))


def test_a_certificate_must_be_trusted_and_for_the_host(receiver, names):
    distrusting = HttpsWebhooks(settings_with(), PATIENT)
    trusting = HttpsWebhooks(settings_with(EXTRA_CA_FILE=receiver.ca_file), PATIENT)
    names.update({"localhost": [["127.0.0.1"]], "another.example": [["127.0.0.1"]]})

    with pytest.raises(CertificateRejected):
        post(distrusting, receiver.url)
    with pytest.raises(CertificateRejected):
        post(trusting, receiver.url.replace("localhost", "another.example"))

    assert receiver.posts == []


def test_proxies_of_the_environment_are_not_asked(webhooks, receiver, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")

    assert post(webhooks, receiver.url).status == 204


def test_a_host_that_does_not_exist_is_named(webhooks):
    with pytest.raises(SourceMisconfigured) as misconfigured:
        post(webhooks, "https://no-such-host.invalid/")

    assert misconfigured.value.advice
