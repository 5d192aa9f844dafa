"""A message on its way out: what it says, the bytes that it is sent as, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.message import Address


class Automatic(StrEnum):
    """What nobody wrote by hand (RFC 3834 section 5); the values are those of Auto-Submitted."""

    REPLIED = "auto-replied"
    GENERATED = "auto-generated"


@dataclass(frozen=True, slots=True)
class OutgoingAttachment:
    """`content_id` has no angle brackets; where the HTML refers to it (`cid:`), the attachment is shown there."""

    name: str
    content_type: str
    content: bytes
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message to be sent. Ids have their angle brackets; the newest of `references`, the last, is what it answers.

    `tag` is that of the ticket, without brackets; `loop_id` names the Mailroom that sends, for whoever forwards our
    mail back to us; `unsubscribe_url` is for announcements, and takes a POST without any question (RFC 8058).
    """

    message_id: str
    sender: Address
    to: tuple[Address, ...]
    at: datetime
    subject: str
    text: str
    html: str = ""
    tag: str = ""
    language: str = ""
    cc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    references: tuple[str, ...] = ()
    attachments: tuple[OutgoingAttachment, ...] = ()
    automatic: Automatic | None = None
    loop_id: str = ""
    unsubscribe_url: str = ""


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
