"""The message that shows somebody that a sender works (req O4)."""

import uuid
from collections.abc import Callable
from datetime import datetime

from shared.adapters.sources.checks import Finding
from shared.domain.errors import AccessDenied
from shared.domain.message import Address
from shared.domain.outgoing import OutgoingMail, SendResult
from shared.domain.outgoing_message import Automatic, OutgoingMessage
from shared.domain.senders import Sender
from shared.mime.compose import compose

_TEXT = "This message was sent by Mailroom to show that its sender works. Nothing needs to be done.\n"


def confirmed(sender: Sender, to: str, now: datetime, send: Callable[[OutgoingMail], SendResult]) -> Finding:
    """The last stage of a connection test."""
    result = send(_confirmation(sender, to, now))
    if result.refused:
        advice = "Check the address that the message was to go to."
        raise AccessDenied(f"The server does not take the recipient ({result.refused[0].status}).", advice=advice)
    return Finding("The server took a message to the address given: look whether it arrives, and where.")


def _confirmation(sender: Sender, to: str, now: datetime) -> OutgoingMail:
    message = OutgoingMessage(
        message_id=f"<{uuid.uuid4().hex}@mailroom.invalid>",
        sender=Address(sender.from_address, sender.from_name),
        to=(Address(to, ""),),
        at=now,
        subject=f"Mailroom can send through {sender.name}",
        text=_TEXT,
        reply_to=(Address(sender.reply_to, ""),) if sender.reply_to else (),
        automatic=Automatic.GENERATED,
    )
    return OutgoingMail(message.message_id, sender.from_address, (to,), compose(message))
