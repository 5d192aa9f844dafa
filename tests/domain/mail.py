"""What rules look at, and configurations as somebody saves them."""

from shared.application.validation import validated
from shared.domain.contact import Contact, Role
from shared.domain.facts import Facts
from shared.domain.message import Address, Attachment, InboundMessage
from shared.domain.patterns import Effort
from shared.domain.processing import Processing

ANN = Address("Ann@Example.com", "Ann Smith")
BOB = Contact(
    address=ANN.address, name=ANN.name, role=Role.TECHNICIAN, groups=("Network", "Night"), company="Example Ltd"
)


def facts(*, size=1000, contact=None, effort=None, requester=None, **changed):
    message = {
        "message_id": "<1@example.com>",
        "subject": "Order 4711: printer",
        "sender": ANN,
        "to": (Address("support@example.org", "Support"),),
        "cc": (Address("carl@example.net"),),
        "text": "Hello,\nthe printer is broken.\nSerial: XK-12",
        "attachments": (Attachment(0, "Photo.JPG", "image/jpeg", 10), Attachment(1, "log.txt", "text/plain", 5)),
        "headers": (("x-order", "O-99"), ("x-order", "O-100"), ("importance", "high")),
    }
    return Facts(InboundMessage(**{**message, **changed}), size, contact, effort or Effort(), requester)


def saved(**settings):
    """The settings as they are when somebody saves them. :raises AssertionError: there is a problem with them."""
    processing, problems = validated(Processing, settings, {})
    assert processing, problems
    return processing


def refused(**settings):
    """What is wrong with the settings: the message by its path."""
    return {problem.path: problem.message for problem in validated(Processing, settings, {})[1]}
