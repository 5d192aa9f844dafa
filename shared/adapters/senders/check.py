"""What the connection tests of all senders have in common; nothing is sent unless a confirmation is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.adapters.senders.confirmation import confirmed
from shared.adapters.sources.checks import Check, Finding
from shared.adapters.sources.rest_check import TokenCheck
from shared.adapters.sources.rest_client import RestClient
from shared.adapters.sources.services import SourceServices
from shared.domain.errors import AccessDenied
from shared.domain.outgoing import OutgoingMail, SendResult
from shared.domain.retirements import sender_retirement
from shared.domain.senders import Sender


@dataclass(frozen=True, slots=True)
class Tested:
    """A sender under test, and who gets a message if all goes well."""

    sender: Sender
    send: Callable[[OutgoingMail], SendResult]
    now: datetime
    confirm_to: str | None


class SenderCheck(Check):
    def __init__(self, tested: Tested) -> None:
        super().__init__(tested.now, sender_retirement(tested.sender.transport))
        self._tested = tested
        if tested.confirm_to:
            self.stages = (*self.stages, "confirmation")

    def confirmation(self) -> Finding:
        to = self._tested.confirm_to
        assert to is not None
        return confirmed(self._tested.sender, to, self._tested.now, self._tested.send)


class RestSenderCheck(TokenCheck, SenderCheck):
    """`permit` asks for something that shows whether sending is allowed, without sending; `look` for what was sent."""

    stages = ("name", "port", "tls", "token", "permission", "sent")

    def __init__(
        self,
        tested: Tested,
        client: RestClient,
        services: SourceServices,
        *,
        permit: Callable[[], None],
        look: Callable[[], object],
    ) -> None:
        super().__init__(tested)
        self._ask(client, services)
        self._permit, self._look = permit, look

    def permission(self) -> Finding:
        self._permit()
        return Finding(f"{self._rest.service} lets the account send.")

    def sent(self) -> Finding:
        """Without it a sender works."""
        try:
            self._look()
        except AccessDenied as denied:
            text = "What was sent cannot be looked for: a message whose answer is lost stays in doubt."
            return Finding(text, denied.advice, warning=True)
        return Finding("What was sent can be looked for.")
