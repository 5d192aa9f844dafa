"""What a message is: who or what wrote it, and what became of a message that somebody sent."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """`PERSON` is whatever no signal contradicts, machines that report something of their own among it."""

    PERSON = "person"
    AUTOMATIC_REPLY = "automatic_reply"
    OUT_OF_OFFICE = "out_of_office"
    LIST = "list"
    DELIVERY_FAILURE = "delivery_failure"
    DELIVERY_DELAY = "delivery_delay"
    OWN = "own"
    """Sent by us and come back; only the application can tell, from the Message-ID."""
    READ_RECEIPT = "read_receipt"
    CALENDAR_ANSWER = "calendar_answer"


@dataclass(frozen=True, slots=True)
class FailedDelivery:
    """One address that a message did not reach. `status` is an enhanced code (`5.1.1`, RFC 3463) or empty.

    `permanent` is false where the server goes on trying, or where trying again may help.
    """

    address: str
    permanent: bool
    status: str = ""
    diagnostic: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What a server says of a message it was given; `original_id` has its angle brackets."""

    failed: tuple[FailedDelivery, ...] = ()
    original_id: str | None = None
    original_subject: str = ""
