"""Machines that answer each other fall silent (req M6): a simulated day."""

import pytest

from local.smtp_server import Received
from tests.sending.conftest import Office, make_office

SALES = "sales@elsewhere.example"


@pytest.fixture
def sales(storage_services, smtp) -> Office:
    """The Mailroom of another organisation, which sends through the same server."""
    made = make_office(storage_services, smtp, SALES, "SAL")
    made.sender(from_address=SALES)
    return made


def robot(received: Received) -> bytes:
    """Answers everything, and says nothing of being a machine: the worst that there is."""
    number = len(received.content)
    lines = [
        "From: Rob <robot@customer.example>",
        f"To: {received.sender}",
        "Subject: I am on holiday",
        f"Message-ID: <{hash(received.content)}-{number}@customer.example>",
        "Date: Sat, 21 Nov 2026 10:00:00 +0000",
        "",
        "I am on the beach until Monday.",
        "",
    ]
    return "\r\n".join(lines).encode()


def carried(office: Office, other: Office, messages: list[Received]) -> None:
    """Deliver what was sent to whom it is for."""
    for each in messages:
        for recipient in each.recipients:
            match recipient:
                case "support@example.com":
                    office.provider.deliver(each.content)
                case "sales@elsewhere.example":
                    other.provider.deliver(each.content)
                case "robot@customer.example":
                    (office if each.sender == office.mailbox.address else other).provider.deliver(robot(each))


def test_two_mailrooms_and_a_robot_exchange_a_handful_of_messages_in_a_day(office, sales, smtp):
    first = "From: sales@elsewhere.example\r\nTo: support@example.com\r\nSubject: Hello\r\nMessage-ID: <1@x>\r\n"
    office.provider.deliver(f"{first}Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\nHello\r\n".encode())
    office.provider.deliver(robot(Received("support@example.com", (), b"first", (), "", is_encrypted=False)))
    by_hour = []

    for _ in range(24 * 4):
        seen = len(smtp.received)
        for each in (office, sales):
            each.receive()
            each.clock.advance(minutes=14)
        carried(office, sales, smtp.received[seen:])
        by_hour.append(len(smtp.received))

    assert 3 <= by_hour[-1] <= 15
    assert by_hour[-1] == by_hour[len(by_hour) // 2]


def test_our_own_message_that_comes_back_makes_nothing(office, smtp):
    office.receive(b"From: ann@example.org\r\nSubject: Printer\r\nMessage-ID: <1@x>\r\n\r\nHello\r\n")

    office.receive(smtp.received[0].content)

    assert len(office.comments()) == 1
    assert len(smtp.received) == 1
