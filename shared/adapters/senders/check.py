"""What the connection tests of all senders have in common; nothing is sent unless a confirmation is asked for."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.adapters.sources.checks import Check, Finding
from shared.adapters.sources.rest_check import TokenCheck
from shared.adapters.sources.rest_client import RestClient
from shared.adapters.sources.services import SourceServices
from shared.domain.errors import AccessDenied
from shared.domain.message import Address
from shared.domain.outgoing import Automatic, OutgoingMail, OutgoingMessage, SendResult
from shared.domain.providers import retirement
from shared.domain.senders import Sender
from shared.mime.compose import compose

_TEXT = "This message was sent by Mailroom to show that its sender works. Nothing needs to be done.\n"


@dataclass(frozen=True, slots=True)
class Tested:
    """A sender under test, and who gets a message if all goes well."""

    sender: Sender
    send: Callable[[OutgoingMail], SendResult]
    now: datetime
    confirm_to: str | None


class SenderCheck(Check):
    def __init__(self, tested: Tested) -> None:
        super().__init__(tested.now, retirement(tested.sender.transport))
        self._tested = tested
        if tested.confirm_to:
            self.stages = (*self.stages, "confirmation")

    def confirmation(self) -> Finding:
        assert self._tested.confirm_to is not None
        result = self._tested.send(_confirmation(self._tested.sender, self._tested.confirm_to, self._tested.now))
        if result.refused:
            advice = "Check the address that the message was to go to."
            raise AccessDenied(f"The server does not take the recipient ({result.refused[0].status}).", advice=advice)
        return Finding("The server took a message to the address given: look whether it arrives, and where.")


class RestSenderCheck(TokenCheck, SenderCheck):
    """`permit` shows whether sending is allowed, without sending; `is_there` looks for what was sent."""

    stages = ("name", "port", "tls", "token", "permission", "sent")

    def __init__(
        self,
        tested: Tested,
        client: RestClient,
        services: SourceServices,
        *,
        permit: Callable[[], None],
        is_there: Callable[[str], bool],
    ) -> None:
        super().__init__(tested)
        self._ask(client, services)
        self._permit, self._is_there = permit, is_there

    def permission(self) -> Finding:
        self._permit()
        return Finding(f"{self._rest.service} lets the account send.")

    def sent(self) -> Finding:
        """Without it a sender works."""
        try:
            self._is_there("<test@mailroom.invalid>")
        except AccessDenied as denied:
            text = "What was sent cannot be looked for: a message whose answer is lost stays in doubt."
            return Finding(text, denied.advice, warning=True)
        return Finding("What was sent can be looked for.")


def _confirmation(sender: Sender, to: str, now: datetime) -> OutgoingMail:
    """The message that shows somebody that a sender works (req O4)."""
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
