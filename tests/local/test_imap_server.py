import ssl
from pathlib import Path

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, LoginError

from local.imap_server import ImapServer, run_imap_server

USER, PASSWORD = "somebody@example.com", "open-sesame"
MESSAGES = (
    b"Subject: first\r\n\r\nplain\r\n",
    b"Subject: caf\xe9 raw and \xff\r\nBroken header\r\n\r\n--no boundary\nbare line feed\r\n",
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nnever closed',
)


def _connected(server: ImapServer) -> IMAPClient:
    trusted = ssl.create_default_context(cadata=server.ca_certificate.decode())
    return IMAPClient("localhost", server.port, ssl_context=trusted)


def _contents(server: ImapServer, folder: str = "INBOX") -> list[bytes]:
    with _connected(server) as client:
        client.login(USER, PASSWORD)
        client.select_folder(folder)
        fetched = client.fetch(client.search(), ["BODY.PEEK[]"])
        return [fetched[uid][b"BODY[]"] for uid in sorted(fetched)]


def test_messages_are_handed_out_byte_for_byte_in_the_order_of_their_delivery(tmp_path: Path):
    with run_imap_server(tmp_path, USER, PASSWORD) as server:
        for message in MESSAGES:
            server.deliver(message)

        assert _contents(server) == [*MESSAGES]


def test_the_mail_of_one_run_is_there_in_the_next_under_the_same_uids(tmp_path: Path):
    with run_imap_server(tmp_path, USER, PASSWORD) as server, _connected(server) as client:
        for message in MESSAGES:
            server.deliver(message)
        client.login(USER, PASSWORD)
        client.select_folder("INBOX")
        before = client.folder_status("INBOX", ["UIDVALIDITY", "UIDNEXT"])
        client.create_folder("Processed")
        client.move([client.search()[0]], "Processed")

    with run_imap_server(tmp_path, USER, PASSWORD) as server, _connected(server) as client:
        client.login(USER, PASSWORD)
        assert client.folder_status("INBOX", ["UIDVALIDITY", "UIDNEXT"]) == before
        assert _contents(server) == [*MESSAGES[1:]]
        assert _contents(server, "Processed") == [MESSAGES[0]]


def test_nobody_comes_in_without_the_password(tmp_path: Path):
    with run_imap_server(tmp_path, USER, PASSWORD) as server, _connected(server) as client:
        with pytest.raises(LoginError):
            client.login(USER, "something else")
        with pytest.raises(LoginError):
            client.login("another@example.com", PASSWORD)


def test_whoever_is_still_connected_at_its_end_is_let_go(tmp_path: Path):
    with run_imap_server(tmp_path, USER, PASSWORD) as server:
        client = _connected(server)
        client.login(USER, PASSWORD)
        client.select_folder("INBOX")

    with pytest.raises((IMAPClientAbortError, OSError)):
        client.noop()
    client.shutdown()


def test_a_port_that_is_taken_is_an_error_at_start(tmp_path: Path):
    with (
        run_imap_server(tmp_path / "one", USER, PASSWORD) as server,
        pytest.raises(OSError, match="in use"),
        run_imap_server(tmp_path / "two", USER, PASSWORD, server.port),
    ):
        pass
