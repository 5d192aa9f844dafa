"""A message on its way out, and what became of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """`content` is the whole message (RFC 5322) with this Message-ID; `recipients` are those of the envelope.
    `envelope_from` is where failures are reported to, empty for nowhere; some providers take their own instead.
    """

    message_id: str
    envelope_from: str
    recipients: tuple[str, ...]
    content: bytes


@dataclass(frozen=True, slots=True)
class RefusedRecipient:
    """Somebody who does not get the message. Unless it is `permanent`, another try may succeed.

    `status` is that of RFC 3463, such as 5.1.1.
    """

    address: str
    permanent: bool
    status: str


@dataclass(frozen=True, slots=True)
class SendResult:
    """Where `accepted` is empty, nothing was sent."""

    accepted: tuple[str, ...]
    refused: tuple[RefusedRecipient, ...] = ()
